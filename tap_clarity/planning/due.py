"""Which windows the report streams have to ask for, and which of them today's quota allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.instants import DAY, Window, floor
from tap_clarity.planning.windows import cut, days_long, merged, newest, without

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime, timedelta


class Scope(NamedTuple):
    """What a report stream is to cover.

    Attributes:
        start: First instant.
        end: First instant that does not belong to it any more; None for an open end.
        step: What the present is rounded down to: minute, hour or day.
        window_days: Longest window to ask for, in days.
        lookback_days: How far before the bookmark a head begins, in days.
        interval: Length of a slot; a head is due once per slot.
    """

    start: datetime
    end: datetime | None
    step: timedelta
    window_days: int
    lookback_days: int
    interval: timedelta


@dataclass(frozen=True, slots=True)
class Due:
    """The windows to ask for: new data first, then the missing past; each oldest first.

    Attributes:
        head: The newest data, and what is read again.
        backfill: What is missing before it.
        again: Those windows of the head that hold nothing new.
    """

    head: tuple[Window, ...] = ()
    backfill: tuple[Window, ...] = ()
    again: frozenset[Window] = frozenset()

    def __len__(self) -> int:
        return len(self.head) + len(self.backfill)


def slot_of(now: datetime, interval: timedelta) -> datetime:
    """Give the start of the slot to which an instant belongs."""
    return floor(now, interval)


def find_due(
    scope: Scope,
    covered: Iterable[Window],
    head_slot: datetime | None,
    now: datetime,
    building: Collection[Window] = (),
) -> Due:
    """Find what has to be asked for.

    Args:
        scope: What is to be covered.
        covered: What is covered already.
        head_slot: The slot in which the last head was asked for; None if none was.
        now: The present instant.
        building: What reports are being built for; none of it is asked for again.
    """
    limit = floor(now, scope.step)
    if scope.end is not None:
        limit = min(limit, scope.end)
    # A clock that was ahead may have covered what is still to come.
    known = merged(Window(window.start, min(window.end, limit)) for window in [*covered, *building])
    wanted = _find_head(scope, known, limit, head_slot, now)
    head = [window for window in wanted if without(window, building)]
    last = max((window.end for window in [*known, *head]), default=scope.start)
    missing = without(Window(scope.start, last), [*known, *head])
    backfill = [piece for window in missing for piece in cut(window, scope.window_days)]
    again = [window for window in head if not without(window, known)]
    return Due(tuple(head), tuple(backfill), frozenset(again))


def _find_head(
    scope: Scope, known: list[Window], limit: datetime, head_slot: datetime | None, now: datetime
) -> list[Window]:
    if scope.start >= limit:
        return []
    if not known or known[-1].end <= scope.start:
        return [newest(Window(scope.start, limit), scope.window_days)]
    if head_slot is not None and _is_asked(head_slot, slot_of(now, scope.interval), scope.interval):
        return []
    bookmark, lookback = known[-1].end, days_long(scope.lookback_days)
    if bookmark >= limit and now - limit >= lookback:
        return []  # the end date lies back so far that nothing is read again
    if bookmark - scope.start <= lookback:
        return cut(Window(scope.start, limit), scope.window_days)
    start = max(scope.start, floor(bookmark - lookback, DAY))
    return cut(Window(start, limit), scope.window_days)


def _is_asked(head_slot: datetime, slot: datetime, interval: timedelta) -> bool:
    """Tell whether a slot's head has been asked for.

    A slot to come means that the clock has been put back: if by much, it was wrong before.
    """
    return slot <= head_slot and head_slot - slot <= interval


def allot(dues: Mapping[str, Due], left: int) -> dict[str, tuple[Window, ...]]:
    """Share out the report requests that are left today: all streams' heads, then backfills.

    Among the heads, what is read again comes last: else a long lookback could use up every day's
    requests, and nothing new would ever be read.
    """
    heads: dict[str, list[Window]] = {stream: [] for stream in dues}
    for read_again in (False, True):
        for stream, due in dues.items():
            windows = [w for w in due.head if (w in due.again) is read_again][:left]
            heads[stream] += windows
            left -= len(windows)
    asked = {}
    for stream, due in dues.items():
        backfill = due.backfill[:left]
        asked[stream] = (*sorted(heads[stream]), *backfill)
        left -= len(backfill)
    return asked
