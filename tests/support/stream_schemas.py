"""The schemas of all streams, in both layouts, at all frequencies."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_clarity.tap import TapClarity

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]


class Property(NamedTuple):
    """A property at any depth, or the items of an array."""

    path: tuple[str, ...]
    spec: Schema

    @property
    def name(self) -> str:
        return self.path[-1]


@cache
def entries() -> dict[str, Schema]:
    """Give the entries of all catalogs, by stream, layout and frequency."""
    kinds = product(("long", "wide"), ("minute", "hour", "day"))
    return {
        f"{entry['tap_stream_id']} {layout} {frequency}": entry
        for layout, frequency in kinds
        for entry in _catalog(layout, frequency)["streams"]
    }


def _catalog(layout: str, frequency: str) -> dict[str, Any]:
    config = {"measurement_layout": layout, "output_frequency": frequency}
    return TapClarity(config=config, parse_env_config=False, validate_config=False).catalog_dict


def schema(stream: str, layout: str = "long", frequency: str = "day") -> Schema:
    found: Schema = entries()[f"{stream} {layout} {frequency}"]["schema"]
    return found


def columns(stream: str, layout: str = "long", frequency: str = "day") -> list[str]:
    return list(schema(stream, layout, frequency)["properties"])


def keys(stream: str) -> list[str]:
    found: list[str] = entries()[f"{stream} long day"]["key_properties"]
    return found


def properties(spec: Schema, path: tuple[str, ...] = ()) -> Iterator[Property]:
    """Give all properties and items below, at every depth."""
    for name, inner in spec.get("properties", {}).items():
        yield Property((*path, name), inner)
        yield from properties(inner, (*path, name))
    if "items" in spec:
        yield Property((*path, "[]"), spec["items"])
        yield from properties(spec["items"], (*path, "[]"))


@cache
def times() -> frozenset[str]:
    """Name all properties that are times, at every depth."""
    return frozenset(
        found.name
        for entry in entries().values()
        for found in properties(entry["schema"])
        if found.spec.get("format") == "date-time"
    )
