"""Which reports fill the gaps in the recent measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import DAY, Window, floor
from tap_clarity.planning.due import Due
from tap_clarity.planning.windows import cut, days_long, merged, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tap_clarity.planning.retries import FailingWindow


def find_due_gaps(
    gaps: Iterable[Window],
    pending: Iterable[Window],
    failing: Sequence[FailingWindow],
    window_days: int,
    now: datetime,
) -> Due:
    """Find the windows to request for gaps; those whose reports fail are retried by themselves.

    Args:
        gaps: What is missing.
        pending: The windows of pending reports.
        failing: The windows whose reports fail or are rejected.
        window_days: Longest window to request, in days.
        now: The present instant.
    """
    bad = [each.window for each in failing]
    left = [part for gap in gaps for part in without(gap, pending)]
    new = [part for gap in left for part in without(gap, bad)]
    windows = [part for window in fewest_windows(new, window_days) for part in without(window, bad)]
    waiting = [each.window for each in failing if not each.is_due(now.date())]
    retries = [part for gap in left for part in without(gap, [*new, *waiting])]
    return Due(
        incremental=tuple(windows),
        retries=tuple(part for window in retries for part in cut(window, window_days)),
    )


def fewest_windows(gaps: Iterable[Window], window_days: int) -> list[Window]:
    """Cover gaps with the fewest windows.

    Gaps that fit into one window share it: what lies between them is read a second time, but a
    request less is sent.
    """
    longest = days_long(window_days)
    joined: list[Window] = []
    for gap in merged(gaps):
        if joined and gap.end - floor(joined[-1].start, DAY) <= longest:
            joined[-1] = Window(joined[-1].start, gap.end)
        else:
            joined.append(gap)
    return [window for each in joined for window in cut(each, window_days)]
