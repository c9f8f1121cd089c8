"""Which reports are due for the gaps in the recent measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.bookmarks import RecentBookmark
from tap_clarity.planning.gap_reports import fewest_windows, find_due_gaps
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.report_steps import Report
from tap_clarity.planning.retries import FailingWindow, add_failure
from tap_clarity.planning.windows import cut, merged, without
from tests.support.planning.window_model import (
    MANY_EXAMPLES,
    SOME_EXAMPLES,
    are_disjoint,
    at,
    half_hours,
    is_in_time,
    parse_window,
    parse_windows,
    window_lists,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = at("2026-03-10T09:20")
TODAY = NOW.date()


def due(gaps: Sequence[Window], pending: Sequence[Window] = (), days: int = 7) -> list[Window]:
    found = find_due_gaps(gaps, pending, (), days, NOW)
    assert (found.lookback, found.backfill, found.retries) == ((), (), ())
    return list(found.incremental)


@pytest.mark.parametrize(
    ("gaps", "pending", "expected"),
    [
        ([], [], []),
        (
            ["2026-03-01T04:00 to 2026-03-09T10:00"],
            [],
            ["2026-03-01T04:00 to 2026-03-08", "2026-03-08 to 2026-03-09T10:00"],
        ),
        (
            ["2026-03-01T04:00 to 2026-03-09T10:00"],
            ["2026-03-01T04:00 to 2026-03-08"],
            ["2026-03-08 to 2026-03-09T10:00"],
        ),
        # A gap has grown since, or the windows were longer then.
        (
            ["2026-03-01T04:00 to 2026-03-09T10:00"],
            ["2026-03-01T04:00 to 2026-03-05T10:00"],
            ["2026-03-05T10:00 to 2026-03-09T10:00"],
        ),
        (["2026-03-01 to 2026-03-05"], ["2026-02-01 to 2026-04-01"], []),
    ],
)
def test_gaps_are_filled_around_pending_windows(
    gaps: Sequence[str], pending: Sequence[str], expected: Sequence[str]
) -> None:
    assert due(parse_windows(*gaps), parse_windows(*pending)) == parse_windows(*expected)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        # A request costs more than rows that come twice: what fits into seven days is one.
        (
            ["2026-03-01T04:00 to 2026-03-02T10:00", "2026-03-06 to 2026-03-08"],
            ["2026-03-01T04:00 to 2026-03-08"],
        ),
        (
            ["2026-03-01T04:00 to 2026-03-02T10:00", "2026-03-06 to 2026-03-08T01:00"],
            ["2026-03-01T04:00 to 2026-03-02T10:00", "2026-03-06 to 2026-03-08T01:00"],
        ),
        (
            ["2026-03-01 to 2026-03-02", "2026-03-03 to 2026-03-04", "2026-03-09 to 2026-03-10"],
            ["2026-03-01 to 2026-03-04", "2026-03-09 to 2026-03-10"],
        ),
        # Out of order, and one inside another.
        (
            ["2026-03-09 to 2026-03-10", "2026-03-01 to 2026-03-05", "2026-03-02 to 2026-03-03"],
            ["2026-03-01 to 2026-03-05", "2026-03-09 to 2026-03-10"],
        ),
    ],
)
def test_gaps_within_one_report_window_share_a_report(
    gaps: Sequence[str], expected: Sequence[str]
) -> None:
    assert due(parse_windows(*gaps)) == parse_windows(*expected)
    assert fewest_windows(parse_windows(*gaps), 7) == parse_windows(*expected)


@SOME_EXAMPLES
@given(window_lists, window_lists, st.integers(1, 9))
def test_whole_gap_is_requested(gaps: list[Window], pending: list[Window], days: int) -> None:
    requested = due(gaps, pending, days)
    assert half_hours(requested) >= half_hours(gaps) - half_hours(pending)
    assert are_disjoint(requested)
    assert all(is_in_time(window, days) for window in requested)
    missing = [left for gap in merged(gaps) for left in without(gap, pending)]
    assert len(requested) <= sum(len(cut(left, days)) for left in missing)


def test_gap_needs_the_fewest_reports() -> None:
    gap = Window(at("2026-01-01"), at("2026-01-01") + 31 * DAY)
    assert due([gap], days=31) == [gap]


@pytest.mark.parametrize(
    ("wait", "retries"), [(1, []), (0, ["2026-03-02 to 2026-03-03", "2026-03-03 to 2026-03-04"])]
)
def test_failing_part_of_a_gap_is_retried_separately(wait: int, retries: Sequence[str]) -> None:
    failing = FailingWindow(parse_window("2026-03-02 to 2026-03-04"), 1, TODAY, TODAY + wait * DAY)
    found = find_due_gaps(parse_windows("2026-03-01 to 2026-03-06"), [], [failing], 1, NOW)
    assert list(found.incremental) == parse_windows(
        "2026-03-01 to 2026-03-02", "2026-03-04 to 2026-03-05", "2026-03-05 to 2026-03-06"
    )
    assert list(found.retries) == parse_windows(*retries)


def test_gaps_that_share_a_window_are_separated_by_a_failing_one_between_them() -> None:
    failing = FailingWindow(parse_window("2026-03-02 to 2026-03-03"), 1, TODAY, TODAY + DAY)
    gaps = parse_windows("2026-03-01 to 2026-03-02", "2026-03-04 to 2026-03-05")
    assert due(gaps) == parse_windows("2026-03-01 to 2026-03-05")
    found = find_due_gaps(gaps, [], [failing], 7, NOW)
    assert list(found.incremental) == parse_windows(
        "2026-03-01 to 2026-03-02", "2026-03-03 to 2026-03-05"
    )


@MANY_EXAMPLES
@given(window_lists, window_lists, window_lists, st.integers(1, 9), st.integers(0, 2))
def test_with_failing_windows_each_part_of_a_gap_is_requested_or_waits(
    gaps: list[Window], pending: list[Window], bad: list[Window], days: int, min_days: int
) -> None:
    gaps = merged(gaps)
    failing: tuple[FailingWindow, ...] = ()
    for window in bad:
        failing = add_failure(failing, window, TODAY, min_days)
    failed = half_hours(each.window for each in failing)
    waiting = half_hours(each.window for each in failing if each.retry_on > TODAY)
    found = find_due_gaps(gaps, pending, failing, days, NOW)
    new, retries = half_hours(found.incremental), half_hours(found.retries)
    assert not new & failed
    assert retries <= failed - waiting
    assert not (new | retries) & waiting
    left = half_hours(gaps) - half_hours(pending)
    assert left - waiting <= new | retries
    assert retries <= left
    requested = [*found.incremental, *found.retries]
    assert are_disjoint(requested)
    assert all(is_in_time(window, days) for window in requested)


def test_window_is_no_longer_failing_when_its_gaps_are_filled() -> None:
    """Two gaps shared a report that failed: what lies between them is not missing."""
    report = Report("JB1", parse_window("2026-03-01 to 2026-03-06"), NOW)
    gaps = parse_windows("2026-03-01 to 2026-03-02", "2026-03-05 to 2026-03-06")
    bookmark = RecentBookmark(gaps=gaps, ledger=ReportLedger((report,)).fail(report, TODAY))
    for number in range(3):
        ledger = bookmark.ledger
        found = find_due_gaps(
            bookmark.gaps, ledger.pending_windows, ledger.failing, 7, NOW + number * DAY
        )
        for window in [*found.incremental, *found.retries]:
            bookmark = bookmark.complete(Report("JB2", window, NOW), window)
    assert bookmark.gaps == []
    assert bookmark.ledger.failing == ()
