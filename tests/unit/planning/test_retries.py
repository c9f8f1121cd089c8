"""Windows whose reports fail: when they are retried, and that their list stays short."""

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
from tests.support.window_model import at, half_hours, is_apart, quickly, span, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

TODAY = date(2026, 3, 10)
WEEK = span("2026-03-01 to 2026-03-08")


def fail(window: Window = WEEK, attempts: int = 1, since: int = 0, wait: int = 0) -> FailingWindow:
    """A window that fails since some days, and waits for some."""
    return FailingWindow(window, attempts, TODAY - since * DAY, TODAY + wait * DAY)


def test_the_next_attempts_come_at_growing_intervals_of_days() -> None:
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
def test_a_rejected_request_waits_for_another_day(attempts: int, days: int) -> None:
    before = (fail(attempts=attempts),) if attempts else ()
    assert add_failure(before, WEEK, TODAY, min_days=1) == (fail(attempts=attempts + 1, wait=days),)


def test_a_part_of_a_failing_window_counts_on_and_leaves_the_rest() -> None:
    before = (fail(attempts=3, since=5, wait=2),)
    assert add_failure(before, span("2026-03-01 to 2026-03-03"), TODAY) == (
        fail(span("2026-03-01 to 2026-03-03"), attempts=4, since=5, wait=4),
        fail(span("2026-03-03 to 2026-03-08"), attempts=3, since=5, wait=2),
    )


def test_a_window_that_only_touches_a_failing_one_begins_anew() -> None:
    other = span("2026-03-08 to 2026-03-09")
    before = (fail(attempts=3, since=5, wait=2),)
    assert add_failure(before, other, TODAY) == (*before, fail(other))


def test_what_is_covered_fails_no_longer() -> None:
    before = (fail(attempts=3), fail(span("2026-03-08 to 2026-03-09")))
    assert remove_covered(before, span("2026-03-03 to 2026-03-09")) == (
        fail(span("2026-03-01 to 2026-03-03"), attempts=3),
    )
    assert remove_covered(before, span("2026-03-01 to 2026-03-09")) == ()


@pytest.mark.parametrize(("wait", "due"), [(-3, [WEEK]), (0, [WEEK]), (1, [])])
def test_a_retry_is_due_from_its_day_on(wait: int, due: Sequence[Window]) -> None:
    assert retries_due([fail(wait=wait)], TODAY) == due


def test_a_failure_recorded_by_a_clock_that_was_ahead_is_retried_at_once() -> None:
    assert retries_due([fail(since=-5, wait=9)], TODAY) == [WEEK]
    assert retries_due([fail(since=0, wait=4)], TODAY) == []


@pytest.mark.parametrize(("since", "is_unresolved"), [(0, False), (2, False), (3, True), (9, True)])
def test_after_three_days_it_is_unresolved(since: int, *, is_unresolved: bool) -> None:
    assert fail(since=since).is_unresolved(TODAY) is is_unresolved


def test_beyond_six_the_two_nearest_windows_are_joined() -> None:
    failing: tuple[FailingWindow, ...] = ()
    for number in range(6):
        day = at("2026-01-01") + number * 7 * DAY
        failing = add_failure(failing, Window(day, day + DAY), TODAY - number * DAY)
    assert len(failing) == 6
    # The seventh is two days after the second: nearer than any other two.
    near = span("2026-01-11 to 2026-01-12")
    joined = add_failure(failing, near, TODAY, min_days=1)
    assert len(joined) == 6
    expected = FailingWindow(span("2026-01-08 to 2026-01-12"), 1, TODAY - DAY, TODAY + DAY)
    assert joined == (failing[0], expected, *failing[2:])


def test_windows_that_touch_and_share_their_fate_are_one() -> None:
    one = add_failure((), span("2026-01-01 to 2026-01-05"), TODAY)
    both = add_failure(one, span("2026-01-05 to 2026-01-09"), TODAY)
    assert both == (FailingWindow(span("2026-01-01 to 2026-01-09"), 1, TODAY, TODAY),)
    later = add_failure(one, span("2026-01-05 to 2026-01-09"), TODAY + DAY)
    assert len(later) == 2


failures = st.lists(st.tuples(windows, st.integers(0, 3), st.integers(0, 1)), max_size=30)


@quickly
@given(failures)
def test_no_failing_window_is_forgotten_and_no_state_grows(
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
        assert is_apart([each.window for each in failing])
        assert len(failing) <= 6
        assert list(failing) == sorted(failing)
        added = next(each for each in failing if not half_hours([window]) - half_hours([each[0]]))
        overlapping = [each for each in before if half_hours([each.window]) & half_hours([window])]
        assert added.attempts > max((each.attempts for each in overlapping), default=0)
        assert today + timedelta(days=min_days) <= added.retry_on
        assert added.since <= min([today, *(each.since for each in overlapping)])
        assert all(each.retry_on <= today + timedelta(days=7) for each in failing)


@quickly
@given(failures, windows)
def test_what_is_covered_is_removed_exactly(
    failures: list[tuple[Window, int, int]], covered: Window
) -> None:
    failing: tuple[FailingWindow, ...] = ()
    for window, _, _ in failures:
        failing = add_failure(failing, window, TODAY)
    left = remove_covered(failing, covered)
    assert half_hours(each.window for each in left) == half_hours(
        each.window for each in failing
    ) - half_hours([covered])
