"""The long JSON of recent replies: an object per time and metric, places apart."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from tap_clarity.instants import parse_instant
from tap_clarity.measurements.csv_wide import read_flags
from tap_clarity.measurements.json_stream import read_members
from tap_clarity.measurements.model import (
    GARBAGE,
    Measurement,
    Reading,
    UnreadableError,
    read_number,
    read_text,
    read_word,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_clarity.measurements.json_stream import Member
    from tap_clarity.measurements.model import Expected

JsonObject = dict[str, Any]
Place = tuple[float | None, float | None]
NOWHERE: Place = (None, None)

# Some drawings of the guide nest a metric's attributes under its name.
FIELDS = {"datasourceId", "time", "startOfPeriod", "endOfPeriod", "sourceId", "sourceType"}


# No honest reply comes near these; a hostile one must not fill the memory.
MOST_TIMES = 400_000
"""Datasources times instants: a day of 1,100 sensors' samples, and the cache holds no more."""
MOST_APART = 1 << 23
"""Characters of the objects that wait for others of their datasource and time."""


class Survey(NamedTuple):
    """What has to be known of a reply before its first measurement can be given.

    Attributes:
        places: Latitude and longitude by datasource id.
        last: The number of the last object of each datasource and time.
    """

    places: dict[str | None, Place]
    last: dict[tuple[str, datetime], int]


def read_json_long(content: BinaryIO, expected: Expected) -> Iterator[Measurement]:
    """Read measurements from a JSON reply; it is read twice, and never held whole.

    `locations` is missing where nothing came, and source columns always are.

    Raises:
        UnreadableError: If the reply is not one of measurements; on demand, for the first object
            that is not what was asked for.
    """
    try:
        survey = _survey(content, expected)
    except UnreadableError:
        raise
    except GARBAGE as error:
        raise UnreadableError("it is not JSON, or not a JSON object: cut or garbled") from error
    content.seek(0)
    return _measurements(content, survey, expected)


def _survey(content: BinaryIO, expected: Expected) -> Survey:
    survey = Survey({}, {})
    missing = {"data"}
    for member in read_members(content):
        _prove_list(member)
        missing.discard(member.name)
        if member.number and member.name == "locations":
            survey.places[_id(member.value)] = _place(member.value)
        elif member.number and member.name == "data":
            with suppress(*GARBAGE):  # it is refused when its turn comes
                survey.last[_key(member.value, expected)] = member.number
        if len(survey.last) + len(survey.places) > MOST_TIMES:
            raise UnreadableError(f"it is beyond reason: more than {MOST_TIMES:,} times")
    if missing:
        raise UnreadableError("the reply has no list of data")
    return survey


def _place(item: JsonObject) -> Place:
    try:
        return _number(item.get("lat")), _number(item.get("lon"))
    except ValueError as error:
        raise UnreadableError(f"one of the locations: {error}") from error


def _prove_list(member: Member) -> None:
    if member.name in {"data", "locations"}:
        nothing = member.name == "locations" and not member.value
        fits = isinstance(member.value, dict) if member.number else member.is_list or nothing
        if not fits:
            raise UnreadableError(f"the reply has no list of {member.name}")


def _measurements(content: BinaryIO, survey: Survey, expected: Expected) -> Iterator[Measurement]:
    """Give each measurement with the last of its objects: they stand together as a rule."""
    together: dict[tuple[str, datetime], list[Member]] = {}
    apart = 0
    for member in read_members(content):
        if not member.number or member.name != "data":
            continue
        try:
            key = _key(member.value, expected)
            members = together.setdefault(key, [])
            members.append(member)
            apart += member.length
            if apart > MOST_APART:
                raise UnreadableError("what belongs together is too far apart")
            if member.number == survey.last[key]:
                del together[key]
                apart -= sum(each.length for each in members)
                items = [each.value for each in members]
                yield _measurement(*key, items, survey.places.get(key[0], NOWHERE), expected)
        except GARBAGE as error:
            raise UnreadableError(f"object {member.number}: {error}") from error


def _id(item: JsonObject) -> str | None:
    id_ = _text(item.get("datasourceId"))
    return sys.intern(id_) if id_ else None


def _key(item: JsonObject, expected: Expected) -> tuple[str, datetime]:
    id_ = _id(item)
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
    place: Place,
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
        latitude=place[0],
        longitude=place[1],
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
    return read_word(value)
