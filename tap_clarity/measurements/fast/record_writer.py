"""The fast path: writes the records of rows as text, without an object per record.

Most rows repeat a pattern: the same metrics are present, with the same statuses and QC. What a
metric writes for a pattern is learned once from the reference path, as text with placeholders for
its two numbers: the metric template. The templates of a row's metrics make its row template. Each
later row of that pattern costs a few calls into C: get its numbers, verify them, fill the
placeholders.

A number passes unchanged where it is verified to be JSON. Any other row takes the reference path,
which also words the errors. So both paths give equal records, and a new field is written in one
place.
"""

from __future__ import annotations

import json
from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from tap_clarity.measurements.csv_wide import read_reading, read_row, read_without_readings
from tap_clarity.measurements.fast.templates import (
    MetricTemplate,
    RowTemplate,
    column_getter,
    long_template,
    wide_template,
)
from tap_clarity.measurements.model import UnreadableError, is_missing
from tap_clarity.measurements.records import OTHER_METRICS, WideLayout
from tap_clarity.measurements.row_anomalies import epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_clarity.measurements.column_labels import MetricColumns
    from tap_clarity.measurements.csv_wide import Table
    from tap_clarity.measurements.fast.templates import Row, Texts
    from tap_clarity.measurements.model import Measurement, Reading
    from tap_clarity.measurements.records import Layout, Record
    from tap_clarity.measurements.row_anomalies import RowCheck

Written = tuple[list[str], int, int]
"""Pieces of text, how many records they make, and about how many characters they have."""
K = TypeVar("K")
V = TypeVar("V")

MAX_LINES_LENGTH = 1 << 16
"""Characters, about: few enough to stay in the processor's cache until they are written."""
MAX_CACHE_BYTES = 1 << 22
"""About; memory stays flat whatever the rows hold."""
_json = json.JSONEncoder(separators=(",", ":")).encode
_RAW, _VALUE = "\x01raw", "\x01value"
_SEPARATOR = "\0"
"""Between the cells of a pattern: no cell holds it, so no two patterns are equal by accident."""


class Lines(NamedTuple):
    """Some records as text, each with its line break, and how many they are."""

    text: str
    records: int

    def split(self, records: int) -> tuple[Lines, Lines]:
        """Split off the first so many records."""
        lines = self.text.splitlines(keepends=True)
        first, rest = "".join(lines[:records]), "".join(lines[records:])
        return Lines(first, records), Lines(rest, self.records - records)


class Envelope(NamedTuple):
    """The text around each record.

    Attributes:
        start: The text before each record.
        end: The text after each record, the line break included.
    """

    start: str = ""
    end: str = "\n"

    @classmethod
    def of_message(cls, stream: str, time_extracted: str) -> Self:
        """Write what surrounds a record in its RECORD message."""
        return cls(
            f'{{"type":"RECORD","stream":{_json(stream)},"record":',
            f',"time_extracted":{_json(time_extracted)}}}\n',
        )


def reference_lines(records: Iterable[Record]) -> Iterator[Lines]:
    """Write records of the reference path, alone on their lines."""
    return (Lines(f"{_json(record)}\n", 1) for record in records)


def record_lines(table: Table, layout: Layout, envelope: Envelope) -> Iterator[Lines]:
    """Write a file's records in the order of the reference path.

    Raises:
        UnreadableError: For the first row that is not what was requested; the rows before it have
            been given.
    """
    check = table.new_check()
    writer = _RowWriter(table, layout, envelope, check)
    texts: list[str] = []
    count = size = 0
    try:
        for pieces, records, length in table.each(writer.write, check):
            texts += pieces
            count += records
            size += length
            if size > MAX_LINES_LENGTH:
                yield Lines("".join(texts), count)
                texts, count, size = [], 0, 0
    except UnreadableError:
        yield Lines("".join(texts), count)
        raise
    yield Lines("".join(texts), count)


