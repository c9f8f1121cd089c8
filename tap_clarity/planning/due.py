"""Which windows of a report stream are due, and which of them today's quota allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from tap_clarity.core.timestamps import DAY, Window, floor
from tap_clarity.planning.retries import retries_due
from tap_clarity.planning.windows import cut, days_long, merged, newest, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from tap_clarity.planning.retries import FailingWindow

MAX_RETRIES = 5
"""How many failing windows of a stream a run requests; the backfill needs requests as well."""


MAX_JOINED_LAG = 4 * DAY
"""Up to this lag new data and the lookback before it are requested in one report."""


class Scope(NamedTuple):
    """What a report stream is to cover.

    Attributes:
        start: First instant.
        end: First instant that does not belong to it any more; None for an open end.
        step: What the present is rounded down to: minute, hour or day.
        window_days: Longest window to request, in days.
        lookback_days: How far before the bookmark the incremental range begins, in days.
        interval: Length of a slot; an incremental range is due once per slot.
    """

    start: datetime
    end: datetime | None
    step: timedelta
    window_days: int
    lookback_days: int
    interval: timedelta

    def limit(self, now: datetime) -> datetime:
        """Give the end of what can be covered now."""
        present = floor(now, self.step)
        return present if self.end is None else min(present, self.end)


class Slot(NamedTuple):
    """The last slot in which an incremental range was planned.

    Attributes:
        start: When the slot begins; slots are aligned to 00:00 UTC.
        until: The end of its incremental range.
        reread: What is covered, and has not been requested again yet.
    """

    start: datetime
    until: datetime
    reread: tuple[Window, ...] = ()

    def without(self, window: Window) -> Slot:
        """Give the slot once a window has been requested."""
        left = [part for each in self.reread for part in without(each, [window])]
        return self._replace(reread=tuple(left))


class Progress(NamedTuple):
    """How far a report stream has come.

    Attributes:
        covered: What has been written.
        pending: The windows of its pending reports.
        failing: The windows whose reports fail or are rejected.
        slot: The last slot with an incremental range; None if there was none.
    """

    covered: tuple[Window, ...] = ()
    pending: tuple[Window, ...] = ()
    failing: tuple[FailingWindow, ...] = ()
    slot: Slot | None = None

    def known(self, limit: datetime) -> list[Window]:
        """Give what is neither new nor missing; a clock that was ahead may have covered more."""
        windows = [*self.covered, *self.pending, *(each.window for each in self.failing)]
        return merged(Window(window.start, min(window.end, limit)) for window in windows)


class Due(NamedTuple):
    """The windows to request, in the order of their priority; each oldest first.

    Attributes:
        incremental: What holds data after the bookmark.
        lookback: The windows of the lookback before the bookmark.
        retries: Failing windows whose next attempt is due; some of them, if there are many.
        backfill: What is missing before the incremental range.
    """

    incremental: tuple[Window, ...] = ()
    lookback: tuple[Window, ...] = ()
    retries: tuple[Window, ...] = ()
    backfill: tuple[Window, ...] = ()

    @property
    def total(self) -> int:
        """How many windows are due."""
        return sum(map(len, self))


def find_due(scope: Scope, progress: Progress, now: datetime) -> Due:
    """Find the windows that are due at an instant."""
    limit = scope.limit(now)
    if scope.start >= limit:
        return Due()
    whole, known = Window(scope.start, limit), progress.known(limit)
    failing = [each.window for each in progress.failing]
    ranges = _inside(whole, _incremental_ranges(scope, progress, now))
    recent = [
        window
        for wanted in ranges
        for part in without(wanted, failing)
        for window in cut(part, scope.window_days)
        if without(window, progress.pending)
    ]
    bookmark = known[-1].end if known else scope.start
    last = max((window.end for window in [*known, *recent]), default=scope.start)
    missing = without(Window(scope.start, last), [*known, *recent])
    return Due(
        incremental=tuple(window for window in recent if window.end > bookmark),
        lookback=tuple(window for window in recent if window.end <= bookmark),
        retries=_retries(scope, whole, progress, now),
        backfill=tuple(_cut_all(missing, scope)),
    )


def current_slot(scope: Scope, progress: Progress, now: datetime) -> Slot:
    """Give the slot of the present instant: the last one as it stands, or a new one."""
    start, last = floor(now, scope.interval), progress.slot
    if last and _is_same_slot(last.start, start, scope.interval):
        return last
    limit = scope.limit(now)
    left = last.reread if last else ()
    reread = merged(_inside(Window(scope.start, limit), [*left, *_lookback(scope, progress, now)]))
    return Slot(start, limit, tuple(reread))


def _incremental_ranges(scope: Scope, progress: Progress, now: datetime) -> list[Window]:
    limit = scope.limit(now)
    known = progress.known(limit)
    if not known or known[-1].end <= scope.start:
        return [newest(Window(scope.start, limit), scope.window_days)]
    slot = current_slot(scope, progress, now)
    new = Window(known[-1].end, min(slot.until, limit))
    if limit - new.start > MAX_JOINED_LAG:
        # A report whose range is clipped at its end would bring the lookback alone each time.
        return [*(part for each in slot.reread for part in without(each, [new])), new]
    return merged([*slot.reread, new])


def _lookback(scope: Scope, progress: Progress, now: datetime) -> list[Window]:
    """Give what a new slot reads again: the days before the bookmark."""
    limit = scope.limit(now)
    known, length = progress.known(limit), days_long(scope.lookback_days)
    if not known or known[-1].end <= scope.start:
        return []
    bookmark = known[-1].end
    if bookmark >= limit and now - limit >= length:
        return []  # the end date lies back so far that nothing is read again
    if bookmark - scope.start <= length:
        return [Window(scope.start, bookmark)]
    return [Window(max(scope.start, floor(bookmark - length, DAY)), bookmark)]


def _retries(scope: Scope, whole: Window, progress: Progress, now: datetime) -> tuple[Window, ...]:
    failing = _cut_all(_inside(whole, retries_due(progress.failing, now.date())), scope)
    windows = [each for each in failing if without(each, progress.pending)]
    # Not always the first ones: if these fail for good, the others would never be requested.
    first = crc32(now.date().isoformat().encode()) % max(1, len(windows))
    rotated = [*windows[first:], *windows[:first]]
    missing = [each for each in rotated if without(each, progress.covered)]
    covered = [each for each in rotated if each not in missing]
    return tuple(sorted([*missing, *covered][:MAX_RETRIES]))


def _inside(whole: Window, windows: Iterable[Window]) -> list[Window]:
    parts = (Window(max(whole.start, w.start), min(whole.end, w.end)) for w in windows)
    return [part for part in parts if part.start < part.end]


def _cut_all(windows: Iterable[Window], scope: Scope) -> list[Window]:
    return [piece for window in windows for piece in cut(window, scope.window_days)]


def _is_same_slot(last: datetime, present: datetime, interval: timedelta) -> bool:
    """Tell whether the last slot is still the present one.

    A slot to come means that the clock has been put back: if by much, it was wrong before.
    """
    return present <= last and last - present <= interval


def allocate_quota(dues: Mapping[str, Due], left: int) -> dict[str, Due]:
    """Share the report requests that are left today, by priority over all streams.

    New data of all streams comes first: a long lookback or a backfill could use up each day's
    requests, and nothing new would ever be read.
    """
    shares = dict.fromkeys(dues, Due())
    for kind in Due._fields:
        for stream, due in dues.items():
            windows = getattr(due, kind)[:left]
            shares[stream] = shares[stream]._replace(**{kind: windows})
            left -= len(windows)
    return shares
