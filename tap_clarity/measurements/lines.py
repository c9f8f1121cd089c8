"""The fast path: RECORD lines made of rows of text, without an object per record.

The rows of one device look alike: the same cells are empty, the same statuses stand in the same
places. So each look, called a shape, becomes a template once, and a row's numbers are filled into
it. Numbers that are JSON already go through as they are written; any other row is read cell by
cell, as on the slow path, which also words the complaints. Both paths give equal records.
"""

from __future__ import annotations

import json
import re
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.instants import format_instant
from tap_clarity.measurements.csv_wide import Order, read_flags, read_row
from tap_clarity.measurements.model import read_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_clarity.measurements.csv_wide import CsvTable

Row = list[str]
Texts = tuple[str, ...]

ROWS_AT_ONCE = 200
SHAPES_AT_MOST = 2000
HEAD = "\x01"
"""Stands in a template where the row's own part goes; JSON never holds it raw."""
# At most 15 digits, so that a double holds them all.
PLAIN_NUMBERS = re.compile(r"(?:(?:-?(?:0|[1-9]\d{0,8})(?:\.\d{1,6})?)?,)*", re.ASCII)


class Lines(NamedTuple):
    """Some RECORD lines, each with its line break, and how many they are."""

    text: str
    count: int


class Envelope(NamedTuple):
    """What all lines of a file share, beside the measurements."""

    stream: str
    org: str
    time_extracted: str


class Shape(NamedTuple):
    """A template for rows that look alike, and how many records it makes."""

    template: str
    count: int


def long_lines(table: CsvTable, envelope: Envelope) -> Iterator[Lines]:
    """Write a file's records, long, in the order of the slow path.

    Raises:
        UnreadableError: For the first row that is not what was asked for.
    """
    maker = _LineMaker(table, envelope)
    parts: list[str] = []
    count = 0
    for row in table.proven_rows():
        text, records = maker.lines_of(row)
        parts.append(text)
        count += records
        if len(parts) == ROWS_AT_ONCE:
            yield Lines("".join(parts), count)
            parts, count = [], 0
    yield Lines("".join(parts), count)