class _RowWriter:
    def __init__(self, table: Table, layout: Layout, envelope: Envelope, check: RowCheck) -> None:
        self._header = table.header
        self._expected = table.expected
        self._layout = layout
        self._envelope = envelope
        self._check = check
        self._get_device = column_getter(
            self._header.positions("id", "source_id", "source_type", "output_frequency")
            + self._header.positions("latitude", "longitude")
        )
        self._get_time = column_getter(self._header.positions("time", "period_end"))
        self._cache = BoundedCache()
        self._metrics = [
            _MetricWriter(columns, self._header.width, layout, envelope, self._cache)
            for columns in self._header.metrics
        ]
        without_status = [each for metric in self._metrics for each in metric.without_status]
        self._get_pattern = column_getter(
            [position for metric in self._metrics for position in metric.pattern]
        )
        self._get_without_status = column_getter(without_status) if without_status else None
        # Else a cell at the end of each row stands for the missing columns.
        self._is_complete = all(
            self._header.width not in metric.numbers for metric in self._metrics
        )
        self._devices: dict[Texts, tuple[str, str]] = self._cache.new_section()
        self._times: dict[Texts, tuple[int, str]] = self._cache.new_section()
        self._templates: dict[str, RowTemplate] = self._cache.new_section()

    def write(self, row: Row) -> Written:
        """Write a row's records.

        Raises:
            ValueError: If the row is not what was requested.
        """
        if len(row) != self._header.width:
            return self._reference_path(row)
        device = self._devices.get(self._get_device(row))
        time = self._times.get(self._get_time(row))
        if device is None or time is None:
            return self._learn_device(row)
        cells = row if self._is_complete else [*row, ""]
        pattern = _SEPARATOR.join(self._get_pattern(cells))
        if self._get_without_status:
            pattern += "".join("x" if cell else " " for cell in self._get_without_status(cells))
        template = self._templates.get(pattern) or self._learn_template(pattern, cells)
        if template is None:
            return self._reference_path(row)
        pieces, heads, raws, values, placeholders, records, length, get, plain, or_empty = template
        numbers = get(cells)
        texts: Sequence[str] = numbers[:placeholders]
        if not plain(joined := ",".join(numbers)):
            if not or_empty(joined):
                return self._reference_path(row)
            texts = [text or "null" for text in texts]
        self._check.add(time[0], device[0])
        pieces = pieces.copy()  # or the row's texts would stay, scattered over the memory
        pieces[heads] = [head := f"{device[1]}{time[1]}"] * records
        pieces[raws] = texts[0::2]
        pieces[values] = texts[1::2]
        return pieces, records, length + records * len(head)

    def _reference_path(self, row: Row) -> Written:
        start, end = self._envelope
        records = self._layout.records([self._measure(row)])
        lines = [f"{start}{_json(record)}{end}" for record in records]
        return lines, len(lines), sum(map(len, lines))

    def _learn_device(self, row: Row) -> Written:
        """Learn the row's device and time from the reference path, then write the row."""
        measurement = read_without_readings(row, self._header, self._expected)
        shared = _json(self._layout.shared_fields(measurement))
        before, field, after = shared.rpartition('"time":')
        device = (measurement.id, f"{self._envelope.start}{before}")
        self._cache.put(self._devices, cells := self._get_device(row), device, (*cells, *device))
        time = (epoch_milliseconds(measurement.time), f"{field}{after[:-1]},")
        self._cache.put(self._times, cells := self._get_time(row), time, (*cells, *time))
        return self.write(row)

    def _measure(self, row: Row) -> Measurement:
        measurement = read_row(row, self._header, self._expected)
        self._check.add(epoch_milliseconds(measurement.time), measurement.id)
        return measurement

    def _learn_template(self, pattern: str, cells: Row) -> RowTemplate | None:
        """Build the template of a pattern; None if the row has to take the reference path."""
        present: list[MetricTemplate] = []
        absent: list[int] = []
        try:
            for metric in self._metrics:
                if metric.exists(cells):
                    present.append(metric.template(cells))
                else:
                    metric.reading(cells)
                    absent += metric.numbers
        except ValueError:  # the reference path words it
            return None
        if isinstance(self._layout, WideLayout):
            template = wide_template(present, absent, self._envelope.end)
        else:
            template = long_template(present, absent)
        # Its texts are those of the metric templates, and it gets each cell at most twice.
        self._cache.put(
            self._templates, pattern, template, (pattern, template.pieces, cells, cells)
        )
        return template


