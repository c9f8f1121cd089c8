"""Due windows, compared with sets of half hours for any progress."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window, floor
from tap_clarity.planning.due import Progress, Scope, Slot, current_slot, find_due
from tap_clarity.planning.retries import FailingWindow
from tap_clarity.planning.windows import merged, without
from tests.support.planning.window_model import (
    HALF_HOUR,
    MANY_EXAMPLES,
    SOME_EXAMPLES,
    are_disjoint,
    half_hours,
    is_in_time,
    is_midnight,
    timestamps,
    window_lists,
)

if TYPE_CHECKING:
    from datetime import datetime

HOUR = timedelta(hours=1)

scopes = st.builds(
    Scope,
    start=timestamps,
    end=st.none() | timestamps,
    step=st.sampled_from([HOUR, DAY]),
    window_days=st.integers(1, 9),
    lookback_days=st.integers(0, 5),
    interval=st.integers(1, 72).map(lambda hours: timedelta(hours=hours)),
)


@st.composite
def any_progress(draw: st.DrawFn) -> Progress:
    """A progress whose parts overlap as they may: what fails or is to be read again, too."""
    covered = draw(window_lists)
    slot = None
    if draw(st.booleans()):
        wanted = draw(window_lists)
        reread = merged(part for one in wanted for part in _common(one, covered))
        slot = Slot(draw(timestamps), draw(timestamps), tuple(reread))
    failing = tuple(
        FailingWindow(window, 1, window.end.date(), draw(timestamps).date())
        for window in _apart(draw(window_lists))
    )
    return Progress(tuple(covered), tuple(draw(window_lists)), failing, slot)


def _common(one: Window, others: list[Window]) -> list[Window]:
    return without(one, without(one, others))


def _apart(windows: list[Window]) -> list[Window]:
    """Windows that touch but do not overlap, as the failing ones of a state."""
    found: list[Window] = []
    for window in windows:
        found += without(window, found)
    return sorted(found)


def _limit(scope: Scope, now: datetime) -> datetime:
    limit = now.replace(minute=0) if scope.step == HOUR else now.replace(hour=0, minute=0)
    return limit if scope.end is None else min(limit, scope.end)


def _whole(scope: Scope, now: datetime) -> set[int]:
    limit = _limit(scope, now)
    return half_hours([Window(scope.start, limit)] if scope.start < limit else [])


def _is_new_slot(scope: Scope, slot: Slot | None, now: datetime) -> bool:
    start = floor(now, scope.interval)
    return slot is None or not start <= slot.start <= start + scope.interval


def _range_starts(scope: Scope, progress: Progress) -> set[datetime]:
    """Where a window may begin that does not begin at midnight."""
    failing = [each.window for each in progress.failing]
    known = [*progress.covered, *progress.pending, *failing]
    starts = {scope.start, *(window.end for window in known), *(one.start for one in failing)}
    return starts | {window.start for window in progress.slot.reread} if progress.slot else starts


@MANY_EXAMPLES
@given(scopes, any_progress(), timestamps)
def test_due_windows_complete_the_coverage(scope: Scope, progress: Progress, now: datetime) -> None:
    whole = _whole(scope, now)
    failing = half_hours(each.window for each in progress.failing)
    known = (half_hours([*progress.covered, *progress.pending]) | failing) & whole

    found = find_due(scope, progress, now)
    requested = [window for windows in found for window in windows]
    new, again, retries, past = map(half_hours, found)
    bookmark = max(known, default=-1)

    assert new | again | past | retries <= whole
    assert are_disjoint(requested)
    assert all(max(half_hours([window])) > bookmark for window in found.incremental)
    assert max(again, default=-1) <= bookmark
    assert not past & known
    until = max(known | new, default=-1)
    assert {number for number in whole if number <= until} <= known | new | again | past
    if whole and _is_new_slot(scope, progress.slot, now):
        assert until == max(whole)
    starts = _range_starts(scope, progress)
    for window in requested:
        assert is_in_time(window, scope.window_days)
        assert is_midnight(window.start) or window.start in starts
    assert all([*windows] == sorted(windows) for windows in found)


@MANY_EXAMPLES
@given(scopes, any_progress(), timestamps)
def test_failing_windows_are_retried_separately_and_only_on_their_day(
    scope: Scope, progress: Progress, now: datetime
) -> None:
    whole, today = _whole(scope, now), now.date()
    found = find_due(scope, progress, now)
    failing = half_hours(each.window for each in progress.failing)
    ready = half_hours(
        each.window
        for each in progress.failing
        if each.retry_on <= today or today < each.since  # recorded by a clock that was ahead
    )
    retries = half_hours(found.retries)
    assert not half_hours([*found.incremental, *found.lookback, *found.backfill]) & failing
    assert retries <= ready
    if len(found.retries) < 5:  # more wait for the next runs
        assert (ready & whole) - retries <= half_hours(progress.pending)


@MANY_EXAMPLES
@given(scopes, any_progress(), timestamps)
def test_exactly_the_lookback_is_read_again(
    scope: Scope, progress: Progress, now: datetime
) -> None:
    whole, limit = _whole(scope, now), _limit(scope, now)
    failing = half_hours(each.window for each in progress.failing)
    pending = half_hours(progress.pending)
    known = (half_hours(progress.covered) | pending | failing) & whole
    to_reread = half_hours(progress.slot.reread if progress.slot else ()) & whole
    found = find_due(scope, progress, now)
    recent = half_hours([*found.incremental, *found.lookback])

    if not known:
        return
    assert to_reread - failing - pending <= recent
    allowed = to_reread
    if _is_new_slot(scope, progress.slot, now):
        bookmark = scope.start + (max(known) + 1 - min(whole)) * HALF_HOUR
        back = (bookmark - timedelta(days=scope.lookback_days)).replace(hour=0, minute=0)
        is_over = bookmark >= limit and now - limit >= timedelta(days=scope.lookback_days)
        if not is_over:  # without a lookback, windows still begin at 00:00
            lookback = half_hours([Window(back, bookmark)]) & whole
            assert lookback - failing - pending <= recent
            allowed |= lookback
    assert recent & known <= allowed


@SOME_EXAMPLES
@given(scopes, any_progress(), timestamps, st.integers(0, 20))
def test_range_is_due_once_per_slot(
    scope: Scope, progress: Progress, now: datetime, hours: int
) -> None:
    limit, later = _limit(scope, now), now + hours * HOUR
    past, pending = (
        tuple(window for window in windows if window.end <= now)
        for windows in (progress.covered, progress.pending)
    )
    slot = progress.slot
    if slot:
        slot = slot._replace(until=min(slot.until, limit))
    progress = progress._replace(covered=past, pending=pending, slot=slot)
    found = find_due(scope, progress, now)
    slot = current_slot(scope, progress, now)
    requested = [window for windows in found for window in windows]
    for window in [*requested, *progress.pending]:
        slot = slot.without(window)
    if floor(later, scope.interval) != floor(now, scope.interval) or scope.start >= limit:
        return
    after = progress._replace(covered=(*past, *requested), slot=slot, failing=())
    waiting = half_hours(each.window for each in progress.failing) - half_hours(requested)
    again = find_due(scope, after, later)
    assert half_hours(window for windows in again for window in windows) <= waiting
    if _is_new_slot(scope, progress.slot, now) and not waiting:
        assert again.total == 0
