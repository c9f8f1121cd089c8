"""The fast path: records' lines made of rows of text, without an object per record.

Most rows look like earlier ones: the same metrics are there, with the same statuses and QC. What a
metric writes for a look is learned once from the slow path, as text with gaps for its two numbers.
The parts of a row's metrics make its shape. From then on a row of that look costs a few calls into
C: pick its numbers, prove them, lay them into the gaps.

A number goes through as it stands in the file where that is proven to be JSON. Any other row goes
the slow path, which also words the complaints. So both paths give equal records, and a new field is
written in one place.
"""

from __future__ import annotations

import json
from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tap_clarity.measurements.csv_wide import read_reading, read_row, read_without_readings
from tap_clarity.measurements.fast.templates import Part, Shape, long_shape, picker, wide_shape
from tap_clarity.measurements.model import UnreadableError, is_missing
from tap_clarity.measurements.records import OTHER_METRICS, WideLayout
from tap_clarity.measurements.row_check import epoch_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_clarity.measurements.column_labels import MetricColumns
    from tap_clarity.measurements.csv_wide import Table
    from tap_clarity.measurements.fast.templates import Row, Texts
    from tap_clarity.measurements.model import Measurement, Reading
    from tap_clarity.measurements.records import Layout, Record
    from tap_clarity.measurements.row_check import RowCheck

Written = tuple[list[str], int, int]
"""Pieces of text, how many records they make, and about how many characters they have."""
K = TypeVar("K")
V = TypeVar("V")

AT_ONCE = 1 << 16
"""Characters, about: few enough to stay in the processor's cache until they are written."""
MOST_LEARNED = 1 << 22
"""Bytes, about, of what is kept in mind: flat memory, whatever comes."""
_json = json.JSONEncoder(separators=(",", ":")).encode
_RAW, _VALUE = "\x01raw", "\x01value"
_BETWEEN = "\0"
"""Stands between the cells of a key: no row has it in a cell, so no two keys are alike."""


class Lines(NamedTuple):
    """Some records, written out, each with its line break, and how many they are."""

    text: str
    records: int

    def cut(self, records: int) -> tuple[Lines, Lines]:
        """Part the first so many records from the rest."""
        lines = self.text.splitlines(keepends=True)
        first, rest = "".join(lines[:records]), "".join(lines[records:])
        return Lines(first, records), Lines(rest, self.records - records)


class Envelope(NamedTuple):
    """What stands around each record, and how measurements become records: the slow path.

    Attributes:
        start: What stands before each record.
        end: What stands behind each record, the line break included.
        layout: Long or wide.
    """

    start: str
    end: str
    layout: Layout


def record_message(stream: str, time_extracted: str) -> tuple[str, str]:
    """Write what stands before and behind a record in its RECORD message."""
    return (
        f'{{"type":"RECORD","stream":{_json(stream)},"record":',
        f',"time_extracted":{_json(time_extracted)}}}\n',
    )


def lines_slowly(records: Iterable[Record]) -> Iterator[Lines]:
    """Write records that have come the slow path, alone on their lines."""
    return (Lines(f"{_json(record)}\n", 1) for record in records)


def record_lines(table: Table, envelope: Envelope) -> Iterator[Lines]:
    """Write a file's records in the order of the slow path.

    Raises:
        UnreadableError: For the first row that is not what was asked for; the rows before it have
            been given.
    """
    check = table.new_check()
    maker = _LineMaker(table, envelope, check)
    texts: list[str] = []
    count = size = 0
    try:
        for pieces, records, length in table.each(maker.read, check):
            texts += pieces
            count += records
            size += length
            if size > AT_ONCE:
                yield Lines("".join(texts), count)
                texts, count, size = [], 0, 0
    except UnreadableError:
        yield Lines("".join(texts), count)
        raise
    yield Lines("".join(texts), count)


