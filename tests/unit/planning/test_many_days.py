"""Weeks of runs with any faults: at the end everything is covered and requested once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window, floor
from tap_clarity.planning.due import Scope
from tap_clarity.planning.windows import without
from tests.support.fake_clock import FakeClock
from tests.support.planning.report_model import LIMIT, Outcome, Service, Stream, World
from tests.support.planning.window_model import at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST_RUN = at("2026-03-10T09:20")
CALM_DAYS = 40


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    """Log nothing: of thousands of runs it is slow, and tells little."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def endless(beginning: Iterable[Outcome]) -> Iterator[Outcome]:
    yield from beginning
    while True:
        yield Outcome.DELIVERED


def hours(*numbers: int) -> st.SearchStrategy[timedelta]:
    return st.sampled_from(numbers).map(lambda number: timedelta(hours=number))


scopes = st.builds(
    Scope,
    start=st.integers(0, 60).map(lambda days: FIRST_RUN - days * DAY),
    end=st.none() | st.integers(-20, 60).map(lambda days: FIRST_RUN + days * DAY),
    step=st.sampled_from([timedelta(minutes=1), timedelta(hours=1), DAY]),
    window_days=st.integers(5, 31),
    lookback_days=st.integers(0, 10),
    interval=hours(6, 12, 24),
)
pauses = st.lists(hours(1, 5, 7, 24, 30, 24 * 9), min_size=1, max_size=25)
outcomes = st.lists(st.sampled_from([*Outcome, Outcome.DELIVERED, Outcome.DELIVERED]), max_size=60)


def limit_of(scope: Scope, now: datetime) -> datetime:
    limit = floor(now, scope.step)
    return limit if scope.end is None else min(limit, scope.end)


def world_of(scopes: list[Scope], outcomes: Iterable[Outcome]) -> World:
    clock = FakeClock(FIRST_RUN)
    streams = [Stream(str(number), scope, clock) for number, scope in enumerate(scopes)]
    return World(streams, Service(clock, endless(outcomes)))


def run_for_weeks(world: World, pauses: list[timedelta]) -> datetime:
    """Run after each pause, then daily and without faults; give when the last run begins."""
    clock = world.service.clock
    for pause in pauses:
        start = clock.now()
        world.run()
        clock.at = max(clock.at, start + pause)
    world.service.outcomes = endless([])
    for _ in range(CALM_DAYS):
        start = clock.now()
        world.run()
        clock.at = start + DAY
    last = clock.now()
    world.run()
    return last


def hold_quota(world: World) -> None:
    assert max(world.service.requests.values(), default=0) <= LIMIT


@settings(deadline=None, max_examples=150, print_blob=True)
@given(st.lists(scopes, min_size=1, max_size=3), pauses, outcomes)
def test_many_days_cover_everything_and_request_nothing_twice(
    scopes: list[Scope], pauses: list[timedelta], outcomes: list[Outcome]
) -> None:
    world = world_of(scopes, outcomes)
    last = run_for_weeks(world, pauses)
    hold_quota(world)
    for stream in world.streams:
        limit = limit_of(stream.scope, last)
        if stream.scope.start < limit:
            assert without(Window(stream.scope.start, limit), stream.served) == []
            assert without(Window(stream.scope.start, limit), stream.bookmark.covered) == []
        assert stream.bookmark.ledger.pending == ()
        assert stream.bookmark.ledger.failing == ()


@settings(deadline=None, max_examples=100, print_blob=True)
@given(
    st.lists(scopes, min_size=1, max_size=3),
    pauses,
    outcomes,
    st.integers(0, 400),
    st.integers(1, 48),
)
def test_persistently_failing_window_is_named_and_blocks_no_other(
    scopes: list[Scope],
    pauses: list[timedelta],
    outcomes: list[Outcome],
    hours_ago: int,
    length: int,
) -> None:
    world = world_of(scopes, outcomes)
    start = floor(FIRST_RUN, timedelta(hours=1)) - timedelta(hours=hours_ago)
    world.service.bad = Window(start, start + timedelta(hours=length))
    last = run_for_weeks(world, pauses)
    hold_quota(world)
    for stream in world.streams:
        failing = [each.window for each in stream.bookmark.ledger.failing]
        limit = limit_of(stream.scope, last)
        if stream.scope.start < limit:
            whole = Window(stream.scope.start, limit)
            assert without(whole, [*stream.served, *failing]) == []
            assert without(whole, [*stream.bookmark.covered, *failing]) == []
            # Only requests that touch it fail, and none of them is longer than a window.
            longest = timedelta(days=stream.scope.window_days)
            touched = Window(start - longest, start + timedelta(hours=length) + longest)
            assert [part for window in failing for part in without(window, [touched])] == []
        assert stream.bookmark.ledger.pending == ()
