"""How recent measurements go on: every case by hand, and that nothing falls between two runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.frequencies import FREQUENCIES, Frequency
from tap_clarity.instants import DAY, EPOCH, Window, floor
from tap_clarity.planning.recovery import AskCache, GoOn, Known, next_step, windows_of
from tap_clarity.planning.windows import cut, merged, without
from tests.planning.spans import (
    at,
    half_hours,
    is_apart,
    is_in_time,
    quickly,
    some_windows,
    spans,
    thoroughly,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = at("2026-03-10T09:20:30")
KNOWN = Known(
    token="a token",  # noqa: S106 - a token's place
    issued_at=at("2026-03-10T08:20:30"),
    covered_until=at("2026-03-10T08:20:30"),
)
LOST = KNOWN._replace(token=None)
"""The same, but the token is no good."""
MINUTES, HOURS, DAYS = (FREQUENCIES[name] for name in ("minute", "hour", "day"))


def last_asked(text: str, known: Known = LOST) -> Known:
    return known._replace(issued_at=at(text), covered_until=at(text))


@pytest.mark.parametrize(
    ("issued_at", "is_good"),
    [
        ("2026-03-10T09:20:29", True),
        ("2026-03-09T09:20:31", True),
        ("2026-03-09T09:20:30", False),
        ("2026-03-01", False),
        ("2026-03-10T11:00", True),  # the clock was put back; Clarity knows better
    ],
)
def test_a_token_is_good_for_less_than_24_hours(issued_at: str, *, is_good: bool) -> None:
    step = next_step(KNOWN._replace(issued_at=at(issued_at)), HOURS, NOW)
    assert (step == GoOn("a token")) is is_good


@pytest.mark.parametrize(
    "known",
    [
        LOST,
        KNOWN._replace(token=""),
        KNOWN._replace(issued_at=None),
        KNOWN._replace(same_query=False),
        KNOWN._replace(same_datasources=False),
    ],
)
def test_without_a_token_of_this_query_the_cache_is_asked(known: Known) -> None:
    assert isinstance(next_step(known, HOURS, NOW), AskCache)


@pytest.mark.parametrize(
    ("frequency", "start"),
    [
        (MINUTES, "2026-03-09T09:20:30"),
        (HOURS, "2026-03-08T09:20:30"),
        (DAYS, "2026-02-28T09:20:30"),
    ],
)
def test_the_first_run_asks_for_the_whole_cache(frequency: Frequency, start: str) -> None:
    step = next_step(Known(token=None, issued_at=None, covered_until=None), frequency, NOW)
    assert step == AskCache(at(start), None)


@pytest.mark.parametrize(
    ("frequency", "asked_at", "start"),
    [
        # A quarter of an hour for the clock, and the lateness.
        (MINUTES, "2026-03-10T08:20:30", "2026-03-10T05:05"),
        # The same, and the hour itself; then the start of that hour.
        (HOURS, "2026-03-10T08:20:30", "2026-03-10T04:00"),
        (HOURS, "2026-03-10T08:10:30", "2026-03-10T03:00"),
        (DAYS, "2026-03-10T08:20:30", "2026-03-07"),
        (DAYS, "2026-03-10T00:10", "2026-03-06"),
    ],
)
def test_without_a_token_the_cache_is_asked_from_the_last_point_known_covered(
    frequency: Frequency, asked_at: str, start: str
) -> None:
    assert next_step(last_asked(asked_at), frequency, NOW) == AskCache(at(start), None)


@pytest.mark.parametrize(
    ("frequency", "asked_at", "start", "hole_from"),
    [
        (MINUTES, "2026-03-09T08:20:30", "2026-03-09T09:20:30", "2026-03-09T05:05"),
        (HOURS, "2026-03-01T08:20:30", "2026-03-08T09:20:30", "2026-03-01T04:00"),
        (DAYS, "2026-02-20T08:20:30", "2026-02-28T09:20:30", "2026-02-17"),
    ],
)
def test_what_is_older_than_the_cache_is_a_hole(
    frequency: Frequency, asked_at: str, start: str, hole_from: str
) -> None:
    step = next_step(last_asked(asked_at), frequency, NOW)
    assert isinstance(step, AskCache)
    assert step.hole
    assert (step.start, step.hole.start) == (at(start), at(hole_from))
    # Hole and cache share the seam, and little more: the clock may be off.
    seam = step.hole.end - step.start
    assert timedelta(0) < seam <= frequency.step + timedelta(minutes=15)
    assert step.hole.end == floor(step.hole.end, frequency.step)


@pytest.mark.parametrize(
    "known", [KNOWN._replace(same_query=False), KNOWN._replace(same_datasources=False)]
)
def test_another_query_is_asked_for_the_whole_cache(known: Known) -> None:
    assert next_step(known, HOURS, NOW) == AskCache(NOW - timedelta(hours=48), None)


@pytest.mark.parametrize(
    ("covered_until", "start"),
    [
        ("2026-03-10T09:35:30", "2026-03-10T05:00"),
        ("2026-03-10T09:35:31", "2026-03-08T09:20:30"),
        ("9999-12-31", "2026-03-08T09:20:30"),
    ],
)
def test_what_a_clock_that_was_ahead_has_covered_does_not_count(
    covered_until: str, start: str
) -> None:
    assert next_step(last_asked(covered_until), HOURS, NOW) == AskCache(at(start), None)


def test_a_state_from_before_the_first_sensor_is_no_error() -> None:
    step = next_step(last_asked("0001-01-01"), DAYS, NOW)
    assert isinstance(step, AskCache)
    assert step.hole
    assert step.hole.start.year == 1969


@thoroughly
@given(
    st.sampled_from([MINUTES, HOURS, DAYS]),
    st.timedeltas(timedelta(minutes=1), timedelta(days=40)),
    st.timedeltas(-timedelta(minutes=15), timedelta(minutes=15)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_whatever_arrives_after_the_last_run_is_asked_for_or_in_a_hole(
    frequency: Frequency, pause: timedelta, clock_error: timedelta, when: float, late: float
) -> None:
    arrival = NOW - when * pause
    period = frequency.period or timedelta(milliseconds=1)
    time = arrival - late * frequency.lateness - period
    time += (EPOCH - time) % period  # the next period that begins, so that it is not later still
    if time + period > arrival:
        return
    by_its_clock = NOW - pause + clock_error
    known = LOST._replace(issued_at=by_its_clock, covered_until=by_its_clock)
    step = next_step(known, frequency, NOW)
    assert isinstance(step, AskCache)
    assert step.start <= time or (step.hole and time in step.hole)


@pytest.mark.parametrize(
    ("holes", "building", "expected"),
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
        # A hole has grown since, or the windows were longer then.
        (
            ["2026-03-01T04:00 to 2026-03-09T10:00"],
            ["2026-03-01T04:00 to 2026-03-05T10:00"],
            ["2026-03-05T10:00 to 2026-03-09T10:00"],
        ),
        (["2026-03-01 to 2026-03-05"], ["2026-02-01 to 2026-04-01"], []),
    ],
)
def test_holes_are_filled_around_what_is_being_built(
    holes: Sequence[str], building: Sequence[str], expected: Sequence[str]
) -> None:
    assert windows_of(spans(*holes), spans(*building), 7) == spans(*expected)


@quickly
@given(some_windows, some_windows, st.integers(1, 9))
def test_all_of_a_hole_is_asked_for(holes: list[Window], building: list[Window], days: int) -> None:
    asked = windows_of(holes, building, days)
    assert half_hours(asked) >= half_hours(holes) - half_hours(building)
    assert is_apart(asked)
    assert all(is_in_time(window, days) for window in asked)
    missing = [left for hole in merged(holes) for left in without(hole, building)]
    assert len(asked) <= sum(len(cut(left, days)) for left in missing)


def test_a_hole_costs_the_fewest_reports() -> None:
    hole = Window(at("2026-01-01"), at("2026-01-01") + 31 * DAY)
    assert windows_of([hole], [], 31) == [hole]