class BoundedCache:
    """Dictionaries that share one limit of memory; when it is exceeded, all are cleared."""

    def __init__(self) -> None:
        self._sections: list[dict[Any, Any]] = []
        self._bytes_left = MAX_CACHE_BYTES

    def new_section(self) -> dict[Any, Any]:
        """Return a new dictionary; add to it by `put` only."""
        self._sections.append({})
        return self._sections[-1]

    def put(self, section: dict[K, V], key: K, value: V, held: Iterable[object]) -> None:
        """Add a value unless the key is known; `held` is what takes the memory."""
        if key in section:
            return
        size = sum(map(getsizeof, held))
        self._bytes_left -= size
        if self._bytes_left < 0:
            for each in self._sections:
                each.clear()
            self._bytes_left = MAX_CACHE_BYTES - size
        section[key] = value


class _MetricWriter:
    """A metric's columns, and the templates that have been learned for it."""

    def __init__(
        self,
        columns: MetricColumns,
        missing: int,
        layout: Layout,
        envelope: Envelope,
        cache: BoundedCache,
    ) -> None:
        positions = [missing if position is None else position for position in columns[1:]]
        self.numbers = positions[:2]
        self.pattern = [position for position in columns[3:] if isinstance(position, int)]
        # Without a status column, the numbers tell whether there is a measurement.
        self.without_status = [] if columns.status is not None else self.numbers
        self._columns = columns
        self._layout = layout
        is_wide = isinstance(layout, WideLayout)
        self._closing = "," if is_wide else f"}}{envelope.end}"
        self._get_pattern = column_getter(self.pattern)
        self._get_signs = column_getter(self.without_status or [positions[2]])
        self._cache = cache
        self._templates: dict[Texts, MetricTemplate] = cache.new_section()

    def exists(self, cells: Row) -> bool:
        signs = self._get_signs(cells)
        # Rows of one pattern must agree, and of a number it only has whether the cell is empty.
        return any(signs) if self.without_status else not all(map(is_missing, signs))

    def template(self, cells: Row) -> MetricTemplate:
        """Return the template of the pattern that the metric has in this row.

        Raises:
            ValueError: If the row is not what was requested, or there is no place for placeholders.
        """
        pattern = self._get_pattern(cells)
        template = self._templates.get(pattern)
        if template is None:
            template = self._learn(cells)
            self._cache.put(self._templates, pattern, template, (*pattern, *template[:3]))
        return template

    def reading(self, cells: Row) -> Reading:
        """Read the metric as the reference path does, except for the numbers.

        Raises:
            ValueError: If a cell is not what it should be.
        """
        return read_reading(cells, self._columns._replace(raw=None, value=None))

    def _learn(self, cells: Row) -> MetricTemplate:
        """Let the reference path write two marks, and split the text at them."""
        marked = self.reading(cells)._replace(raw=_RAW, value=_VALUE)  # type: ignore[arg-type]
        fields = self._layout.fields(marked)
        is_other = OTHER_METRICS in fields
        text = _json(fields.get(OTHER_METRICS, fields))[1:-1]
        start, rest = text.split(_json(_RAW))
        middle, end = rest.split(_json(_VALUE))
        end = end if is_other else end + self._closing
        return MetricTemplate(start, middle, end, is_other, self.numbers)
