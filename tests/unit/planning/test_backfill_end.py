"""The estimated end of a backfill, compared with manual calculations."""

from __future__ import annotations

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window, floor
from tap_clarity.planning.backfill_end import StreamPlan, estimate_backfill_end
from tap_clarity.planning.due import Progress, Scope, Slot
from tap_clarity.planning.retries import FailingWindow
from tests.support.planning.window_model import SOME_EXAMPLES, at

HOUR = timedelta(hours=1)
NOW = at("2026-03-10T09:20")
TODAY = NOW.date()


def missing(reports: int, interval: timedelta = DAY) -> StreamPlan:
    """A stream that lacks so many reports of ten days; its last slot was yesterday."""
    end = floor(NOW, DAY) - 7 * DAY
    scope = Scope(
        start=end - reports * 10 * DAY,
        end=None,
        step=HOUR,
        window_days=10,
        lookback_days=3,
        interval=interval,
    )
    slot = Slot(floor(NOW - DAY, interval), NOW - DAY)
    return StreamPlan(scope, Progress(covered=(Window(end, NOW - DAY),), slot=slot))


@SOME_EXAMPLES
@given(
    reports=st.integers(0, 60),
    left=st.integers(0, 30),
    limit=st.integers(2, 30),
    streams=st.integers(1, 3),
    gaps=st.integers(0, 5),
)
def test_backfill_uses_the_quota_left_by_new_data_and_gaps(
    reports: int, left: int, limit: int, streams: int, gaps: int
) -> None:
    plans = {"first": missing(reports)}
    plans |= {f"other {n}": missing(0) for n in range(1, streams)}
    day, wanted = TODAY, gaps + reports
    for_backfill = left - streams  # new data of each stream costs one report a day
    if left < gaps + streams:
        return  # today not even the new data: the sums below are for the plain case
    while wanted > for_backfill and limit > streams:
        wanted -= for_backfill
        for_backfill = limit - streams
        day += DAY
    expected = day if wanted <= for_backfill else None
    assert estimate_backfill_end(plans, left, limit, NOW, gaps) == expected


def test_complete_coverage_ends_today() -> None:
    assert estimate_backfill_end({"a": missing(0)}, 1, 1, NOW) == TODAY


def test_three_year_load_with_five_requests_a_day_takes_nine_days() -> None:
    scope = Scope(
        start=at("2023-03-10"),
        end=None,
        step=HOUR,
        window_days=31,
        lookback_days=3,
        interval=DAY,
    )
    # 1096 days less the newest 30 are 35 reports; four of them go with each day's new data.
    assert math.ceil(35 / 4) == 9
    assert estimate_backfill_end({"a": StreamPlan(scope, Progress())}, 5, 5, NOW) == date(
        2026, 3, 18
    )


@pytest.mark.parametrize(
    ("hours", "limit", "day"),
    [
        (24, 5, date(2026, 3, 12)),  # 4 + 4 + 2
        (24, 4, date(2026, 3, 13)),  # 3 + 3 + 3 + 1
        # The day's first run takes all that its new data leaves: no later slot has a share in it.
        (6, 5, date(2026, 3, 12)),
        # Every other day has no new slot.
        (48, 4, date(2026, 3, 12)),  # 3 + 4 + 3
        (48, 3, date(2026, 3, 13)),  # 2 + 3 + 2 + 3
    ],
)
def test_interval_of_new_data_is_considered(hours: int, limit: int, day: date) -> None:
    plan = missing(10, timedelta(hours=hours))
    assert estimate_backfill_end({"a": plan}, limit, limit, NOW) == day


def test_new_data_that_exhausts_the_limit_gives_no_end() -> None:
    assert estimate_backfill_end({"a": missing(1), "b": missing(0)}, 2, 2, NOW) is None
    assert estimate_backfill_end({"a": missing(1)}, 0, 0, NOW) is None


def test_with_a_past_end_date_the_backfill_gets_the_whole_quota() -> None:
    scope = Scope(
        start=at("2025-01-01"),
        end=at("2025-12-31"),
        step=HOUR,
        window_days=7,
        lookback_days=3,
        interval=DAY,
    )
    # 364 days are 52 reports.
    plan = StreamPlan(scope, Progress())
    assert estimate_backfill_end({"a": plan}, 10, 10, NOW) == TODAY + timedelta(days=5)
    assert estimate_backfill_end({"a": plan}, 30, 22, NOW) == TODAY + timedelta(days=1)


def test_failing_window_is_assumed_to_succeed_next_time() -> None:
    """What fails for good would never let it end; the plan names such windows by themselves."""
    plan = missing(2)
    window = Window(plan.scope.start, plan.scope.start + 10 * DAY)
    failing = (FailingWindow(window, 4, TODAY - 9 * DAY, TODAY + 7 * DAY),)
    plan = plan._replace(progress=plan.progress._replace(failing=failing))
    assert estimate_backfill_end({"a": plan}, 2, 2, NOW) == TODAY


def test_pending_windows_are_assumed_to_succeed() -> None:
    plan = missing(2)
    window = Window(plan.scope.start, plan.scope.start + 10 * DAY)
    plan = plan._replace(progress=plan.progress._replace(pending=(window,)))
    assert estimate_backfill_end({"a": plan}, 2, 2, NOW) == TODAY
