"""The fast path: records' lines made of rows of text, without an object per record.

The rows of one device look alike: the same metrics are there, with the same statuses. Each such
look, called a shape, is learned once from the slow path: its records, written out, leave pieces of
lines with gaps for the row's numbers. From then on a row costs a few calls into C: pick its
numbers, prove them, lay them between the pieces.

A number goes through as it stands in the file where that is proven to be JSON. Any other row goes
the slow path, which also words the complaints. So both paths give equal records, and a new field is
written in one place.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_clarity.measurements.csv_wide import Order, read_row
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.measurements.records import shared_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tap_clarity.measurements.csv_wide import Table
    from tap_clarity.measurements.model import Measurement
    from tap_clarity.measurements.records import Record

Row = list[str]
Texts = tuple[str, ...]

ROWS_AT_ONCE = 200
REMEMBERED = 2000
"""How many devices, times and shapes are kept in mind: flat memory, whatever comes."""
# Empty, or a number that JSON takes as it stands and a double holds to the last digit.
PLAIN_NUMBER = r"(?:-?+(?:0|[1-9][0-9]{0,6}+)(?:\.[0-9]{1,8}+)?+)?+"
_GAP = re.compile(r'"\\u0001(\d+)"')


class Lines(NamedTuple):
    """Some records, written out, each with its line break, and how many they are."""

    text: str
    records: int


class Envelope(NamedTuple):
    """What the lines of a stream share, and how a measurement becomes records.

    Attributes:
        start: What stands before each record.
        end: What stands behind each record, the line break included.
        org: Id of the organisation.
        to_records: The slow path, long or wide.
    """

    start: str
    end: str
    org: str
    to_records: Callable[[Iterable[Measurement]], Iterator[Record]]


class Shape(NamedTuple):
    """The lines of rows that look alike, in pieces.

    Attributes:
        pieces: Head, text, raw, text, value, text, and so on; all but the texts are gaps.
        heads: The gaps for what comes before a record's own fields.
        raws: The gaps for the raw numbers.
        values: The gaps for the values.
        records: How many the pieces make.
        numbers: Picks the numbers for the gaps out of a row, raw and value in turn.
        plain: Matches the numbers, each followed by a comma, if all are as JSON writes them.
        absent: Picks the numbers that are not expected to be there.
        nothing: What `absent` gives if they are not.
    """

    pieces: list[str]
    heads: slice
    raws: slice
    values: slice
    records: int
    numbers: Callable[[Row], Texts]
    plain: re.Pattern[str]
    absent: Callable[[Row], Texts]
    nothing: Texts


def record_message(stream: str, time_extracted: str) -> tuple[str, str]:
    """Write what stands before and behind a record in its RECORD message."""
    return (
        f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":',
        f',"time_extracted":{json.dumps(time_extracted)}}}\n',
    )


def lines_slowly(records: Iterable[Record]) -> Iterator[Lines]:
    """Write records that have come the slow path, alone on their lines."""
    return (Lines(f"{json.dumps(record)}\n", 1) for record in records)


def record_lines(table: Table, envelope: Envelope) -> Iterator[Lines]:
    """Write a file's records in the order of the slow path.

    Raises:
        UnreadableError: For the first row that is not what was asked for; the rows before it have
            been given.
    """
    maker = _LineMaker(table, envelope)
    texts: list[str] = []
    count = 0
    try:
        for text, records in table.each(maker.read):
            texts.append(text)
            count += records
            if len(texts) == ROWS_AT_ONCE:
                yield maker.finish(texts, count)
                texts, count = [], 0
    except UnreadableError:
        yield maker.finish(texts, count)
        raise
    yield maker.finish(texts, count)


class _LineMaker:
    def __init__(self, table: Table, envelope: Envelope) -> None:
        self._header = table.header
        self._expected = table.expected
        self._envelope = envelope
        self._order = Order()
        self._start = envelope.start
        self._end = envelope.end
        self._device = _picker(
            self._header.places("id", "source_id", "source_type", "output_frequency")
            + self._header.places("latitude", "longitude")
        )
        self._time = _picker(self._header.places("time", "period_end"))
        self._look = _picker(
            [
                place
                for columns in self._header.metrics
                for place in (columns.status, columns.qc_assessment, columns.qc_flags)
                if place is not None
            ]
        )
        self._devices: dict[Texts, tuple[str, str]] = {}
        self._times: dict[Texts, tuple[datetime, str]] = {}
        self._shapes: dict[Texts, Shape] = {}

    def read(self, row: Row) -> tuple[str, int]:
        """Write a row's records; all but the very first text begin with the end of a line.

        Raises:
            ValueError: If the row is not what was asked for.
        """
        if len(row) != self._header.width:
            return self._slowly(row)
        device = self._devices.get(self._device(row))
        time = self._times.get(self._time(row))
        shape = self._shapes.get(self._look(row))
        if device is None or time is None or shape is None:
            return self._learn(row)
        numbers = shape.numbers(row)
        if shape.absent(row) != shape.nothing or not shape.plain.fullmatch(f"{','.join(numbers)},"):
            return self._slowly(row)
        if self._expected.window:
            self._order.prove(time[0], device[0])
        pieces = shape.pieces
        pieces[shape.heads] = [f"{device[1]}{time[1]}"] * shape.records
        if "" in numbers:
            numbers = tuple(number or "null" for number in numbers)
        pieces[shape.raws] = numbers[0::2]
        pieces[shape.values] = numbers[1::2]
        return "".join(pieces), shape.records

    def finish(self, texts: list[str], count: int) -> Lines:
        """Join rows to whole lines."""
        if not count:
            return Lines("", 0)
        return Lines("".join(texts)[len(self._end) :] + self._end, count)

    def _slowly(self, row: Row) -> tuple[str, int]:
        return self._write(self._measure(row))

    def _learn(self, row: Row) -> tuple[str, int]:
        measurement = self._measure(row)
        shared = json.dumps(shared_fields(measurement, self._envelope.org, self._expected))
        before, field, after = shared.rpartition('"time":')
        _remember(
            self._devices, self._device(row), (measurement.id, self._end + self._start + before)
        )
        _remember(self._times, self._time(row), (measurement.time, f"{field}{after[:-1]}, "))
        look = self._look(row)
        if look not in self._shapes and (shape := self._shape(measurement)):
            _remember(self._shapes, look, shape)
        return self._write(measurement)

    def _measure(self, row: Row) -> Measurement:
        measurement = read_row(row, self._header, self._expected)
        if self._expected.window:
            self._order.prove(measurement.time, measurement.id)
        return measurement

    def _write(self, measurement: Measurement) -> tuple[str, int]:
        records = [json.dumps(record) for record in self._envelope.to_records([measurement])]
        return "".join(f"{self._end}{self._start}{record}" for record in records), len(records)

    def _shape(self, measurement: Measurement) -> Shape | None:
        """Learn how rows look that have statuses where this one has; None if that says too little.

        That is so where a metric has a number and no status, or no column for one of its numbers.
        """
        marked, absent = [], []
        for columns, reading in zip(self._header.metrics, measurement.readings, strict=True):
            if columns.raw is None or columns.value is None:
                return None
            if reading.status is not None:
                gaps = {"raw": f"\x01{columns.raw}", "value": f"\x01{columns.value}"}
                marked.append(reading._replace(**gaps))  # type: ignore[arg-type]
            elif reading.exists:
                return None
            else:
                absent += [columns.raw, columns.value]
        own = self._own_fields(replace(measurement, readings=marked))
        return _cut_out(own, absent)

    def _own_fields(self, measurement: Measurement) -> list[str]:
        """Write of each record what it does not share with the others, without the first brace."""
        shared = shared_fields(measurement, self._envelope.org, self._expected)
        return [
            json.dumps({name: value for name, value in record.items() if name not in shared})[1:]
            for record in self._envelope.to_records([measurement])
        ]


def _cut_out(own: list[str], absent: list[int]) -> Shape:
    pieces: list[str] = []
    heads: list[int] = []
    gaps: list[int] = []
    places: list[int] = []
    for fields in own:
        heads.append(len(pieces))
        pieces.append("")
        for number, piece in enumerate(_GAP.split(fields)):
            # Every other piece is what the gap's mark holds: the number's place in the row.
            if number % 2:
                gaps.append(len(pieces))
                places.append(int(piece))
                pieces.append("")
            else:
                pieces.append(piece)
    return Shape(
        pieces,
        _every(heads),
        _every(gaps[0::2]),
        _every(gaps[1::2]),
        len(own),
        _picker(places),
        # So many, and no more: a cell may hold a comma.
        re.compile(rf"(?:{PLAIN_NUMBER},){{{len(places)}}}+"),
        _picker(absent),
        ("",) * len(absent),
    )


def _every(places: list[int]) -> slice:
    """Make a slice of places that stand at the same distance from each other."""
    if len(places) < 2:  # noqa: PLR2004 - one place has no distance
        return slice(places[0], places[0] + 1) if places else slice(0, 0)
    return slice(places[0], places[-1] + 1, places[1] - places[0])


def _picker(places: list[int]) -> Callable[[Row], Texts]:
    """Make a function that gives the cells at these places."""
    if not places:
        return lambda _: ()
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)


def _remember(memory: dict[Texts, Any], key: Texts, value: object) -> None:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[key] = value