class _LineMaker:
    def __init__(self, table: Table, envelope: Envelope, check: RowCheck) -> None:
        self._header = table.header
        self._expected = table.expected
        self._envelope = envelope
        self._check = check
        self._device = picker(
            self._header.places("id", "source_id", "source_type", "output_frequency")
            + self._header.places("latitude", "longitude")
        )
        self._time = picker(self._header.places("time", "period_end"))
        self._memory = _Memory()
        self._metrics = [
            _Metric(columns, self._header.width, envelope, self._memory)
            for columns in self._header.metrics
        ]
        bare = [place for metric in self._metrics for place in metric.bare]
        self._look = picker([place for metric in self._metrics for place in metric.look])
        self._bare = picker(bare) if bare else None
        # Else a cell at the end of each row stands for the columns that are not there.
        self._is_complete = all(
            self._header.width not in metric.numbers for metric in self._metrics
        )
        self._devices: dict[Texts, tuple[str, str]] = self._memory.memo()
        self._times: dict[Texts, tuple[int, str]] = self._memory.memo()
        self._shapes: dict[str, Shape] = self._memory.memo()

    def read(self, row: Row) -> Written:
        """Write a row's records.

        Raises:
            ValueError: If the row is not what was asked for.
        """
        if len(row) != self._header.width:
            return self._slowly(row)
        device = self._devices.get(self._device(row))
        time = self._times.get(self._time(row))
        if device is None or time is None:
            return self._meet(row)
        cells = row if self._is_complete else [*row, ""]
        look = _BETWEEN.join(self._look(cells))
        if self._bare:
            look += "".join("x" if cell else " " for cell in self._bare(cells))
        shape = self._shapes.get(look) or self._new_shape(look, cells)
        if shape is None:
            return self._slowly(row)
        pieces, heads, raws, values, gaps, records, length, pick, are_there, are_right = shape
        numbers = pick(cells)
        texts: Sequence[str] = numbers[:gaps]
        if not are_there(proof := ",".join(numbers)):
            if not are_right(proof):
                return self._slowly(row)
            texts = [text or "null" for text in texts]
        self._check.add(time[0], device[0])
        pieces = pieces.copy()  # or the row's texts would stay, scattered over the memory
        pieces[heads] = [head := f"{device[1]}{time[1]}"] * records
        pieces[raws] = texts[0::2]
        pieces[values] = texts[1::2]
        return pieces, records, length + records * len(head)

    def _slowly(self, row: Row) -> Written:
        start, end, layout = self._envelope
        records = layout.records([self._measure(row)])
        lines = [f"{start}{_json(record)}{end}" for record in records]
        return lines, len(lines), sum(map(len, lines))

    def _meet(self, row: Row) -> Written:
        """Learn the row's device and time from the slow path."""
        measurement = read_without_readings(row, self._header, self._expected)
        shared = _json(self._envelope.layout.shared_fields(measurement))
        before, field, after = shared.rpartition('"time":')
        device = (measurement.id, f"{self._envelope.start}{before}")
        self._memory.keep(self._devices, cells := self._device(row), device, (*cells, *device))
        time = (epoch_milliseconds(measurement.time), f"{field}{after[:-1]},")
        self._memory.keep(self._times, cells := self._time(row), time, (*cells, *time))
        return self.read(row)

    def _measure(self, row: Row) -> Measurement:
        measurement = read_row(row, self._header, self._expected)
        self._check.add(epoch_milliseconds(measurement.time), measurement.id)
        return measurement

    def _new_shape(self, look: str, cells: Row) -> Shape | None:
        """Put together the shape of a look; None if the row has to go the slow path."""
        parts: list[Part] = []
        absent: list[int] = []
        try:
            for metric in self._metrics:
                if metric.exists(cells):
                    parts.append(metric.part(cells))
                else:
                    metric.reading(cells)
                    absent += metric.numbers
        except ValueError:  # which the slow path words
            return None
        if isinstance(self._envelope.layout, WideLayout):
            shape = wide_shape(parts, absent, self._envelope.end)
        else:
            shape = long_shape(parts, absent)
        # Its texts are those of the parts, and it picks each cell at most twice.
        self._memory.keep(self._shapes, look, shape, (look, shape.pieces, cells, cells))
        return shape


class _Memory:
    """What has been learned; when it is too much, all of it is forgotten."""

    def __init__(self) -> None:
        self._memos: list[dict[Any, Any]] = []
        self._room = MOST_LEARNED

    def memo(self) -> dict[Any, Any]:
        self._memos.append({})
        return self._memos[-1]

    def keep(self, memo: dict[K, V], key: K, value: V, held: Iterable[object]) -> None:
        """Keep a value, unless it is known; `held` is what takes the memory."""
        if key in memo:
            return
        size = sum(map(getsizeof, held))
        self._room -= size
        if self._room < 0:
            for each in self._memos:
                each.clear()
            self._room = MOST_LEARNED - size
        memo[key] = value


class _Metric:
    """A metric's columns, and what it has been seen to write."""

    def __init__(
        self, columns: MetricColumns, nowhere: int, envelope: Envelope, memory: _Memory
    ) -> None:
        places = [nowhere if place is None else place for place in columns[1:]]
        self.numbers = places[:2]
        self.look = [place for place in columns[3:] if isinstance(place, int)]
        # Where it shows whether there is a measurement: without statuses, the numbers say so.
        self.bare = [] if columns.status is not None else self.numbers
        self._columns = columns
        self._layout = envelope.layout
        is_wide = isinstance(envelope.layout, WideLayout)
        self._closing = "," if is_wide else f"}}{envelope.end}"
        self._look = picker(self.look)
        self._signs = picker(self.bare or [places[2]])
        self._memory = memory
        self._parts: dict[Texts, Part] = memory.memo()

    def exists(self, cells: Row) -> bool:
        signs = self._signs(cells)
        # Rows of one look must agree, and of a number it only has whether the cell is empty.
        return any(signs) if self.bare else not all(map(is_missing, signs))

    def part(self, cells: Row) -> Part:
        """Give what it writes for the look that it has in this row.

        Raises:
            ValueError: If the row is not what was asked for, or no gaps can be cut into it.
        """
        look = self._look(cells)
        part = self._parts.get(look)
        if part is None:
            part = self._learn(cells)
            self._memory.keep(self._parts, look, part, (*look, *part[:3]))
        return part

    def reading(self, cells: Row) -> Reading:
        """Read what it says, as the slow path does, but for the numbers.

        Raises:
            ValueError: If it is not what it should be.
        """
        return read_reading(cells, self._columns._replace(raw=None, value=None))

    def _learn(self, cells: Row) -> Part:
        """Let the slow path write two marks, and see what stands around them."""
        marked = self.reading(cells)._replace(raw=_RAW, value=_VALUE)  # type: ignore[arg-type]
        fields = self._layout.fields(marked)
        is_other = OTHER_METRICS in fields
        text = _json(fields.get(OTHER_METRICS, fields))[1:-1]
        start, rest = text.split(_json(_RAW))
        middle, end = rest.split(_json(_VALUE))
        return Part(start, middle, end if is_other else end + self._closing, is_other, self.numbers)
