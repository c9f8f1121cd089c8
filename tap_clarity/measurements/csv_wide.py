"""The wide CSV of reports and recent replies: a row per time, a column per metric and attribute."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from tap_clarity.instants import parse_instant
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
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_clarity.measurements.model import Expected

# Folded to letters and digits: `sourceId`, `Source Id` and `source_id` are the same column.
ID_COLUMNS = {
    "datasource_id": ("datasourceid",),
    "node_id": ("nodeid", "sourceid"),
    # No reference-site file was ever seen: these are the spellings of the request and the guide.
    "reference_site_id": ("referencesiteid", "refsiteid", "sourceid"),
}
COLUMNS = {
    "source_id": ("sourceid",),
    "source_type": ("sourcetype",),
    "output_frequency": ("outputfrequency",),
    "time": ("time", "startofperiod"),
    "period_end": ("endofperiod",),
    "latitude": ("locationlatitude", "locationlatitudedeg"),
    "longitude": ("locationlongitude", "locationlongitudedeg"),
}
ATTRIBUTES = {
    "raw": "raw",
    "value": "value",
    "status": "status",
    "qcAssessment": "qc_assessment",
    "qcFlags": "qc_flags",
    "qc": "qc_assessment",
}

# No honest file comes near these; a hostile one must not fill the memory.
LONGEST_ROW = 1 << 20
"""Characters; real rows have some thousand."""
LONGEST_FLAGS = 10_000
"""Characters of the QC flags of one metric at one time; one flag has ten or so."""
MOST_NESTED = 100
"""Brackets in them; with a thousand, it would depend on Python's stack what they are read as."""
MOST_COLUMNS = 2000
"""Real files have up to 178."""
BLOCK = 1 << 16
MOST_IDS = 100_000
"""Datasources at one time."""

logger = logging.getLogger("tap-clarity.measurements")
T = TypeVar("T")


class MetricColumns(NamedTuple):
    """Where a metric's attributes stand in a row; None for those that are not there."""

    metric: str
    raw: int | None = None
    value: int | None = None
    status: int | None = None
    qc_assessment: int | None = None
    qc_flags: int | None = None


class Header:
    """Where everything stands in a row."""

    def __init__(self, names: Sequence[str], expected: Expected) -> None:
        """Read the header's names.

        Raises:
            UnreadableError: If a column is missing that no record can do without.
        """
        self.width = len(names)
        if self.width > MOST_COLUMNS:
            raise UnreadableError(f"the header is beyond reason: {self.width:,} columns")
        places = {_folded(name): place for place, name in enumerate(names)}
        spellings = COLUMNS | {"id": ID_COLUMNS[expected.id_field]}
        self._places = {
            field: next((places[name] for name in accepted if name in places), None)
            for field, accepted in spellings.items()
        }
        if len({name if "." in name else _folded(name) or name for name in names}) < len(names):
            raise UnreadableError("the header names a column twice")
        for field in ("id", "time"):
            if self._places[field] is None:
                raise UnreadableError(f"the header has no column {spellings[field][0]}")
        self.metrics = _metric_columns(names)
        known = {name for accepted in spellings.values() for name in accepted}
        _warn(name for name in names if "." not in name and _folded(name) not in known)

    def places(self, *fields: str) -> list[int]:
        """Give where these fields stand, without those that do not."""
        places = (self._places[field] for field in fields)
        return [place for place in places if place is not None]

    def cell(self, row: Sequence[str], field: str) -> str:
        """Give a cell's text; empty if there is no such column."""
        place = self._places[field]
        return "" if place is None else row[place]


class Table:
    """The rows of a wide file or reply, as text; its header is read, its rows are not yet."""

    def __init__(self, header: Header, rows: Iterator[list[str]], expected: Expected) -> None:
        self.header = header
        self.rows = rows
        self.expected = expected

    def __iter__(self) -> Iterator[Measurement]:
        """Read measurements, and prove each one before it is given.

        Raises:
            UnreadableError: For the first row that is not what was asked for.
        """
        order = Order()

        def read(row: list[str]) -> Measurement:
            measurement = read_row(row, self.header, self.expected)
            if self.expected.window:
                order.prove(measurement.time, measurement.id)
            return measurement

        return self.each(read)

    def each(self, read: Callable[[list[str]], T]) -> Iterator[T]:
        """Give what `read` makes of each row; it raises ValueError for one that is wrong.

        Raises:
            UnreadableError: For the first row that is wrong, with its number.
        """
        number = 2
        try:
            for row in self.rows:
                if row:
                    yield read(row)
                number += 1
        except (csv.Error, *GARBAGE) as error:
            raise UnreadableError(f"row {number}: {error}") from error


def read_csv(content: BinaryIO, expected: Expected) -> Table:
    """Open unzipped CSV of measurements.

    Raises:
        UnreadableError: If the header is not that of measurements.
    """
    bounded = _Bounded(content)
    lines = io.TextIOWrapper(bounded, encoding="utf-8-sig", newline="\n")  # type: ignore[type-var]
    rows = _rows(lines)
    try:
        names = [name.strip() for name in next(rows, ())]
    except UnreadableError:
        raise
    except (csv.Error, ValueError) as error:
        raise UnreadableError("not a CSV file of measurements") from error
    return Table(Header(names, expected), rows, expected)


