"""Conforms the API's objects to a stream's schema, and keeps what does not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tap_clarity.core.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Container

ADDITIONAL = "additional_fields"
Json = Any
JsonSchema = dict[str, Any]

_SIMPLE_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
}


def conform_record(item: dict[str, Json], schema: JsonSchema) -> dict[str, Json]:
    """Make a record of an API object: known fields typed, all others in `additional_fields`.

    Names become snake case at every depth. A field whose value is not of the documented type is
    treated as unknown: it is kept beside, and null in its place. What Clarity leaves out is null.
    Of several names that become the same field, the one in camel case counts.
    """
    record, rest = _conform_object(item, schema)
    return dict.fromkeys(schema["properties"]) | record | {ADDITIONAL: rest}


def snake_case(name: str) -> str:
    """Turn `lastReadingReceivedAt` into `last_reading_received_at`."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _camel_case(field: str) -> str:
    """Turn `last_reading_received_at` into `lastReadingReceivedAt`."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), field)


def _conform(value: Json, schema: JsonSchema) -> tuple[Json, Json]:
    """Split a value into what fits the schema and what does not; None where there is nothing."""
    kinds = schema["type"]
    if value is None:
        return None, None
    if "object" in kinds:
        # One page draws as a list of one what another draws as an object, and the other way round.
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return _conform_object(value, schema) if isinstance(value, dict) else (None, value)
    if "array" in kinds:
        return _conform_list(value if isinstance(value, list) else [value], schema["items"])
    return _conform_scalar(value, schema, kinds)


def _conform_scalar(value: Json, schema: JsonSchema, kinds: list[str]) -> tuple[Json, Json]:
    allowed = tuple(kind for name in kinds for kind in _SIMPLE_TYPES.get(name, ()))
    if isinstance(value, bool) != ("boolean" in kinds) or not isinstance(value, allowed):
        return None, value
    if schema.get("format") == "date-time":
        try:
            return format_timestamp(parse_timestamp(str(value))), None
        except ValueError:
            return None, value
    return value, None


def _conform_list(values: list[Json], items: JsonSchema) -> tuple[Json, Json]:
    pairs = [_conform(value, items) for value in values]
    kept = [part for part, _ in pairs if part is not None]
    if "object" not in items["type"] and len(kept) < len(values):
        return None, values  # in a list of numbers the places may count
    rest = [left for _, left in pairs if left is not None]
    return kept, rest or None


def _conform_object(item: dict[str, Json], schema: JsonSchema) -> tuple[dict[str, Json], Json]:
    properties = schema.get("properties")
    if not properties:  # nobody has seen what is inside
        return _in_snake_case(item), None
    kept: dict[str, Json] = {}
    rest: dict[str, Json] = {}
    for name, value in item.items():
        field = snake_case(name)
        is_known = field in properties and field not in kept and field != ADDITIONAL
        if not is_known or (name != (usual := _camel_case(field)) and usual in item):
            rest[_unique_name(field or name, rest)] = value
            continue
        kept[field], left = _conform(value, properties[field])
        if left is not None:
            rest[field] = left
    return kept, rest or None


def _unique_name(name: str, taken: Container[str]) -> str:
    """Lengthen a name until it is not taken: in snake case, two names may be one."""
    while name in taken:
        name += "_"
    return name


def _in_snake_case(value: Json) -> Json:
    if isinstance(value, list):
        return [_in_snake_case(item) for item in value]
    if isinstance(value, dict):
        renamed: dict[str, Json] = {}
        for name, item in value.items():
            renamed[_unique_name(snake_case(name) or name, renamed)] = _in_snake_case(item)
        return renamed
    return value
