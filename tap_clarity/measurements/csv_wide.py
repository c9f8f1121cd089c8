"""The wide CSV of reports and recent data: a row per time, a column per metric and attribute."""

from __future__ import annotations

import csv
import io
import json
import logging
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TypeVar

from tap_clarity.core.timestamps import parse_timestamp
from tap_clarity.measurements.column_labels import fold, group_columns, parse_column
from tap_clarity.measurements.model import (
    PARSE_ERRORS,
    Measurement,
    Reading,
    UnreadableError,
    is_missing,
    read_number,
    read_text,
    read_word,
)
from tap_clarity.measurements.row_anomalies import RowCheck, epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tap_clarity.measurements.column_labels import MetricColumns
    from tap_clarity.measurements.model import Expected

# Folded to letters and digits: `sourceId`, `Source Id` and `source_id` are the same column.
ID_COLUMNS = {
    "datasource_id": ("datasourceid",),
    "node_id": ("nodeid", "sourceid"),
    # No reference-site file was ever seen: these are the names in the request and the guide.
    "reference_site_id": ("referencesiteid", "refsiteid", "sourceid"),
}
COLUMNS = {
    "source_id": ("sourceid",),
    "source_type": ("sourcetype",),
    "output_frequency": ("outputfrequency",),
    "time": ("startofperiod", "time"),
    "period_end": ("endofperiod",),
    "latitude": ("locationlatitude", "locationlatitudedeg"),
    "longitude": ("locationlongitude", "locationlongitudedeg"),
}
# Real files stay far below these limits; a malicious one must not fill the memory.
MAX_ROW_LENGTH = 1 << 20
"""Characters; real rows have some thousand."""
MAX_FLAGS_LENGTH = 10_000
"""Characters of the QC flags of one metric at one time; one flag has ten or so."""
MAX_FLAGS_BRACKETS = 100
"""Brackets in them; with a thousand, the result would depend on Python's stack."""
MAX_COLUMNS = 2000
"""Real files have up to 178."""
CHUNK = 1 << 16
MAX_NAMES_IN_MESSAGE = 10

logger = logging.getLogger("tap-clarity.measurements")
T = TypeVar("T")


class Header:
    """The positions of all columns in a row."""

    def __init__(self, names: Sequence[str], expected: Expected) -> None:
        """Read the header's names.

        Raises:
            UnreadableError: If a column is missing that no record can do without.
        """
        self.width = len(names)
        if self.width > MAX_COLUMNS:
            raise UnreadableError(f"the header is beyond reason: {self.width:,} columns")
        others = {name: position for position, name in enumerate(names) if not parse_column(name)}
        positions = {fold(name): position for name, position in others.items()}
        accepted_names = COLUMNS | {"id": ID_COLUMNS[expected.id_field]}
        self._positions = {
            field: next((positions[name] for name in accepted if name in positions), None)
            for field, accepted in accepted_names.items()
        }
        self.metrics = group_columns(names)
        _reject_repeated([name for name in names if not parse_column(name)])
        for field, name in (("id", accepted_names["id"][0]), ("time", "time")):
            if self._positions[field] is None:
                raise UnreadableError(f"the header has no column {name}")
        known = {name for accepted in accepted_names.values() for name in accepted}
        self.first_names = shorten(names)
        if unknown := [name for name in others if fold(name) not in known]:
            logger.warning(
                "Columns that the tap does not know are left out (%d): %s",
                len(unknown),
                shorten(unknown),
            )

    def positions(self, *fields: str) -> list[int]:
        """Return the positions of these fields, without those of missing ones."""
        positions = (self._positions[field] for field in fields)
        return [position for position in positions if position is not None]

    def cell(self, row: Sequence[str], field: str) -> str:
        """Return a cell's text; empty if there is no such column."""
        position = self._positions[field]
        return "" if position is None else row[position]


class Table:
    """The rows of a wide file or response, as text; only its header is read yet."""

    def __init__(self, header: Header, rows: Iterator[list[str]], expected: Expected) -> None:
        self.header = header
        self.rows = rows
        self.expected = expected

    def __iter__(self) -> Iterator[Measurement]:
        """Read measurements, and validate each one before it is given.

        Raises:
            UnreadableError: For the first row that is not what was requested.
        """
        check = self.new_check()

        def read(row: list[str]) -> Measurement:
            measurement = read_row(row, self.header, self.expected)
            check.add(epoch_milliseconds(measurement.time), measurement.id)
            return measurement

        return self.each(read, check)

    def new_check(self) -> RowCheck:
        """Return a check for one pass over the rows."""
        return RowCheck(self.expected.window)

    def each(self, read: Callable[[list[str]], T], check: RowCheck) -> Iterator[T]:
        """Give the result of `read` for each row, and log at the end what the check has found.

        Raises:
            UnreadableError: For the first row for which `read` raises ValueError, with its number,
                or for the first one if no column holds a metric; at the end, if no row is inside
                the window.
        """
        if not self.header.metrics:
            read = self._reject_row
        number, blank = 2, 0
        try:
            for row in self.rows:
                if row:
                    yield read(row)
                else:
                    blank += 1
                number += 1
        except (csv.Error, *PARSE_ERRORS) as error:
            raise UnreadableError(f"row {number}: {error}") from error
        check.finish(number - 2 - blank)

    def _reject_row(self, _: list[str]) -> NoReturn:
        first = self.header.first_names
        raise UnreadableError(f"no column holds a metric; the first are {first}")