class _Bounded(io.BufferedIOBase):
    """Content as it is, save that none of its lines is beyond reason."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._length = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        chunk = self._content.read(max(size, BLOCK))
        self._length = 0 if b"\n" in chunk else self._length + len(chunk)
        _prove_length(self._length)
        return chunk


def _prove_length(length: int) -> None:
    if length >= LONGEST_ROW:
        raise UnreadableError(f"it is beyond reason: more than {LONGEST_ROW:,} characters")


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    """Cut lines into cells; simple ones at once, which is the same and much faster."""
    longest = csv.field_size_limit()
    for line in lines:
        text = line.rstrip("\r\n")
        if '"' in text or "\0" in text or "\r" in text or len(text) > longest:
            yield next(csv.reader(_within_reason(line, lines), strict=True))
        else:
            yield text.split(",") if text else []


def _within_reason(line: str, lines: Iterator[str]) -> Iterator[str]:
    """Give a row's first line and those that follow, as long as it is not too long."""
    length = 0
    for each in chain([line], lines):
        if "\0" in each:  # the file has a gap: the csv module would take it for text
            raise ValueError("a NUL")
        length += len(each)
        _prove_length(length)
        yield each


class Order:
    """Proves that no key comes twice in a file.

    Reports are ordered by time, oldest or newest first. So the ids of one time are all that has to
    be remembered.
    """

    def __init__(self) -> None:
        self._time: datetime | None = None
        self._ids: set[str] = set()
        self._rising: bool | None = None

    def prove(self, time: datetime, id_: str) -> None:
        """Take in the key of the next row.

        Raises:
            ValueError: If its key has been there, or the times do not go one way.
        """
        if time != self._time:
            self._turn_to(time)
        if id_ in self._ids:
            raise ValueError("the id and time of an earlier row again")
        self._ids.add(id_)
        if len(self._ids) > MOST_IDS:
            raise ValueError(f"more than {MOST_IDS:,} ids of one time, which is beyond reason")

    def _turn_to(self, time: datetime) -> None:
        if self._time is not None:
            rising = time > self._time
            if self._rising is not None and rising != self._rising:
                raise ValueError("the rows are not ordered by time")
            self._rising = rising
        self._time = time
        self._ids.clear()


def read_row(row: list[str], header: Header, expected: Expected) -> Measurement:
    """Read one row.

    Raises:
        ValueError: If it is not what was asked for.
    """
    measurement = read_without_readings(row, header, expected)
    readings = [read_reading(row, columns) for columns in header.metrics]
    return measurement._replace(readings=readings)


def read_without_readings(row: list[str], header: Header, expected: Expected) -> Measurement:
    """Read what a row says of where and when, as `read_row` does, and nothing of what was measured.

    Raises:
        ValueError: If it is not what was asked for.
    """
    if len(row) != header.width:
        raise UnreadableError(f"{len(row)} cells where the header has {header.width}")
    id_ = read_word(header.cell(row, "id"))
    if id_ is None:
        raise UnreadableError(f"no {expected.id_field}")
    said = header.cell(row, "output_frequency")
    if said and said != expected.frequency.name:
        raise UnreadableError(f"not of the frequency {expected.frequency.name}")
    time = parse_instant(header.cell(row, "time"))
    if expected.window and time not in expected.window:
        raise UnreadableError("a time outside the window that was asked for")
    return Measurement(
        id=id_,
        source_id=read_word(header.cell(row, "source_id")),
        source_type=read_word(header.cell(row, "source_type")),
        time=time,
        period_end=_period_end(header.cell(row, "period_end"), time, expected),
        latitude=_number(header.cell(row, "latitude"), "latitude"),
        longitude=_number(header.cell(row, "longitude"), "longitude"),
        readings=[],
    )


def _period_end(text: str, time: datetime, expected: Expected) -> datetime | None:
    if expected.frequency.period is None:
        return None
    return parse_instant(text) if text else time + expected.frequency.period


def read_reading(row: list[str], columns: MetricColumns) -> Reading:
    """Read what one metric says in a row.

    Raises:
        ValueError: If it is not what it should be.
    """
    name, raw, value, status, qc_assessment, qc_flags = columns
    return Reading(
        name,
        None if raw is None else _number(row[raw], name),
        None if value is None else _number(row[value], name),
        None if status is None else read_word(row[status]),
        None if qc_assessment is None else read_word(row[qc_assessment]),
        None if qc_flags is None else read_flags(row[qc_flags]),
    )


def read_flags(text: str) -> list[str] | None:
    """Read QC flags: JSON in a cell, or text that is taken as a single flag.

    A flag that is not plain text was never seen; it is kept as JSON.
    """
    if not text:
        return None
    if len(text) > LONGEST_FLAGS:
        raise ValueError("QC flags beyond reason")
    nested = text.count("[") + text.count("{")
    try:
        flags = json.loads(text) if nested <= MOST_NESTED else text
    except GARBAGE:
        flags = text
    if flags is None:
        return None
    flags = flags if isinstance(flags, list) else [flags]
    return [read_text(flag) if isinstance(flag, str) else json.dumps(flag) for flag in flags]


def _number(text: str, what: str) -> float | None:
    try:
        return read_number(text)
    except ValueError as error:
        raise UnreadableError(f"{what[:80]!r}: {error}") from error


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _metric_columns(names: Sequence[str]) -> list[MetricColumns]:
    """Group `<metric>.<attribute>` columns, in the order in which the metrics come."""
    found: dict[str, dict[str, int]] = {}
    unknown: list[str] = []
    for place, name in enumerate(names):
        metric, dot, attribute = name.rpartition(".")
        if not dot:
            continue
        if not metric or attribute not in ATTRIBUTES:
            unknown.append(name)
            continue
        places = found.setdefault(metric, {})
        if attribute != "qc" or "qc_assessment" not in places:  # should both names be there
            places[ATTRIBUTES[attribute]] = place
    _warn(unknown)
    return [MetricColumns(metric, **places) for metric, places in found.items()]


def _warn(unknown: Iterable[str]) -> None:
    names = [name[:100] for name in unknown]
    if names:
        logger.warning(
            "Columns that the tap does not know are left out (%d): %s", len(names), names[:10]
        )
