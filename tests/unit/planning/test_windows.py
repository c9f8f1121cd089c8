"""The arithmetic of windows, against sets of half hours."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.windows import cut, merged, newest, without
from tests.support.window_model import (
    at,
    half_hours,
    is_apart,
    is_in_time,
    is_midnight,
    quickly,
    some_windows,
    span,
    spans,
    windows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MORE_DAYS_THAN_THERE_ARE = 10**12


@pytest.mark.parametrize(
    ("given_windows", "expected"),
    [
        ([], []),
        (["2026-03-01 to 2026-03-02"], ["2026-03-01 to 2026-03-02"]),
        (
            ["2026-03-02 to 2026-03-03", "2026-03-01 to 2026-03-02"],
            ["2026-03-01 to 2026-03-03"],
        ),
        (
            ["2026-03-01 to 2026-03-09", "2026-03-02 to 2026-03-03"],
            ["2026-03-01 to 2026-03-09"],
        ),
        (
            ["2026-03-01 to 2026-03-02T23:59", "2026-03-03 to 2026-03-04"],
            ["2026-03-01 to 2026-03-02T23:59", "2026-03-03 to 2026-03-04"],
        ),
        (["2026-03-02 to 2026-03-02", "2026-03-03 to 2026-03-01"], []),
    ],
)
def test_windows_that_overlap_or_touch_become_one(
    given_windows: Sequence[str], expected: Sequence[str]
) -> None:
    assert merged(spans(*given_windows)) == spans(*expected)


@pytest.mark.parametrize(
    ("taken_out", "expected"),
    [
        ([], ["2026-03-01 to 2026-03-10"]),
        (["2026-03-01 to 2026-03-10"], []),
        (["2026-02-01 to 2026-04-01"], []),
        (["2026-02-01 to 2026-03-01"], ["2026-03-01 to 2026-03-10"]),
        (["2026-03-10 to 2026-03-11"], ["2026-03-01 to 2026-03-10"]),
        (
            ["2026-03-04 to 2026-03-05", "2026-03-02 to 2026-03-03T12:00"],
            [
                "2026-03-01 to 2026-03-02",
                "2026-03-03T12:00 to 2026-03-04",
                "2026-03-05 to 2026-03-10",
            ],
        ),
    ],
)
def test_what_is_left_when_windows_are_taken_out(
    taken_out: Sequence[str], expected: Sequence[str]
) -> None:
    assert without(span("2026-03-01 to 2026-03-10"), spans(*taken_out)) == spans(*expected)


@pytest.mark.parametrize(
    ("whole", "days", "expected"),
    [
        ("2026-03-01 to 2026-03-08", 7, ["2026-03-01 to 2026-03-08"]),
        (
            "2026-03-01 to 2026-03-08T00:30",
            7,
            ["2026-03-01 to 2026-03-08", "2026-03-08 to 2026-03-08T00:30"],
        ),
        (
            "2026-03-01T05:30 to 2026-03-04",
            1,
            [
                "2026-03-01T05:30 to 2026-03-02",
                "2026-03-02 to 2026-03-03",
                "2026-03-03 to 2026-03-04",
            ],
        ),
        ("2024-02-28 to 2024-03-01", 2, ["2024-02-28 to 2024-03-01"]),
        ("2026-03-01 to 2026-03-01", 1, []),
        ("2026-03-01 to 9999-12-31", MORE_DAYS_THAN_THERE_ARE, ["2026-03-01 to 9999-12-31"]),
    ],
)
def test_a_window_is_cut_at_midnights(whole: str, days: int, expected: Sequence[str]) -> None:
    assert cut(span(whole), days) == spans(*expected)


@pytest.mark.parametrize(
    ("whole", "days", "expected"),
    [
        ("2026-03-01 to 2026-03-08", 7, "2026-03-01 to 2026-03-08"),
        ("2026-02-01 to 2026-03-08", 7, "2026-03-01 to 2026-03-08"),
        ("2026-02-01 to 2026-03-08T09:00", 7, "2026-03-02 to 2026-03-08T09:00"),
        ("2026-03-07T10:00 to 2026-03-08T09:00", 1, "2026-03-07T10:00 to 2026-03-08T09:00"),
        ("2026-03-07T08:00 to 2026-03-08T09:00", 1, "2026-03-08 to 2026-03-08T09:00"),
        ("0001-01-01 to 2026-03-08", MORE_DAYS_THAN_THERE_ARE, "0001-01-01 to 2026-03-08"),
    ],
)
def test_the_newest_window_begins_at_midnight_or_is_all(
    whole: str, days: int, expected: str
) -> None:
    assert newest(span(whole), days) == span(expected)


@quickly
@given(some_windows)
def test_merged_windows_hold_the_same_time_and_lie_apart(given_windows: list[Window]) -> None:
    result = merged(given_windows)
    assert half_hours(result) == half_hours(given_windows)
    assert all(a.end < b.start for a, b in pairwise(result))


@quickly
@given(windows, some_windows)
def test_what_is_left_is_the_difference(whole: Window, taken_out: list[Window]) -> None:
    result = without(whole, taken_out)
    assert half_hours(result) == half_hours([whole]) - half_hours(taken_out)
    assert is_apart(result)
    assert result == sorted(result)


@quickly
@given(windows, st.integers(1, 20))
def test_pieces_make_up_the_whole_with_as_few_cuts_as_possible(whole: Window, days: int) -> None:
    pieces = cut(whole, days)
    assert [piece.start for piece in pieces] == [whole.start, *(p.end for p in pieces[:-1])]
    assert pieces[-1].end == whole.end
    assert all(is_in_time(piece, days) for piece in pieces)
    assert all(is_midnight(piece.start) for piece in pieces[1:])
    from_midnight = whole.end - whole.start.replace(hour=0, minute=0)
    assert len(pieces) == -(-from_midnight // (days * DAY))


@quickly
@given(windows, st.integers(1, 20))
def test_the_newest_window_is_as_long_as_it_may_be(whole: Window, days: int) -> None:
    result = newest(whole, days)
    assert result.end == whole.end
    assert is_in_time(result, days)
    if result.start != whole.start:
        assert is_midnight(result.start)
        assert not is_in_time(Window(result.start - DAY, result.end), days)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    window = span("2026-03-01 to 2026-03-02")
    assert at("2026-03-01") in window
    assert at("2026-03-01T23:59:59.999") in window
    assert at("2026-03-02") not in window
    assert at("2026-02-28T23:59:59.999") not in window