def read_csv(content: BinaryIO, expected: Expected) -> Table | tuple[()]:
    """Open unzipped CSV of measurements.

    Returns:
        A table; nothing if a header without rows lacks columns, and the content may be blank.

    Raises:
        UnreadableError: If the header is not that of measurements.
    """
    bounded = _BoundedLines(content)
    lines = io.TextIOWrapper(bounded, encoding="utf-8-sig", newline="\n")  # type: ignore[type-var]
    rows = _rows(lines)
    try:
        names = [name.strip() for name in next(rows, ())]
    except UnreadableError:
        raise
    except (csv.Error, ValueError) as error:
        raise UnreadableError("not a CSV file of measurements") from error
    try:
        return Table(Header(names, expected), rows, expected)
    except UnreadableError:
        if expected.may_be_blank and _is_empty_header(names) and _is_empty(rows):
            return ()
        raise


def _is_empty(rows: Iterator[list[str]]) -> bool:
    try:
        return not any(rows)
    except (csv.Error, *PARSE_ERRORS):
        return False


def _is_empty_header(names: Sequence[str]) -> bool:
    """Whether a header is one of measurements, and no message that came instead of them."""
    if len(names) > MAX_COLUMNS:
        return False
    known = {each for names in [*ID_COLUMNS.values(), *COLUMNS.values()] for each in names}
    return any(fold(name) in known or parse_column(name) for name in names)


class _BoundedLines(io.BufferedIOBase):
    """Content as it is; a line that exceeds the limit is an error."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content
        self._length = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        chunk = self._content.read(max(size, CHUNK))
        self._length = 0 if b"\n" in chunk else self._length + len(chunk)
        _check_length(self._length)
        return chunk


def _check_length(length: int) -> None:
    if length >= MAX_ROW_LENGTH:
        raise UnreadableError(f"it is beyond reason: more than {MAX_ROW_LENGTH:,} characters")


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    """Split lines into cells; the csv module does it where quotes or controls need it, slower."""
    max_length = csv.field_size_limit()
    for line in lines:
        text = line.rstrip("\r\n")
        if '"' in text or "\0" in text or "\r" in text or len(text) > max_length:
            yield next(csv.reader(_row_lines(line, lines), strict=True))
        else:
            yield text.split(",") if text else []


def _row_lines(line: str, lines: Iterator[str]) -> Iterator[str]:
    """Give a row's first line and those that follow, up to the limit of its length."""
    length = 0
    for each in chain([line], lines):
        if "\0" in each:  # the file has a gap: the csv module would take it for text
            raise ValueError("a NUL")
        length += len(each)
        _check_length(length)
        yield each


def read_row(row: list[str], header: Header, expected: Expected) -> Measurement:
    """Read one row.

    Raises:
        ValueError: If it is not what was asked for.
    """
    measurement = read_without_readings(row, header, expected)
    readings = [read_reading(row, columns) for columns in header.metrics]
    return measurement._replace(readings=readings)


def read_without_readings(row: list[str], header: Header, expected: Expected) -> Measurement:
    """Read the ids, times and location of a row as `read_row` does, without its readings.

    Raises:
        ValueError: If it is not what was asked for.
    """
    if len(row) != header.width:
        raise UnreadableError(f"{len(row)} cells where the header has {header.width}")
    id_ = read_word(header.cell(row, "id"))
    if id_ is None:
        raise UnreadableError(f"no {expected.id_field}")
    if not expected.allows_frequency(header.cell(row, "output_frequency")):
        raise UnreadableError(f"not of the frequency {expected.frequency.name}")
    time = parse_timestamp(header.cell(row, "time"))
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
    return time + expected.frequency.period if is_missing(text) else parse_timestamp(text)


def read_reading(row: list[str], columns: MetricColumns) -> Reading:
    """Read one metric of a row.

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
    if is_missing(text):
        return None
    if len(text) > MAX_FLAGS_LENGTH:
        raise ValueError("QC flags beyond reason")
    nested = text.count("[") + text.count("{")
    try:
        flags = json.loads(text) if nested <= MAX_FLAGS_BRACKETS else text
    except PARSE_ERRORS:
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


def _reject_repeated(names: Sequence[str]) -> None:
    """Reject two forms of one name; names without ASCII letters are compared as they are."""
    found: set[str] = set()
    for name in names:
        folded = fold(name) or name
        if folded in found:
            raise UnreadableError(f"the header names a column twice: {name[:100]!r}")
        found.add(folded)


def shorten(names: Sequence[str]) -> list[str]:
    """Return the first names, cut to a length that a message can hold."""
    return [name[:100] for name in names[:MAX_NAMES_IN_MESSAGE]]
