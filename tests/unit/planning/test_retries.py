"""Failing windows: when they are retried, and that their list stays short."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.retries import (
    FailingWindow,
    add_failure,
    remove_covered,
    retries_due,
)
from tests.support.planning.window_model import (
    SOME_EXAMPLES,
    are_disjoint,
    at,
    half_hours,
    parse_window,
    windows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

TODAY = date(2026, 3, 10)
WEEK = parse_window("2026-03-01 to 2026-03-08")


def fail(window: Window = WEEK, attempts: int = 1, since: int = 0, wait: int = 0) -> FailingWindow:
    """A window that fails since some days, and waits for some."""
    return FailingWindow(window, attempts, TODAY - since * DAY, TODAY + wait * DAY)


def test_retries_are_at_growing_intervals_of_days() -> None:
    failing: tuple[FailingWindow, ...] = ()
    days, today = [], TODAY
    for attempts in range(1, 8):
        failing = add_failure(failing, WEEK, today)
        (only,) = failing
        assert (only.window, only.attempts, only.since) == (WEEK, attempts, TODAY)
        days.append((only.retry_on - today).days)
        today = only.retry_on
    assert days == [0, 1, 2, 4, 7, 7, 7]


@pytest.mark.parametrize(("attempts", "days"), [(0, 1), (1, 1), (2, 2)])
def test_rejected_request_is_retried_on_another_day(attempts: int, days: int) -> None:
    before = (fail(attempts=attempts),) if attempts else ()
    assert add_failure(before, WEEK, TODAY, min_days=1) == (fail(attempts=attempts + 1, wait=days),)


def test_part_of_a_failing_window_continues_its_count_and_keeps_the_rest() -> None:
    before = (fail(attempts=3, since=5, wait=2),)
    assert add_failure(before, parse_window("2026-03-01 to 2026-03-03"), TODAY) == (
        fail(parse_window("2026-03-01 to 2026-03-03"), attempts=4, since=5, wait=4),
        fail(parse_window("2026-03-03 to 2026-03-08"), attempts=3, since=5, wait=2),
    )


def test_window_adjacent_to_a_failing_one_starts_a_new_count() -> None:
    other = parse_window("2026-03-08 to 2026-03-09")
    before = (fail(attempts=3, since=5, wait=2),)
    assert add_failure(before, other, TODAY) == (*before, fail(other))


def test_covered_windows_are_no_longer_failing() -> None:
    before = (fail(attempts=3), fail(parse_window("2026-03-08 to 2026-03-09")))
    assert remove_covered(before, parse_window("2026-03-03 to 2026-03-09")) == (
        fail(parse_window("2026-03-01 to 2026-03-03"), attempts=3),
    )
    assert remove_covered(before, parse_window("2026-03-01 to 2026-03-09")) == ()


@pytest.mark.parametrize(("wait", "due"), [(-3, [WEEK]), (0, [WEEK]), (1, [])])
def test_retry_is_due_from_its_day_on(wait: int, due: Sequence[Window]) -> None:
    assert retries_due([fail(wait=wait)], TODAY) == due


def test_a_failure_recorded_by_a_clock_that_was_ahead_is_retried_at_once() -> None:
    assert retries_due([fail(since=-5, wait=9)], TODAY) == [WEEK]
    assert retries_due([fail(since=0, wait=4)], TODAY) == []


@pytest.mark.parametrize(("since", "is_unresolved"), [(0, False), (2, False), (3, True), (9, True)])
def test_failing_window_is_unresolved_after_three_days(since: int, *, is_unresolved: bool) -> None:
    assert fail(since=since).is_unresolved(TODAY) is is_unresolved


def test_beyond_six_failing_windows_the_two_nearest_are_merged() -> None:
    failing: tuple[FailingWindow, ...] = ()
    for number in range(6):
        day = at("2026-01-01") + number * 7 * DAY
        failing = add_failure(failing, Window(day, day + DAY), TODAY - number * DAY)
    assert len(failing) == 6
    # The seventh is two days after the second: nearer than any other two.
    near = parse_window("2026-01-11 to 2026-01-12")
    joined = add_failure(failing, near, TODAY, min_days=1)
    assert len(joined) == 6
    expected = FailingWindow(parse_window("2026-01-08 to 2026-01-12"), 1, TODAY - DAY, TODAY + DAY)
    assert joined == (failing[0], expected, *failing[2:])


def test_adjacent_windows_with_equal_failures_are_merged() -> None:
    one = add_failure((), parse_window("2026-01-01 to 2026-01-05"), TODAY)
    both = add_failure(one, parse_window("2026-01-05 to 2026-01-09"), TODAY)
    assert both == (FailingWindow(parse_window("2026-01-01 to 2026-01-09"), 1, TODAY, TODAY),)
    later = add_failure(one, parse_window("2026-01-05 to 2026-01-09"), TODAY + DAY)
    assert len(later) == 2


failures = st.lists(st.tuples(windows, st.integers(0, 3), st.integers(0, 1)), max_size=30)


@SOME_EXAMPLES
@given(failures)
def test_no_failing_window_is_lost_and_the_state_stays_bounded(
    failures: list[tuple[Window, int, int]],
) -> None:
    failing: tuple[FailingWindow, ...] = ()
    today, ever = TODAY, set[int]()
    for window, pause, min_days in failures:
        today += timedelta(days=pause)
        before = failing
        failing = add_failure(failing, window, today, min_days)
        ever |= half_hours([window])
        assert ever <= half_hours(each.window for each in failing)
        assert are_disjoint([each.window for each in failing])
        assert len(failing) <= 6
        assert list(failing) == sorted(failing)
        added = next(each for each in failing if not half_hours([window]) - half_hours([each[0]]))
        overlapping = [each for each in before if half_hours([each.window]) & half_hours([window])]
        assert added.attempts > max((each.attempts for each in overlapping), default=0)
        assert today + timedelta(days=min_days) <= added.retry_on
        assert added.since <= min([today, *(each.since for each in overlapping)])
        assert all(each.retry_on <= today + timedelta(days=7) for each in failing)


@SOME_EXAMPLES
@given(failures, windows)
def test_exactly_the_covered_range_is_removed(
    failures: list[tuple[Window, int, int]], covered: Window
) -> None:
    failing: tuple[FailingWindow, ...] = ()
    for window, _, _ in failures:
        failing = add_failure(failing, window, TODAY)
    left = remove_covered(failing, covered)
    assert half_hours(each.window for each in left) == half_hours(
        each.window for each in failing
    ) - half_hours([covered])
