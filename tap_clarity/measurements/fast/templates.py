"""What rows that look alike write: text, with gaps for what differs."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

from tap_clarity.measurements.records import OTHER_METRICS

Row = list[str]
Texts = tuple[str, ...]
Picker = Callable[[Row], Texts]

# A number that JSON takes as it stands and a double holds to the last of its 15 digits; or nothing.
# Without groups they are faster; possessive ones would go wrong in Python 3.11 before 3.11.5.
PLAIN_NUMBER = r"-?+(?!0[0-9])[0-9]{1,7}+\.?+[0-9]{0,8}+(?<!\.)"
PLAIN_OR_EMPTY = r"-?+(?!0[0-9]|\.)[0-9]{0,7}+\.?+[0-9]{0,8}+(?<![.-])"
_STRIDE = 6
"""How many pieces a part becomes, after a first one that is the head of a wide line."""


class Part(NamedTuple):
    """What a metric writes for one look: start, raw number, middle, value, end.

    Attributes:
        start: What stands before the raw number.
        middle: What stands between the numbers.
        end: What stands behind the value; in the long layout to the end of the line, in the wide
            one with the comma, unless it goes into `other_metrics`.
        is_other: Whether it goes into the wide layout's `other_metrics`.
        numbers: Where raw number and value stand in a row.
    """

    start: str
    middle: str
    end: str
    is_other: bool
    numbers: list[int]


class Shape(NamedTuple):
    """The lines of rows that look alike, in pieces.

    Attributes:
        pieces: Heads and parts; what is empty is a gap.
        heads: The gaps for what comes before a record's own fields.
        raws: The gaps for the raw numbers.
        values: The gaps for the values.
        gaps: How many numbers there are gaps for.
        records: How many the pieces make.
        length: Of all pieces, in characters.
        numbers: Picks the numbers out of a row, raw and value in turn, then those that are not to
            be there.
        are_there: Matches all of them, with commas between, if JSON writes them so.
        are_right: The same where some are missing. Most rows miss none, and `are_there` is faster.
    """

    pieces: list[str]
    heads: slice
    raws: slice
    values: slice
    gaps: int
    records: int
    length: int
    numbers: Picker
    are_there: Callable[[str], object]
    are_right: Callable[[str], object]


def picker(places: list[int]) -> Picker:
    """Make a function that gives the cells at these places."""
    if not places:
        return lambda _: ()
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places)


def long_shape(parts: list[Part], absent: list[int]) -> Shape:
    """Put together lines of a record per part; the cells at `absent` have to be empty."""
    pieces = [""]
    for part in parts:
        pieces += _pieces("", part)
    return _shape(pieces, slice(1, None, _STRIDE), parts, absent)


def wide_shape(parts: list[Part], absent: list[int], end: str) -> Shape:
    """Put together a line of one record, with what ends it; as above."""
    known = [part for part in parts if not part.is_other]
    others = [part for part in parts if part.is_other]
    pieces = [""]
    for part in known:
        pieces += _pieces("", part)
    before = f'"{OTHER_METRICS}":{{'
    for part in others:
        pieces += _pieces(before, part)
        before = ","
    pieces.append(f"}}}}{end}" if others else f'"{OTHER_METRICS}":null}}{end}')
    return _shape(pieces, slice(0, 1), [*known, *others], absent)


def _pieces(before: str, part: Part) -> Texts:
    # The part's own texts: were they copied, each shape would take the memory of its lines.
    return (before, part.start, "", part.middle, "", part.end)


def _shape(pieces: list[str], heads: slice, parts: list[Part], absent: list[int]) -> Shape:
    end = _STRIDE * len(parts)
    places = [place for part in parts for place in part.numbers]
    return Shape(
        pieces=pieces,
        heads=heads,
        raws=slice(3, end + 1, _STRIDE),
        values=slice(5, end + 1, _STRIDE),
        gaps=len(places),
        records=len(pieces[heads]),
        length=sum(map(len, pieces)),
        numbers=picker([*places, *absent]),
        are_there=_matching(PLAIN_NUMBER, len(places), len(absent)),
        are_right=_matching(PLAIN_OR_EMPTY, len(places), len(absent)),
    )


def _matching(number: str, there: int, absent: int) -> Callable[[str], object]:
    """Match so many numbers and so many empty cells, with commas between; a cell may hold one."""
    if not there:
        return re.compile(rf",{{{max(absent - 1, 0)}}}").fullmatch
    return re.compile(rf"{number}(?:,{number}){{{there - 1}}},{{{absent}}}").fullmatch
