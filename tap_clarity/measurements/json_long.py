"""The long JSON of recent replies: an object per time and metric, places apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

from tap_clarity.instants import parse_instant
from tap_clarity.measurements.csv_wide import read_flags
from tap_clarity.measurements.model import (
    GARBAGE,
    Measurement,
    Reading,
    UnreadableError,
    read_number,
    read_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_clarity.measurements.model import Expected

JsonObject = dict[str, Any]

# Some drawings of the guide nest a metric's attributes under its name.
FIELDS = {"datasourceId", "time", "startOfPeriod", "endOfPeriod", "sourceId", "sourceType"}


def read_json_long(content: BinaryIO, expected: Expected) -> Iterator[Measurement]:
    """Read measurements from a JSON reply; the whole reply is parsed at once.

    `locations` is missing where nothing came, and source columns always are.

    Raises:
        UnreadableError: If the reply is not one of measurements; on demand, for the first object
            that is not what was asked for.
    """
    try:
        document = json.load(content)
    except GARBAGE as error:
        raise UnreadableError("the reply is not JSON: cut or garbled") from error
    if not isinstance(document, dict):
        raise UnreadableError("the reply is not a JSON object")
    data = _objects(document.get("data"), "data")
    return _measurements(data, _objects(document.get("locations") or [], "locations"), expected)


def _objects(value: Any, name: str) -> list[JsonObject]:  # noqa: ANN401
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise UnreadableError(f"the reply has no list of {name}")


def _measurements(
    data: list[JsonObject], locations: list[JsonObject], expected: Expected
) -> Iterator[Measurement]:
    places = {_text(place.get("datasourceId")): place for place in locations}
    together: dict[tuple[str, datetime], list[JsonObject]] = {}
    for number, item in enumerate(data, start=1):
        try:
            together.setdefault(_key(item, expected), []).append(item)
        except GARBAGE as error:
            raise UnreadableError(f"object {number}: {error}") from error
    for (id_, time), items in together.items():
        try:
            yield _measurement(id_, time, items, places.get(id_, {}), expected)
        except GARBAGE as error:
            raise UnreadableError(f"{id_[:80]!r} at {time}: {error}") from error


def _key(item: JsonObject, expected: Expected) -> tuple[str, datetime]:
    id_ = _text(item.get("datasourceId"))
    if id_ is None:
        raise UnreadableError("no datasourceId")
    said = item.get("outputFrequency")
    if said is not None and said != expected.frequency.name:
        raise UnreadableError(f"not of the frequency {expected.frequency.name}")
    return id_, parse_instant(item.get("time") or item.get("startOfPeriod") or "")


def _measurement(
    id_: str,
    time: datetime,
    items: list[JsonObject],
    place: JsonObject,
    expected: Expected,
) -> Measurement:
    end = items[0].get("endOfPeriod")
    period = expected.frequency.period
    return Measurement(
        id=id_,
        source_id=_text(items[0].get("sourceId")),
        source_type=_text(items[0].get("sourceType")),
        time=time,
        period_end=None if period is None else parse_instant(end) if end else time + period,
        latitude=_number(place.get("lat")),
        longitude=_number(place.get("lon")),
        readings=[reading for item in items for reading in _readings(item)],
    )


def _readings(item: JsonObject) -> Iterator[Reading]:
    metric = item.get("metric")
    if isinstance(metric, str) and metric:
        yield _reading(metric, item)
        return
    nested = {k: v for k, v in item.items() if isinstance(v, dict) and k not in FIELDS}
    if not nested:
        raise UnreadableError("no metric")
    for name, attributes in nested.items():
        yield _reading(name, attributes)


def _reading(metric: str, attributes: JsonObject) -> Reading:
    flags = attributes.get("qcFlags")
    assessment = attributes.get("qcAssessment", attributes.get("qc"))
    if not isinstance(flags, str | None):
        flags = json.dumps(flags)
    return Reading(
        read_text(metric),
        _number(attributes.get("raw")),
        _number(attributes.get("value")),
        _text(attributes.get("status")),
        _text(assessment),
        read_flags(flags or ""),
    )


def _number(value: Any) -> float | None:  # noqa: ANN401
    """Read a JSON number, or one that was written as text."""
    if value is None or isinstance(value, str):
        return read_number(value or "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError("not a number")
    return read_number(repr(value))


def _text(value: Any) -> str | None:  # noqa: ANN401
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UnreadableError("not a text")
    return read_text(value)
