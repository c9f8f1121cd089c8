"""The next query of recent measurements: examples, and no gap between two runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.frequencies import FREQUENCIES, Frequency
from tap_clarity.core.timestamps import EPOCH, Window, floor
from tap_clarity.planning.recent_steps import (
    ContinueToken,
    QueryCache,
    QueryReason,
    TokenState,
    daily_query,
    is_query_due,
    next_step,
    query_cache,
    query_without_start,
    response_time,
)
from tests.support.planning.window_model import MANY_EXAMPLES, at

NOW = at("2026-03-10T09:20:30")
KNOWN_TOKEN = TokenState(
    token="a token",  # noqa: S106 - a token's place
    issued_at=at("2026-03-10T08:20:30"),
    covered_until=at("2026-03-10T08:20:30"),
)
WITHOUT_TOKEN = KNOWN_TOKEN._replace(token=None)
"""The same, but the token is no good."""
MINUTES, HOURS, DAYS = (FREQUENCIES[name] for name in ("minute", "hour", "day"))


def last_query_start(text: str, known: TokenState = WITHOUT_TOKEN) -> TokenState:
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
def test_token_is_valid_for_less_than_24_hours(issued_at: str, *, is_good: bool) -> None:
    step = next_step(KNOWN_TOKEN._replace(issued_at=at(issued_at)), HOURS, NOW)
    assert (step == ContinueToken("a token")) is is_good


@pytest.mark.parametrize(
    ("frequency", "issued_at", "is_good"),
    [
        # 24 hours in the cache, less 3 hours that a measurement may be late, less the clock.
        (MINUTES, "2026-03-09T12:35:31", True),
        (MINUTES, "2026-03-09T12:35:30", False),
        (DAYS, "2026-03-09T09:20:31", True),
    ],
)
def test_token_expires_before_a_late_measurement_leaves_the_cache(
    frequency: Frequency, issued_at: str, *, is_good: bool
) -> None:
    step = next_step(last_query_start(issued_at, KNOWN_TOKEN), frequency, NOW)
    assert (step == ContinueToken("a token")) is is_good
    if isinstance(step, QueryCache):
        assert step.gap == Window(at("2026-03-09T09:20"), at("2026-03-09T09:36"))


@pytest.mark.parametrize(
    ("frequency", "queried_at", "is_due"),
    [
        (HOURS, None, True),
        (HOURS, "2026-03-10T00:00", False),
        (HOURS, "2026-03-09T23:59", True),
        (HOURS, "2026-03-10T10:00", True),  # the clock was put back
        (MINUTES, "2026-03-10T00:00", False),
    ],
)
def test_cache_is_queried_once_a_day(
    frequency: Frequency, queried_at: str | None, *, is_due: bool
) -> None:
    assert is_query_due(at(queried_at) if queried_at else None, frequency, NOW) is is_due


def test_cache_of_one_day_is_queried_twice_a_day() -> None:
    queried_at = at("2026-03-10T00:20")
    assert not is_query_due(queried_at, MINUTES, at("2026-03-10T12:19"))
    assert is_query_due(queried_at, MINUTES, at("2026-03-10T12:20"))


@pytest.mark.parametrize(
    ("queried_at", "start"),
    [
        ("2026-03-09T09:20:30", "2026-03-09T05:00"),
        ("2026-03-01T09:20:30", "2026-03-08T09:35:30"),
        (None, "2026-03-08T09:35:30"),
    ],
)
def test_daily_query_starts_at_the_safe_point_of_the_last_one(
    queried_at: str | None, start: str
) -> None:
    step = daily_query(at(queried_at) if queried_at else None, HOURS, NOW)
    assert step == QueryCache(at(start), None)


@pytest.mark.parametrize(
    ("known", "gap"),
    [
        (KNOWN_TOKEN._replace(covered_until=None), None),
        (WITHOUT_TOKEN, Window(at("2026-03-10T04:00"), at("2026-03-10T09:00"))),
        (
            last_query_start("2026-03-01T08:20:30"),
            Window(at("2026-03-01T04:00"), at("2026-03-10T09:00")),
        ),
    ],
)
def test_query_without_start_leaves_a_gap_from_the_wanted_start(
    known: TokenState, gap: Window | None
) -> None:
    step = query_cache(known, HOURS, NOW, QueryReason.TOKEN_REJECTED)
    assert query_without_start(step, known, HOURS, NOW) == QueryCache(step.start, gap)


@pytest.mark.parametrize(
    "known",
    [
        WITHOUT_TOKEN,
        KNOWN_TOKEN._replace(token=""),
        KNOWN_TOKEN._replace(issued_at=None),
        KNOWN_TOKEN._replace(is_same_query=False),
        KNOWN_TOKEN._replace(is_same_datasources=False),
    ],
)
def test_without_a_token_of_the_query_the_cache_is_queried(known: TokenState) -> None:
    assert isinstance(next_step(known, HOURS, NOW), QueryCache)


@pytest.mark.parametrize(
    ("frequency", "start"),
    [
        (MINUTES, "2026-03-09T09:35:30"),
        (HOURS, "2026-03-08T09:35:30"),
        (DAYS, "2026-02-28T09:35:30"),
    ],
)
def test_first_run_queries_the_whole_cache(frequency: Frequency, start: str) -> None:
    step = next_step(TokenState(token=None, issued_at=None, covered_until=None), frequency, NOW)
    assert step == QueryCache(at(start), None)


@pytest.mark.parametrize(
    ("frequency", "query_start", "start"),
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
def test_without_a_token_the_cache_is_queried_from_the_last_covered_time(
    frequency: Frequency, query_start: str, start: str
) -> None:
    assert next_step(last_query_start(query_start), frequency, NOW) == QueryCache(at(start), None)


@pytest.mark.parametrize(
    ("frequency", "query_start", "start", "gap_start"),
    [
        (MINUTES, "2026-03-09T08:20:30", "2026-03-09T09:35:30", "2026-03-09T05:05"),
        (HOURS, "2026-03-01T08:20:30", "2026-03-08T09:35:30", "2026-03-01T04:00"),
        (DAYS, "2026-02-20T08:20:30", "2026-02-28T09:35:30", "2026-02-17"),
    ],
)
def test_time_before_the_cache_is_a_gap(
    frequency: Frequency, query_start: str, start: str, gap_start: str
) -> None:
    step = next_step(last_query_start(query_start), frequency, NOW)
    assert isinstance(step, QueryCache)
    assert step.gap
    assert (step.start, step.gap.start) == (at(start), at(gap_start))
    # Hole and cache share the seam, and little more.
    assert timedelta(0) < step.gap.end - step.start <= frequency.step
    assert step.gap.end == floor(step.gap.end, frequency.step)


@pytest.mark.parametrize(
    "known",
    [KNOWN_TOKEN._replace(is_same_query=False), KNOWN_TOKEN._replace(is_same_datasources=False)],
)
def test_changed_query_queries_the_whole_cache(known: TokenState) -> None:
    assert next_step(known, HOURS, NOW) == QueryCache(at("2026-03-08T09:35:30"), None)


@pytest.mark.parametrize(
    ("covered_until", "start"),
    [
        ("2026-03-10T09:35:30", "2026-03-10T05:00"),
        ("2026-03-10T09:35:31", "2026-03-08T09:35:30"),
        ("9999-12-31", "2026-03-08T09:35:30"),
    ],
)
def test_coverage_by_a_clock_that_was_ahead_is_ignored(covered_until: str, start: str) -> None:
    assert next_step(last_query_start(covered_until), HOURS, NOW) == QueryCache(at(start), None)


@pytest.mark.parametrize(
    ("local", "clarity", "covered_until", "expected"),
    [
        ("2026-03-10T09:20", None, "2026-03-10T08:20", "2026-03-10T09:20"),
        ("2026-03-10T09:20", "2026-03-10T09:30", "2026-03-10T08:20", "2026-03-10T09:30"),
        # The first run has no third witness.
        ("2026-03-10T09:20", "2026-05-01", None, "2026-05-01"),
        # The local clock is behind what Clarity has answered before.
        ("2026-03-01T09:20", "2026-03-10T09:20", "2026-03-10T08:20", "2026-03-10T09:20"),
        # It is ahead.
        ("2026-04-01T09:20", "2026-03-10T09:20", "2026-03-10T08:20", "2026-03-10T09:20"),
        # A Date header of the past, and of the future.
        ("2026-03-10T09:20", "2014-01-31", "2026-03-10T08:20", "2026-03-10T08:20"),
        ("2026-03-10T09:20", "2099-01-01", "2026-03-10T08:20", "2026-03-10T09:20"),
        ("2026-03-10T09:20", "2026-04-10T09:20", "2026-03-10T08:20", "2026-04-10T09:20"),
        ("2026-03-10T09:20", "2026-04-10T09:21", "2026-03-10T08:20", "2026-03-10T09:20"),
        # What a Date header of the future has covered is forgotten when both clocks agree.
        ("2026-03-10T09:20", "2026-03-10T09:21", "2099-01-01", "2026-03-10T09:21"),
    ],
)
def test_the_time_of_a_response_is_that_of_two_witnesses(
    local: str, clarity: str | None, covered_until: str | None, expected: str
) -> None:
    witnesses = (at(text) if text else None for text in (clarity, covered_until))
    assert response_time(at(local), *witnesses) == at(expected)


def test_state_from_before_the_first_sensor_is_no_error() -> None:
    step = next_step(last_query_start("0001-01-01"), DAYS, NOW)
    assert isinstance(step, QueryCache)
    assert step.gap
    assert step.gap.start.year == 1969


@MANY_EXAMPLES
@given(
    st.sampled_from([MINUTES, HOURS, DAYS]),
    st.timedeltas(timedelta(minutes=1), timedelta(days=40)),
    st.timedeltas(-timedelta(minutes=15), timedelta(minutes=15)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_each_arrival_after_the_last_run_is_queried_or_in_a_gap(
    frequency: Frequency, pause: timedelta, clock_error: timedelta, when: float, late: float
) -> None:
    arrival = NOW - when * pause
    period = frequency.period or timedelta(milliseconds=1)
    time = arrival - late * frequency.lateness - period
    time += (EPOCH - time) % period  # the next period that begins, so that it is not later still
    if time + period > arrival:
        return
    own_time = NOW - pause + clock_error
    known = WITHOUT_TOKEN._replace(issued_at=own_time, covered_until=own_time)
    step = next_step(known, frequency, NOW)
    assert isinstance(step, QueryCache)
    assert step.start <= time or (step.gap and time in step.gap)


def test_after_a_rejected_token_the_cache_is_queried_from_the_last_point_known_covered() -> None:
    step = query_cache(KNOWN_TOKEN, HOURS, NOW, QueryReason.TOKEN_REJECTED)
    assert step == QueryCache(at("2026-03-10T04:00"), None)
    assert step.reason is QueryReason.TOKEN_REJECTED
