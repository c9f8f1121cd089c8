"""The long JSON of recent replies: an object per time and metric, places apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

from tap_clarity.instants import parse_instant
from tap_clarity.measurements.csv_wide import read_flags
from tap_clarity.measurements.model import Measurement, Reading, UnreadableError, read_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.measurements.model import Expected

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
    except (ValueError, RecursionError) as error:
        raise UnreadableError("the reply is not JSON: cut or garbled") from error
    if not isinstance(document, dict):
        raise UnreadableError("the reply is not a JSON object")
    data = _objects(document.get("data"), "data")
    return _measurements(data, _objects(document.get("locations") or [], "locations"), expected)


def _objects(value: Any, name: str) -> list[dict[str, Any]]:  # noqa: ANN401
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise UnreadableError(f"the reply has no list of {name}")


def _measurements(
    data: list[dict[str, Any]], locations: list[dict[str, Any]], expected: Expected
) -> Iterator[Measurement]:
    places = {place.get("datasourceId"): place for place in locations}
    together: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for item in data:
        time = item.get("time") or item.get("startOfPeriod")
        together.setdefault((item.get("datasourceId"), time), []).append(item)
    for (id_, time), items in together.items():
        if not isinstance(id_, str) or not id_ or not isinstance(time, str):
            raise UnreadableError("an object without datasourceId or time")
        yield _measurement(id_, time, items, places.get(id_, {}), expected)


def _measurement(
    id_: str,
    text: str,
    items: list[dict[str, Any]],
    place: dict[str, Any],
    expected: Expected,
) -> Measurement:
    try:
        time = parse_instant(text)
        end = items[0].get("endOfPeriod")
        period = expected.frequency.period
        return Measurement(
            id=id_,
            source_id=items[0].get("sourceId"),
            source_type=items[0].get("sourceType"),
            time=time,
            period_end=None if period is None else parse_instant(end) if end else time + period,
            latitude=_number(place.get("lat")),
            longitude=_number(place.get("lon")),
            readings=[reading for item in items for reading in _readings(item)],
        )
    except ValueError as error:
        raise UnreadableError(f"datasource {id_} at {text[:30]}: {error}") from error


def _readings(item: dict[str, Any]) -> Iterator[Reading]:
    metric = item.get("metric")
    if isinstance(metric, str):
        yield _reading(metric, item)
        return
    nested = {k: v for k, v in item.items() if isinstance(v, dict) and k not in FIELDS}
    if not nested:
        raise UnreadableError("no metric")
    for name, attributes in nested.items():
        yield _reading(name, attributes)


def _reading(metric: str, attributes: dict[str, Any]) -> Reading:
    flags = attributes.get("qcFlags")
    assessment = attributes.get("qcAssessment", attributes.get("qc"))
    if not isinstance(flags, str | None):
        flags = json.dumps(flags)
    return Reading(
        metric,
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
        raise UnreadableError("a status that is not text")
    return value
