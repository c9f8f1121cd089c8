"""Which windows the report streams have to ask for, and which of them today's quota allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.instants import DAY, Window, floor
from tap_clarity.planning.windows import cut, merged, newest, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Scope:
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
    """The windows to ask for: new data first, then the missing past; each oldest first."""

    head: tuple[Window, ...] = ()
    backfill: tuple[Window, ...] = ()

    def __len__(self) -> int:
        return len(self.head) + len(self.backfill)


def slot_of(now: datetime, interval: timedelta) -> datetime:
    """Give the start of the slot to which an instant belongs."""
    return floor(now, interval)


def find_due(
    scope: Scope, covered: Iterable[Window], head_slot: datetime | None, now: datetime
) -> Due:
    """Find what has to be asked for.

    Args:
        scope: What is to be covered.
        covered: What is covered already, or will be by the reports being built.
        head_slot: The slot in which the last head was asked for; None if none was.
        now: The present instant.
    """
    limit = floor(now, scope.step)
    if scope.end is not None:
        limit = min(limit, scope.end)
    known = merged(covered)
    head = _find_head(scope, known, limit, head_slot, now)
    last = max((window.end for window in [*known, *head]), default=scope.start)
    missing = without(Window(scope.start, min(last, limit)), [*known, *head])
    backfill = [piece for window in missing for piece in cut(window, scope.window_days)]
    return Due(tuple(head), tuple(backfill))


def _find_head(
    scope: Scope, known: list[Window], limit: datetime, head_slot: datetime | None, now: datetime
) -> list[Window]:
    if scope.start >= limit:
        return []
    if not known or known[-1].end <= scope.start:
        return [newest(Window(scope.start, limit), scope.window_days)]
    if head_slot is not None and slot_of(now, scope.interval) <= head_slot:
        return []
    lookback = timedelta(days=scope.lookback_days)
    if known[-1].end >= limit and limit + lookback <= now:
        return []  # the end date lies back so far that nothing is read again
    start = floor(min(known[-1].end, limit) - lookback, DAY)
    return cut(Window(max(scope.start, start), limit), scope.window_days)


def allot(dues: Mapping[str, Due], left: int) -> dict[str, tuple[Window, ...]]:
    """Share out the report requests that are left today: all streams' heads, then backfills."""
    asked: dict[str, tuple[Window, ...]] = dict.fromkeys(dues, ())
    for part in ("head", "backfill"):
        for stream, due in dues.items():
            windows = getattr(due, part)[:left]
            asked[stream] += windows
            left -= len(windows)
    return asked
