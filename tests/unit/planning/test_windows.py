"""Arithmetic of windows, compared with sets of half hours."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.windows import cut, merged, newest, without
from tests.support.planning.window_model import (
    SOME_EXAMPLES,
    are_disjoint,
    at,
    half_hours,
    is_in_time,
    is_midnight,
    parse_window,
    parse_windows,
    window_lists,
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
def test_overlapping_or_adjacent_windows_are_merged(
    given_windows: Sequence[str], expected: Sequence[str]
) -> None:
    assert merged(parse_windows(*given_windows)) == parse_windows(*expected)


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
def test_difference_of_windows(taken_out: Sequence[str], expected: Sequence[str]) -> None:
    assert without(
        parse_window("2026-03-01 to 2026-03-10"), parse_windows(*taken_out)
    ) == parse_windows(*expected)


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
def test_window_is_split_at_midnights(whole: str, days: int, expected: Sequence[str]) -> None:
    assert cut(parse_window(whole), days) == parse_windows(*expected)


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
def test_newest_window_starts_at_midnight_or_is_the_whole_range(
    whole: str, days: int, expected: str
) -> None:
    assert newest(parse_window(whole), days) == parse_window(expected)


@SOME_EXAMPLES
@given(window_lists)
def test_merged_windows_cover_the_same_time_and_are_disjoint(given_windows: list[Window]) -> None:
    result = merged(given_windows)
    assert half_hours(result) == half_hours(given_windows)
    assert all(a.end < b.start for a, b in pairwise(result))


@SOME_EXAMPLES
@given(windows, window_lists)
def test_difference_equals_the_set_difference(whole: Window, taken_out: list[Window]) -> None:
    result = without(whole, taken_out)
    assert half_hours(result) == half_hours([whole]) - half_hours(taken_out)
    assert are_disjoint(result)
    assert result == sorted(result)


@SOME_EXAMPLES
@given(windows, st.integers(1, 20))
def test_pieces_cover_the_window_with_the_fewest_splits(whole: Window, days: int) -> None:
    pieces = cut(whole, days)
    assert [piece.start for piece in pieces] == [whole.start, *(p.end for p in pieces[:-1])]
    assert pieces[-1].end == whole.end
    assert all(is_in_time(piece, days) for piece in pieces)
    assert all(is_midnight(piece.start) for piece in pieces[1:])
    from_midnight = whole.end - whole.start.replace(hour=0, minute=0)
    assert len(pieces) == -(-from_midnight // (days * DAY))


@SOME_EXAMPLES
@given(windows, st.integers(1, 20))
def test_newest_window_has_the_maximum_length(whole: Window, days: int) -> None:
    result = newest(whole, days)
    assert result.end == whole.end
    assert is_in_time(result, days)
    if result.start != whole.start:
        assert is_midnight(result.start)
        assert not is_in_time(Window(result.start - DAY, result.end), days)


def test_window_includes_its_start_and_excludes_its_end() -> None:
    window = parse_window("2026-03-01 to 2026-03-02")
    assert at("2026-03-01") in window
    assert at("2026-03-01T23:59:59.999") in window
    assert at("2026-03-02") not in window
    assert at("2026-02-28T23:59:59.999") not in window
