"""The long JSON of recent data: an object per time and metric; locations are in a separate list."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from tap_clarity.core.timestamps import parse_timestamp
from tap_clarity.measurements.column_labels import canonical_metric
from tap_clarity.measurements.csv_wide import read_flags
from tap_clarity.measurements.json_attribute_names import AttributeNames, NameList
from tap_clarity.measurements.json_stream import read_members
from tap_clarity.measurements.model import (
    PARSE_ERRORS,
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
Location = tuple[float | None, float | None]
NO_LOCATION: Location = (None, None)

FIELDS = ("datasourceId", "time", "startOfPeriod", "endOfPeriod", "sourceId", "sourceType")
READINGS = ("raw", "value", "status")
ITEM = AttributeNames(
    *FIELDS, "outputFrequency", "metric", *READINGS, "qcAssessment", "qc", "qcFlags"
)
LOCATION = AttributeNames("datasourceId", "lat", "lon")

MESSAGES = {"error", "errors", "message"}
"""Members of an error; one that comes with status 200 is not a response without new data."""

# Real responses stay far below these limits; a malicious one must not fill the memory.
MAX_TIMES = 400_000
"""Of all datasources together: a day of 1,100 sensors' samples, the depth of the recent cache."""
MAX_WAITING_LENGTH = 1 << 23
"""Characters of the objects that wait for others of their datasource and time."""
logger = logging.getLogger("tap-clarity.measurements")


class FirstPass(NamedTuple):
    """What is known of a response after it was read once, before its first measurement is built.

    Attributes:
        locations: Latitude and longitude by datasource id.
        last: The number of the last object of each datasource and time.
    """

    locations: dict[str | None, Location]
    last: dict[tuple[str, datetime], int]

    @property
    def size(self) -> int:
        """The number of its entries."""
        return len(self.locations) + len(self.last)


def read_json_long(content: BinaryIO, expected: Expected) -> Iterator[Measurement]:
    """Read measurements from a JSON response; it is read twice, and never held whole.

    `locations` is missing where there is no data, and source columns always are.

    Raises:
        UnreadableError: If it is not a response with measurements; on demand, for the first object
            that is not what was requested.
    """
    try:
        first_pass = _first_pass(content, expected)
    except UnreadableError:
        raise
    except PARSE_ERRORS as error:
        raise UnreadableError("it is not JSON, or not a JSON object: cut or garbled") from error
    content.seek(0)
    return _measurements(content, first_pass, expected)


def _first_pass(content: BinaryIO, expected: Expected) -> FirstPass:
    first_pass, first_names, unknown = FirstPass({}, {}), NameList(), NameList()
    is_empty, has_data, has_reading, has_message = True, False, False, False
    for member in _read_members(content):
        is_empty = False
        has_message |= member.name.casefold() in MESSAGES
        has_data |= member.name == "data"
        _check_list(member, expected)
        if member.number and member.name == "locations":
            unknown.add(LOCATION.unknown(member.value))
            first_pass.locations[_id(member.value)] = _location(member.value)
        elif member.number and member.name == "data":
            first_names.add(() if first_names.names else member.value)
            unknown.add(_unknown_names(member.value))
            has_reading = has_reading or _has_reading(member.value)
            with suppress(*PARSE_ERRORS):  # the second pass rejects it
                first_pass.last[_key(member.value, expected)] = member.number
        if first_pass.size > MAX_TIMES:
            raise UnreadableError(f"it is beyond reason: more than {MAX_TIMES:,} times")
    if has_message and has_data and not first_pass.last:
        raise UnreadableError("the reply is a message and has no measurements")
    if not has_data and not (is_empty and expected.may_be_blank):
        raise UnreadableError("the reply has no list of data")
    if first_pass.last and not has_reading:
        raise UnreadableError(
            f"no object has a raw, value or status; the first names are {first_names}"
        )
    if unknown.names:
        logger.warning("Attributes that the tap does not know are left out: %s", unknown)
    return first_pass


def _read_members(content: BinaryIO) -> Iterator[Member]:
    """Read the members of a response, the attributes of their items under their usual names."""
    for member in read_members(content):
        if member.number and isinstance(member.value, dict):
            names = LOCATION if member.name == "locations" else ITEM
            yield member._replace(value=names.rename(member.value))
        else:
            yield member


