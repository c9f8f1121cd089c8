"""Which windows are asked for, by hand and against sets of half hours."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.instants import DAY, Window, parse_instant
from tap_clarity.planning.due import Due, Scope, allot, find_due, slot_of
from tests.planning.spans import (
    at,
    half_hours,
    instants,
    is_apart,
    is_in_time,
    is_midnight,
    quickly,
    some_windows,
    span,
    spans,
    thoroughly,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOW = at("2026-03-10T09:20:30")
YESTERDAY, TODAY = at("2026-03-09"), at("2026-03-10")
HOURLY = Scope(
    start=at("2026-01-01"), end=None, step=HOUR, window_days=31, lookback_days=3, interval=DAY
)
MOST = 10**12
"""More days than any calendar has."""


def due(
    *covered: str, scope: Scope = HOURLY, head_slot: datetime | None = YESTERDAY
) -> tuple[list[Window], list[Window]]:
    found = find_due(scope, spans(*covered), head_slot, NOW)
    return list(found.head), list(found.backfill)


@pytest.mark.parametrize(
    ("step", "end"),
    [(MINUTE, "2026-03-10T09:20"), (HOUR, "2026-03-10T09:00"), (DAY, "2026-03-10")],
)
def test_the_head_ends_at_the_start_of_the_current_minute_hour_or_day(
    step: timedelta, end: str
) -> None:
    scope = HOURLY._replace(step=step)
    head, _ = due("2026-01-01 to 2026-03-09", scope=scope)
    assert head == spans(f"2026-03-06 to {end}")


@pytest.mark.parametrize(
    ("start", "head", "backfill"),
    [
        ("2026-03-10", "2026-03-10 to 2026-03-10T09:00", []),
        ("2026-02-08", "2026-02-08 to 2026-03-10T09:00", []),
        (
            "2026-02-01",
            "2026-02-08 to 2026-03-10T09:00",
            ["2026-02-01 to 2026-02-08"],
        ),
        (
            "2025-12-31T05:30",
            "2026-02-08 to 2026-03-10T09:00",
            ["2025-12-31T05:30 to 2026-01-31", "2026-01-31 to 2026-02-08"],
        ),
    ],
)
def test_where_nothing_is_covered_the_head_is_the_newest_window_and_the_rest_is_backfill(
    start: str, head: str, backfill: Sequence[str]
) -> None:
    scope = HOURLY._replace(start=at(start))
    assert due(scope=scope, head_slot=None) == ([span(head)], spans(*backfill))


@pytest.mark.parametrize(
    ("lookback_days", "head"),
    [
        (0, "2026-03-09 to 2026-03-10T09:00"),
        (1, "2026-03-08 to 2026-03-10T09:00"),
        (3, "2026-03-06 to 2026-03-10T09:00"),
    ],
)
def test_a_new_slot_asks_for_what_is_new_and_reads_the_lookback_again(
    lookback_days: int, head: str
) -> None:
    scope = HOURLY._replace(lookback_days=lookback_days)
    assert due("2026-01-01 to 2026-03-09T09:00", scope=scope) == ([span(head)], [])


def test_the_lookback_never_reaches_before_the_start() -> None:
    scope = HOURLY._replace(start=at("2026-03-08T05:30"), lookback_days=MOST)
    head, backfill = due("2026-03-08T05:30 to 2026-03-09T09:00", scope=scope)
    assert (head, backfill) == (spans("2026-03-08T05:30 to 2026-03-10T09:00"), [])


def test_what_is_being_built_is_not_asked_for_again() -> None:
    """A run was killed when three of its four windows had been asked for."""
    scope = HOURLY._replace(window_days=1, lookback_days=1)
    covered = spans("2026-01-01 to 2026-03-07T09:00")
    building = spans(
        "2026-03-07 to 2026-03-08", "2026-03-08 to 2026-03-09", "2026-03-09 to 2026-03-10"
    )
    found = find_due(scope, covered, at("2026-03-07"), NOW, building)
    assert found == Due(head=tuple(spans("2026-03-10 to 2026-03-10T09:00")))


def test_a_head_longer_than_a_window_is_cut_oldest_first() -> None:
    scope = HOURLY._replace(window_days=7)
    assert due("2026-01-01 to 2026-02-20T09:00", scope=scope)[0] == spans(
        "2026-02-17 to 2026-02-24",
        "2026-02-24 to 2026-03-03",
        "2026-03-03 to 2026-03-10",
        "2026-03-10 to 2026-03-10T09:00",
    )


def test_in_the_same_slot_nothing_new_is_asked_for() -> None:
    assert due("2026-01-01 to 2026-03-10T02:00", head_slot=TODAY) == ([], [])


def test_holes_are_backfilled_in_the_same_slot_too() -> None:
    covered = "2026-01-01 to 2026-01-20", "2026-02-10 to 2026-03-10T02:00"
    assert due(*covered, head_slot=TODAY) == ([], spans("2026-01-20 to 2026-02-10"))


def test_moving_the_start_back_asks_for_the_missing_past_only() -> None:
    scope = HOURLY._replace(start=at("2025-11-15T12:00"))
    assert due("2026-01-01T05:30 to 2026-03-10T02:00", scope=scope, head_slot=TODAY) == (
        [],
        spans("2025-11-15T12:00 to 2025-12-16", "2025-12-16 to 2026-01-01T05:30"),
    )


def test_moving_the_start_forward_asks_for_nothing_more() -> None:
    scope = HOURLY._replace(start=at("2026-02-20"))
    assert due("2026-01-01 to 2026-03-10T02:00", scope=scope, head_slot=TODAY) == ([], [])


def test_where_all_coverage_lies_before_the_start_the_head_is_the_newest_window() -> None:
    scope = HOURLY._replace(start=at("2026-01-20"), window_days=7)
    head, backfill = due("2025-12-01 to 2026-01-02", scope=scope)
    assert head == spans("2026-03-04 to 2026-03-10T09:00")
    assert (backfill[0], backfill[-1]) == tuple(
        spans("2026-01-20 to 2026-01-27", "2026-03-03 to 2026-03-04")
    )


@pytest.mark.parametrize(
    ("covered", "head_slot", "head", "backfill"),
    [
        ([], None, ["2026-01-25 to 2026-02-25"], ["2026-01-01 to 2026-01-25"]),
        (["2026-01-25 to 2026-02-25"], TODAY, [], ["2026-01-01 to 2026-01-25"]),
        (["2026-01-01 to 2026-02-25"], TODAY, [], []),
        (["2026-01-01 to 2026-02-25"], YESTERDAY, [], []),
        (["2026-01-01 to 2026-02-10"], YESTERDAY, ["2026-02-07 to 2026-02-25"], []),
        # It has been moved back, before or into what is covered.
        (["2026-01-01 to 2026-03-10T02:00"], YESTERDAY, [], []),
        (
            ["2026-03-01 to 2026-03-10T02:00"],
            YESTERDAY,
            ["2026-01-25 to 2026-02-25"],
            ["2026-01-01 to 2026-01-25"],
        ),
    ],
)
def test_the_end_bounds_all(
    covered: Sequence[str],
    head_slot: datetime | None,
    head: Sequence[str],
    backfill: Sequence[str],
) -> None:
    scope = HOURLY._replace(end=at("2026-02-25"))
    assert due(*covered, scope=scope, head_slot=head_slot) == (spans(*head), spans(*backfill))


@pytest.mark.parametrize(
    ("end", "head"),
    [
        ("2026-03-07T09:20:31", ["2026-03-04 to 2026-03-07T09:20:31"]),
        ("2026-03-07T09:20:30", []),
        ("2026-03-10T08:00", ["2026-03-07 to 2026-03-10T08:00"]),
        ("2026-03-10T10:00", ["2026-03-07 to 2026-03-10T09:00"]),
    ],
)
def test_the_last_days_before_the_end_are_read_again_until_they_are_too_old(
    end: str, head: Sequence[str]
) -> None:
    scope = HOURLY._replace(end=at(end))
    limit = min(end, "2026-03-10T09:00")
    assert due(f"2026-01-01 to {limit}", scope=scope) == (spans(*head), [])


@pytest.mark.parametrize("start", ["2026-03-10T09:00", "2026-03-11", "2030-01-01"])
def test_a_start_to_come_asks_for_nothing(start: str) -> None:
    assert due(scope=HOURLY._replace(start=at(start)), head_slot=None) == ([], [])


def test_an_end_before_the_start_asks_for_nothing() -> None:
    assert due(scope=HOURLY._replace(end=at("2025-01-01")), head_slot=None) == ([], [])


@pytest.mark.parametrize("interval", [HOUR, 6 * HOUR, DAY, 7 * DAY])
def test_slots_are_counted_from_midnight(interval: timedelta) -> None:
    slot = slot_of(NOW, interval)
    assert slot <= NOW < slot + interval
    assert is_midnight(slot) or (slot - slot.replace(hour=0)) % interval == timedelta(0)


@pytest.mark.parametrize("hours", range(1, 25))
def test_a_daily_run_finds_a_new_slot_every_day(hours: int) -> None:
    slots = [slot_of(NOW + day * DAY, timedelta(hours=hours)) for day in range(40)]
    assert len(set(slots)) == 40


@pytest.mark.parametrize(
    ("head_slot", "is_asked"),
    [
        (at("2026-03-10"), True),
        (at("2026-03-11"), True),  # the clock was put back over midnight
        (at("2026-03-12"), False),  # by so much that it was wrong before
        (at("2031-01-01"), False),
    ],
)
def test_a_clock_put_back_neither_asks_twice_nor_waits_for_years(
    head_slot: datetime, *, is_asked: bool
) -> None:
    covered = f"2026-01-01 to {head_slot:%Y-%m-%d}T09:00"
    head, backfill = due(covered, head_slot=head_slot)
    assert head == ([] if is_asked else spans("2026-03-07 to 2026-03-10T09:00"))
    assert backfill == []


@pytest.mark.parametrize("days", [1, MOST])
def test_lengths_beyond_the_calendar_are_no_error(days: int) -> None:
    scope = HOURLY._replace(start=at("0001-01-01"), window_days=MOST, lookback_days=days)
    head, _ = due("0001-01-01 to 0001-01-02", scope=scope)
    assert head == spans("0001-01-01 to 2026-03-10T09:00")


@pytest.fixture(params=["UTC", "America/St_Johns", "Pacific/Kiritimati"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("hour", ["00", "09", "23"])
def test_the_plan_is_the_same_in_every_zone(hour: str) -> None:
    now = parse_instant(f"2026-03-10T{hour}:30")
    covered = spans("2026-01-20 to 2026-03-09T09:00")
    assert slot_of(now, DAY) == TODAY
    assert find_due(HOURLY, covered, TODAY, now).head == ()
    found = find_due(HOURLY, covered, YESTERDAY, now)
    assert [*found.head] == spans(f"2026-03-06 to 2026-03-10T{hour}:00")
    assert [*found.backfill] == spans("2026-01-01 to 2026-01-20")


scopes = st.builds(
    Scope,
    start=instants,
    end=st.none() | instants,
    step=st.sampled_from([HOUR, DAY]),
    window_days=st.integers(1, 9),
    lookback_days=st.integers(0, 5),
    interval=st.integers(1, 72).map(lambda hours: timedelta(hours=hours)),
)


@thoroughly
@given(scopes, some_windows, st.none() | instants, instants)
def test_what_is_asked_for_completes_what_is_covered(
    scope: Scope, covered: list[Window], head_slot: datetime | None, now: datetime
) -> None:
    limit = now.replace(minute=0) if scope.step == HOUR else now.replace(hour=0, minute=0)
    limit = limit if scope.end is None else min(limit, scope.end)
    whole = half_hours([Window(scope.start, limit)] if scope.start < limit else [])
    known = half_hours(covered) & whole

    found = find_due(scope, covered, head_slot, now)
    head, backfill = half_hours(found.head), half_hours(found.backfill)

    assert head | backfill <= whole
    assert not backfill & (known | head)
    assert is_apart([*found.head, *found.backfill])
    until = max(known | head, default=-1)
    assert {number for number in whole if number <= until} <= known | head | backfill
    if found.head:
        assert until == max(whole)

    for window in [*found.head, *found.backfill]:
        assert is_in_time(window, scope.window_days)
        begins_a_range = window.start == scope.start or half_hours(
            [Window(window.start - HOUR / 2, window.start)]
        ) <= half_hours(covered)
        assert is_midnight(window.start) or begins_a_range
    assert [*found.head] == sorted(found.head)
    assert [*found.backfill] == sorted(found.backfill)


@quickly
@given(scopes, some_windows, st.none() | instants, instants, st.integers(0, 20))
def test_a_head_is_due_once_per_slot(
    scope: Scope, covered: list[Window], head_slot: datetime | None, now: datetime, hours: int
) -> None:
    slot, later = slot_of(now, scope.interval), now + hours * HOUR
    past = [window for window in covered if window.end <= now]
    found = find_due(scope, past, head_slot, now)
    if found.head and slot_of(later, scope.interval) == slot:
        again = find_due(scope, [*past, *found.head, *found.backfill], slot, later)
        assert len(again) == 0


def windows_of(*days: int) -> tuple[Window, ...]:
    """Make a window of each day of March."""
    return tuple(Window(at("2026-03-01") + n * DAY, at("2026-03-02") + n * DAY) for n in days)


@pytest.mark.parametrize(
    ("left", "first", "second"),
    [
        (0, (), ()),
        (1, (8,), ()),
        (2, (8, 9), ()),
        (3, (8, 9), (9,)),
        (4, (8, 9, 1), (9,)),
        (7, (8, 9, 1, 2, 3), (9, 5)),
        (99, (8, 9, 1, 2, 3), (9, 5, 6)),
    ],
)
def test_all_heads_come_before_any_backfill(
    left: int, first: Sequence[int], second: Sequence[int]
) -> None:
    dues = {
        "first": Due(head=windows_of(8, 9), backfill=windows_of(1, 2, 3)),
        "second": Due(head=windows_of(9), backfill=windows_of(5, 6)),
    }
    assert allot(dues, left) == {"first": windows_of(*first), "second": windows_of(*second)}


def test_what_is_read_again_waits_for_what_is_new() -> None:
    again = frozenset(windows_of(5, 6, 7))
    dues = {
        "first": Due(head=windows_of(5, 6, 8, 9), again=again),
        "second": Due(head=windows_of(7, 8), backfill=windows_of(1), again=again),
    }
    assert allot(dues, 4) == {"first": windows_of(5, 8, 9), "second": windows_of(8)}


@pytest.mark.parametrize("limit", [2, 5, 25])
def test_a_lookback_longer_than_the_quota_never_keeps_new_data_back(limit: int) -> None:
    scope = HOURLY._replace(start=at("2026-01-01"), window_days=1, lookback_days=40)
    covered = spans("2026-01-01 to 2026-03-09T09:00")
    for day in range(5):
        now = NOW + day * DAY
        asked = allot({"only": find_due(scope, covered, slot_of(now - DAY, DAY), now)}, limit)
        covered += asked["only"]
        assert max(window.end for window in covered) == now.replace(minute=0, second=0)


def days(first: int, last: int) -> st.SearchStrategy[tuple[Window, ...]]:
    return st.sets(st.integers(first, last), max_size=6).map(lambda n: windows_of(*sorted(n)))


dues = st.builds(Due, head=days(14, 27), backfill=days(0, 13)).map(
    lambda found: replace(found, again=frozenset(found.head[::2]))
)


@quickly
@given(st.dictionaries(st.sampled_from("abc"), dues), st.integers(0, 30))
def test_as_much_is_asked_for_as_the_quota_allows_and_no_more(
    dues: dict[str, Due], left: int
) -> None:
    asked = allot(dues, left)
    assert asked.keys() == dues.keys()
    assert sum(map(len, asked.values())) == min(left, sum(map(len, dues.values())))
    backfilled = False
    for stream, due in dues.items():
        heads = [window for window in asked[stream] if window in due.head]
        past = list(asked[stream][len(heads) :])
        assert heads == sorted(heads)
        assert past == list(due.backfill[: len(past)])
        backfilled |= bool(past)
    if backfilled:
        assert all(set(due.head) <= set(asked[stream]) for stream, due in dues.items())
