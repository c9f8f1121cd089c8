"""The report quota: what is left, the pause after a 429, and permanent exhaustion."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import EPOCH
from tap_clarity.planning.quota import DailyUsage, Quota
from tests.support.planning.window_model import FIRST, SOME_EXAMPLES, at

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = at("2026-03-10T09:20")
TODAY, YESTERDAY = date(2026, 3, 10), date(2026, 3, 9)


def used_up(exhausted_at: str, since: str = "", accepted_at: str = "") -> DailyUsage:
    return DailyUsage(
        accepted_at=at(accepted_at) if accepted_at else None,
        exhausted_at=at(exhausted_at),
        exhausted_since=at(since or exhausted_at),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DailyUsage(), DailyUsage(TODAY, 1)),
        (DailyUsage(TODAY, 4), DailyUsage(TODAY, 5)),
        (DailyUsage(YESTERDAY, 25), DailyUsage(TODAY, 1)),
        (DailyUsage(date(2026, 3, 11), 25), DailyUsage(TODAY, 1)),  # the clock was put back
    ],
)
def test_request_is_counted_on_its_day(before: DailyUsage, after: DailyUsage) -> None:
    assert before.send(TODAY) == after


@pytest.mark.parametrize(
    ("usages", "limit", "left"),
    [
        ([], 25, 25),
        ([], 0, 0),
        ([DailyUsage()], 25, 25),
        ([DailyUsage(TODAY, 3), DailyUsage(TODAY, 4)], 25, 18),
        ([DailyUsage(TODAY, 3), DailyUsage(YESTERDAY, 25)], 25, 22),
        ([DailyUsage(TODAY, 20), DailyUsage(TODAY, 5)], 25, 0),
        ([DailyUsage(TODAY, 26)], 25, 0),  # the limit was higher this morning
        ([used_up("2026-03-10T09:00")], 30, 0),
        ([used_up("2026-03-10T09:00"), DailyUsage(TODAY, 3)], 30, 0),
        ([used_up("2026-03-09T23:59")], 30, 30),
    ],
)
def test_requests_of_all_streams_today_are_counted(
    usages: Sequence[DailyUsage], limit: int, left: int
) -> None:
    assert Quota(tuple(usages), limit).left(NOW) == left


@pytest.mark.parametrize(
    ("exhausted_at", "now", "resumes_at"),
    [
        ("2026-03-10T09:20", "2026-03-10T09:20", "2026-03-10T15:20"),
        ("2026-03-10T09:20", "2026-03-10T15:19", "2026-03-10T15:20"),
        ("2026-03-10T09:20", "2026-03-10T15:20", None),
        # The UTC day may be the quota's day: a pause ends with it.
        ("2026-03-10T20:00", "2026-03-10T23:59", "2026-03-11"),
        ("2026-03-10T20:00", "2026-03-11", None),
        # By a clock that was ahead: that says nothing.
        ("2026-03-10T20:00", "2026-03-10T09:20", None),
    ],
)
def test_429_pauses_requests_for_six_hours_or_until_midnight(
    exhausted_at: str, now: str, resumes_at: str | None
) -> None:
    quota = Quota((DailyUsage(TODAY, 3), used_up(exhausted_at)), 25)
    if resumes_at:
        assert (quota.left(at(now)), quota.resumes_at(at(now))) == (0, at(resumes_at))
    else:
        assert quota.left(at(now)) == (22 if at(now).date() == TODAY else 25)


def test_exhausted_quota_resumes_at_midnight_despite_a_pause() -> None:
    sent = DailyUsage(TODAY, 25)
    assert Quota((sent,), 25).resumes_at(NOW) == at("2026-03-11")
    assert Quota((sent, used_up("2026-03-10T09:00")), 25).resumes_at(NOW) == at("2026-03-11")


def test_later_accepted_request_of_any_stream_ends_the_pause() -> None:
    granted = DailyUsage(TODAY, 3).accept(at("2026-03-10T09:10"))
    assert Quota((granted, used_up("2026-03-10T09:00")), 25).left(NOW) == 22
    assert Quota((granted, used_up("2026-03-10T09:15")), 25).left(NOW) == 0


def test_first_429_is_kept_until_a_request_is_accepted() -> None:
    first, later = at("2026-03-07T09:00"), at("2026-03-08T09:00")
    usage = DailyUsage(TODAY, 1).exhaust(first, EPOCH).exhaust(later, EPOCH)
    assert usage == DailyUsage(TODAY, 1, None, later, first)
    again = usage.exhaust(NOW, later + timedelta(hours=1))
    assert again == DailyUsage(TODAY, 1, None, NOW, NOW)  # another stream was granted one
    assert usage.accept(NOW) == DailyUsage(TODAY, 1, NOW)
    assert usage.send(TODAY) == usage._replace(requests=2)


@pytest.mark.parametrize(
    ("usages", "since"),
    [
        ([], None),
        ([DailyUsage(TODAY, 25)], None),
        ([used_up("2026-03-10T09:00", since="2026-03-07T09:21")], None),
        ([used_up("2026-03-10T09:00", since="2026-03-07T09:20")], "2026-03-07T09:20"),
        # Other streams are granted requests: one that comes last each day is not starved.
        (
            [
                used_up("2026-03-10T09:00", since="2026-03-05"),
                DailyUsage(accepted_at=at("2026-03-09T12:00")),
            ],
            None,
        ),
        (
            [
                used_up("2026-03-10T09:00", since="2026-03-05"),
                DailyUsage(accepted_at=at("2026-03-04T12:00")),
                used_up("2026-03-10T08:00", since="2026-03-06"),
            ],
            "2026-03-05",
        ),
    ],
)
def test_three_days_without_an_accepted_request_are_an_error(
    usages: Sequence[DailyUsage], since: str | None
) -> None:
    expected = at(since) if since else None
    assert Quota(tuple(usages), 25).exhausted_since(NOW) == expected


hours = st.lists(st.tuples(st.integers(0, 240), st.sampled_from(["sent", "429"])), max_size=30)


@SOME_EXAMPLES
@given(hours, st.integers(0, 30), st.integers(0, 250))
def test_429_never_pauses_requests_for_longer_than_six_hours(
    events: list[tuple[int, str]], limit: int, hour: int
) -> None:
    """Held to a list of what happened, hour by hour."""
    now = FIRST + hour * timedelta(hours=1)
    usage, sent, exhausted = DailyUsage(), 0, None
    for number, what in sorted(events):
        when: datetime = FIRST + number * timedelta(hours=1)
        if when > now:
            continue
        usage = usage.send(when.date())
        sent += when.date() == now.date()
        usage = (
            usage.accept(when)
            if what == "sent"
            else usage.exhaust(when, usage.accepted_at or EPOCH)
        )
        exhausted = when if what == "429" else None
    is_paused = (
        exhausted is not None
        and exhausted.date() == now.date()
        and now - exhausted < timedelta(hours=6)
    )
    quota = Quota((usage,), limit)
    assert quota.left(now) == (0 if is_paused else max(0, limit - sent))
    if not quota.left(now):
        assert now < quota.resumes_at(now) <= now + timedelta(days=1)