def _has_reading(item: JsonObject) -> bool:
    return any(not each.keys().isdisjoint(READINGS) for each in (item, *_nested(item).values()))


def _unknown_names(item: JsonObject) -> Iterator[str]:
    nested = _nested(item)
    yield from (name for name in ITEM.unknown(item) if name not in nested)
    for attributes in nested.values():
        yield from ITEM.unknown(attributes)


def _location(item: JsonObject) -> Location:
    try:
        return _number(item.get("lat")), _number(item.get("lon"))
    except ValueError as error:
        raise UnreadableError(f"one of the locations: {error}") from error


def _check_list(member: Member, expected: Expected) -> None:
    if member.name in {"data", "locations"}:
        nothing = (
            not member.value if member.name == "locations" else _is_without_data(member, expected)
        )
        fits = isinstance(member.value, dict) if member.number else member.is_list or nothing
        if not fits:
            raise UnreadableError(f"the reply has no list of {member.name}")


def _is_without_data(member: Member, expected: Expected) -> bool:
    return expected.may_be_blank and member.value is None


def _measurements(
    content: BinaryIO, first_pass: FirstPass, expected: Expected
) -> Iterator[Measurement]:
    """Yield each measurement at the last of its objects: as a rule they are adjacent."""
    waiting: dict[tuple[str, datetime], list[Member]] = {}
    waiting_length = 0
    for member in _read_members(content):
        if not member.number or member.name != "data":
            continue
        try:
            key = _key(member.value, expected)
            members = waiting.setdefault(key, [])
            members.append(member)
            waiting_length += member.length
            if waiting_length > MAX_WAITING_LENGTH:
                raise UnreadableError("what belongs together is too far apart")
            if member.number == first_pass.last[key]:
                del waiting[key]
                waiting_length -= sum(each.length for each in members)
                items = [each.value for each in members]
                yield _measurement(
                    *key, items, first_pass.locations.get(key[0], NO_LOCATION), expected
                )
        except PARSE_ERRORS as error:
            raise UnreadableError(f"object {member.number}: {error}") from error


def _id(item: JsonObject) -> str | None:
    id_ = _text(item.get("datasourceId"))
    return sys.intern(id_) if id_ else None


def _key(item: JsonObject, expected: Expected) -> tuple[str, datetime]:
    id_ = _id(item)
    if id_ is None:
        raise UnreadableError("no datasourceId")
    if not expected.allows_frequency(str(item.get("outputFrequency"))):
        raise UnreadableError(f"not of the frequency {expected.frequency.name}")
    return id_, parse_timestamp(item.get("startOfPeriod") or item.get("time") or "")


def _measurement(
    id_: str,
    time: datetime,
    items: list[JsonObject],
    location: Location,
    expected: Expected,
) -> Measurement:
    end = _text(items[0].get("endOfPeriod"))
    period = expected.frequency.period
    return Measurement(
        id=id_,
        source_id=_text(items[0].get("sourceId")),
        source_type=_text(items[0].get("sourceType")),
        time=time,
        period_end=None if period is None else parse_timestamp(end) if end else time + period,
        latitude=location[0],
        longitude=location[1],
        readings=[reading for item in items for reading in _readings(item)],
    )


def _readings(item: JsonObject) -> Iterator[Reading]:
    metric = item.get("metric")
    if isinstance(metric, str) and metric:
        yield _reading(metric, item)
        return
    nested = _nested(item)
    if not nested:
        raise UnreadableError("no metric")
    for name, attributes in nested.items():
        yield _reading(name, attributes)


def _nested(item: JsonObject) -> dict[str, JsonObject]:
    """Return the metrics whose attributes are nested under their names."""
    if item.get("metric"):
        return {}
    return {
        name: ITEM.rename(value)
        for name, value in item.items()
        if isinstance(value, dict) and name not in FIELDS
    }


def _reading(metric: str, attributes: JsonObject) -> Reading:
    flags = attributes.get("qcFlags")
    assessment = attributes.get("qcAssessment", attributes.get("qc"))
    if not isinstance(flags, str | None):
        flags = json.dumps(flags)
    return Reading(
        canonical_metric(read_text(metric)),
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
