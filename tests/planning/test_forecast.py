"""The day on which a backfill ends, worked out by hand."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tap_clarity.instants import DAY, Window
from tap_clarity.planning.due import Scope
from tap_clarity.planning.forecast import Standing, backfill_ends_on
from tests.planning.spans import at, spans

NOW = at("2026-03-10T09:20")
HOUR = timedelta(hours=1)


def standing(start: str, *covered: str, slot: str = "2026-03-10", hours: int = 24) -> Standing:
    scope = Scope(
        start=at(start),
        end=None,
        step=HOUR,
        window_days=1,
        lookback_days=0,
        interval=timedelta(hours=hours),
    )
    return Standing(scope, tuple(spans(*covered)), at(slot))


@pytest.mark.parametrize(
    ("start", "left", "ends_on"),
    [
        # Nothing is missing.
        ("2026-03-01", 25, date(2026, 3, 10)),
        ("2026-03-01", 0, date(2026, 3, 10)),
        # 28 days are missing; each day's head takes two of ten: yesterday's rest, and today.
        ("2026-02-01", 28, date(2026, 3, 10)),
        ("2026-02-01", 27, date(2026, 3, 11)),
        ("2026-02-01", 12, date(2026, 3, 12)),
        ("2026-02-01", 11, date(2026, 3, 13)),
        ("2026-02-01", 0, date(2026, 3, 14)),
    ],
)
def test_a_backfill_ends_when_the_quota_has_room_for_it(
    start: str, left: int, ends_on: date
) -> None:
    standings = {"only": standing(start, "2026-03-01 to 2026-03-10T09:00")}
    assert backfill_ends_on(standings, left, 10, NOW) == ends_on


def test_streams_share_the_quota() -> None:
    # 28 + 28 windows; two heads of two each leave 6 of 10 for the past.
    standings = {
        name: standing("2026-02-01", "2026-03-01 to 2026-03-10T09:00") for name in ("one", "two")
    }
    assert backfill_ends_on(standings, 50, 10, NOW) == date(2026, 3, 11)
    assert backfill_ends_on(standings, 49, 10, NOW) == date(2026, 3, 12)


@pytest.mark.parametrize(("daily_limit", "hours"), [(0, 24), (2, 24), (0, 1)])
def test_it_never_ends_where_new_data_takes_all_requests(daily_limit: int, hours: int) -> None:
    standings = {"only": standing("2014-01-01", "2026-03-01 to 2026-03-10T09:00", hours=hours)}
    assert backfill_ends_on(standings, 0, daily_limit, NOW) is None


def test_what_is_asked_for_counts_as_covered_and_its_head_as_asked() -> None:
    before = standing("2026-03-08", "2026-03-08 to 2026-03-09T09:00", slot="2026-03-09")
    due = before.due(NOW)
    first, second = due.head
    assert before.after((first,), due, NOW).head_slot == at("2026-03-09")
    after = before.after((first, second), due, NOW)
    assert after.head_slot == at("2026-03-10")
    assert len(after.due(NOW)) == 0
    assert [w.start for w in after.due(NOW + DAY).head] == [at("2026-03-10"), at("2026-03-11")]
    assert isinstance(first, Window)
