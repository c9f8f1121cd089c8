"""Templates of rows with the same pattern: text, with placeholders for what differs."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

from tap_clarity.measurements.records import OTHER_METRICS

Row = list[str]
Texts = tuple[str, ...]
ColumnGetter = Callable[[Row], Texts]

# A number that JSON takes as it is and a double holds to the last of its 15 digits; or nothing.
# Without groups they are faster; possessive ones would go wrong in Python 3.11 before 3.11.5.
PLAIN_NUMBER = r"-?+(?!0[0-9])[0-9]{1,7}+\.?+[0-9]{0,8}+(?<!\.)"
PLAIN_OR_EMPTY = r"-?+(?!0[0-9]|\.)[0-9]{0,7}+\.?+[0-9]{0,8}+(?<![.-])"
_STRIDE = 6
"""How many pieces a metric becomes, after a first one that is the head of a wide line."""


class MetricTemplate(NamedTuple):
    """What a metric writes for one pattern: start, raw number, middle, value, end.

    Attributes:
        start: The text before the raw number.
        middle: The text between the numbers.
        end: The text after the value; in the long layout to the end of the line, in the wide one
            with the comma, unless it goes into `other_metrics`.
        is_other: Whether it goes into the wide layout's `other_metrics`.
        numbers: The positions of raw number and value in a row.
    """

    start: str
    middle: str
    end: str
    is_other: bool
    numbers: list[int]


class RowTemplate(NamedTuple):
    """The lines of rows with the same pattern, in pieces.

    Attributes:
        pieces: Heads and metrics; an empty piece is a placeholder.
        heads: The placeholders for what comes before a record's own fields.
        raws: The placeholders for the raw numbers.
        values: The placeholders for the values.
        placeholders: How many numbers there are placeholders for.
        records: How many records the pieces make.
        length: The length of all pieces, in characters.
        numbers: Gets the numbers of a row, raw and value in turn, then those that must be empty.
        all_plain: Matches all of them, joined by commas, if JSON writes them so.
        all_plain_or_empty: The same where some are empty. Most rows have none, and `all_plain` is
            faster.
    """

    pieces: list[str]
    heads: slice
    raws: slice
    values: slice
    placeholders: int
    records: int
    length: int
    numbers: ColumnGetter
    all_plain: Callable[[str], object]
    all_plain_or_empty: Callable[[str], object]


def column_getter(positions: list[int]) -> ColumnGetter:
    """Return a function that gets these cells of a row."""
    if not positions:
        return lambda _: ()
    if len(positions) == 1:
        return lambda row: (row[positions[0]],)
    return itemgetter(*positions)


def long_template(metrics: list[MetricTemplate], absent: list[int]) -> RowTemplate:
    """Join the lines of one record per metric; the cells at `absent` have to be empty."""
    pieces = [""]
    for metric in metrics:
        pieces += _pieces("", metric)
    return _row_template(pieces, slice(1, None, _STRIDE), metrics, absent)


def wide_template(metrics: list[MetricTemplate], absent: list[int], end: str) -> RowTemplate:
    """Build the line of one record, with what ends it; the cells at `absent` have to be empty."""
    known = [metric for metric in metrics if not metric.is_other]
    others = [metric for metric in metrics if metric.is_other]
    pieces = [""]
    for metric in known:
        pieces += _pieces("", metric)
    before = f'"{OTHER_METRICS}":{{'
    for metric in others:
        pieces += _pieces(before, metric)
        before = ","
    pieces.append(f"}}}}{end}" if others else f'"{OTHER_METRICS}":null}}{end}')
    return _row_template(pieces, slice(0, 1), [*known, *others], absent)


def _pieces(before: str, metric: MetricTemplate) -> Texts:
    # The metric's own texts: copies would cost each row template the memory of its lines.
    return (before, metric.start, "", metric.middle, "", metric.end)


def _row_template(
    pieces: list[str], heads: slice, metrics: list[MetricTemplate], absent: list[int]
) -> RowTemplate:
    end = _STRIDE * len(metrics)
    positions = [position for metric in metrics for position in metric.numbers]
    return RowTemplate(
        pieces=pieces,
        heads=heads,
        raws=slice(3, end + 1, _STRIDE),
        values=slice(5, end + 1, _STRIDE),
        placeholders=len(positions),
        records=len(pieces[heads]),
        length=sum(map(len, pieces)),
        numbers=column_getter([*positions, *absent]),
        all_plain=_matcher(PLAIN_NUMBER, len(positions), len(absent)),
        all_plain_or_empty=_matcher(PLAIN_OR_EMPTY, len(positions), len(absent)),
    )


def _matcher(number: str, present: int, absent: int) -> Callable[[str], object]:
    """Match so many numbers and so many empty cells, joined by commas; a cell may hold a comma."""
    if not present:
        return re.compile(rf",{{{max(absent - 1, 0)}}}").fullmatch
    return re.compile(rf"{number}(?:,{number}){{{present - 1}}},{{{absent}}}").fullmatch
