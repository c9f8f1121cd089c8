"""The day on which a backfill ends, held to sums that one can do by hand."""

from __future__ import annotations

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.instants import DAY, Window, floor
from tap_clarity.planning.due import Scope
from tap_clarity.planning.forecast import Standing, backfill_ends_on
from tests.planning.spans import at, quickly

HOUR = timedelta(hours=1)
NOW = at("2026-03-10T09:20")
TODAY = NOW.date()


def missing(reports: int, interval: timedelta = DAY) -> Standing:
    """A stream that lacks so many reports of ten days; its last head was asked for yesterday."""
    end = floor(NOW, DAY) - 7 * DAY
    scope = Scope(
        start=end - reports * 10 * DAY,
        end=None,
        step=HOUR,
        window_days=10,
        lookback_days=3,
        interval=interval,
    )
    return Standing(scope, (Window(end, NOW - DAY),), floor(NOW - DAY, interval))


@quickly
@given(
    reports=st.integers(0, 60),
    left=st.integers(0, 30),
    limit=st.integers(2, 30),
    streams=st.integers(1, 3),
    gaps=st.integers(0, 5),
)
def test_each_day_gives_what_heads_and_gaps_leave(
    reports: int, left: int, limit: int, streams: int, gaps: int
) -> None:
    standings = {"first": missing(reports)}
    standings |= {f"other {n}": missing(0) for n in range(1, streams)}
    day, wanted = TODAY, gaps + reports
    for_past = left - streams  # new data of each stream costs one report a day
    if left < gaps + streams:
        return  # today not even the heads: the sums below are for the plain case
    while wanted > for_past and limit > streams:
        wanted -= for_past
        for_past = limit - streams
        day += DAY
    expected = day if wanted <= for_past else None
    assert backfill_ends_on(standings, left, limit, NOW, gaps) == expected


def test_nothing_missing_ends_today() -> None:
    assert backfill_ends_on({"a": missing(0)}, 1, 1, NOW) == TODAY


def test_a_first_load_of_three_years_at_five_a_day_takes_nine_days() -> None:
    scope = Scope(
        start=at("2023-03-10"),
        end=None,
        step=HOUR,
        window_days=31,
        lookback_days=3,
        interval=DAY,
    )
    # 1096 days less the newest 30 are 35 reports; four of them go with each day's head.
    assert math.ceil(35 / 4) == 9
    assert backfill_ends_on({"a": Standing(scope, (), None)}, 5, 5, NOW) == date(2026, 3, 18)


@pytest.mark.parametrize(
    ("hours", "limit", "day"),
    [
        (24, 5, date(2026, 3, 12)),  # 4 + 4 + 2
        (24, 4, date(2026, 3, 13)),  # 3 + 3 + 3 + 1
        # The day's first run takes all that its head leaves: no other head has a share in it.
        (6, 5, date(2026, 3, 12)),
        # Every other day has no head.
        (48, 4, date(2026, 3, 12)),  # 3 + 4 + 3
        (48, 3, date(2026, 3, 13)),  # 2 + 3 + 2 + 3
    ],
)
def test_how_often_new_data_is_asked_for_counts(hours: int, limit: int, day: date) -> None:
    standing = missing(10, timedelta(hours=hours))
    assert backfill_ends_on({"a": standing}, limit, limit, NOW) == day


def test_heads_that_use_up_the_limit_never_let_it_end() -> None:
    assert backfill_ends_on({"a": missing(1), "b": missing(0)}, 2, 2, NOW) is None
    assert backfill_ends_on({"a": missing(1)}, 0, 0, NOW) is None


def test_an_end_date_in_the_past_leaves_all_to_the_backfill() -> None:
    scope = Scope(
        start=at("2025-01-01"),
        end=at("2025-12-31"),
        step=HOUR,
        window_days=7,
        lookback_days=3,
        interval=DAY,
    )
    # 364 days are 52 reports.
    standing = Standing(scope, (), None)
    assert backfill_ends_on({"a": standing}, 10, 10, NOW) == TODAY + timedelta(days=5)
    assert backfill_ends_on({"a": standing}, 30, 22, NOW) == TODAY + timedelta(days=1)
