"""When a backfill will be complete, given that the tap runs at least once per slot and day."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.timestamps import DAY, floor
from tap_clarity.planning.due import Due, Progress, Scope, allocate_quota, current_slot, find_due

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

MAX_STANDSTILL = timedelta(days=60)
"""For how long a backfill may not become shorter before it is said never to end."""


class StreamPlan(NamedTuple):
    """What a report stream is to cover, and how far it has come."""

    scope: Scope
    progress: Progress

    def due(self, now: datetime) -> Due:
        """Find the windows that are due."""
        return find_due(self.scope, self.progress, now)

    def after(self, requested: Due, now: datetime) -> StreamPlan:
        """Give the plan once these windows have been requested and covered."""
        windows = tuple(chain(*requested))
        slot = current_slot(self.scope, self.progress, now)
        for window in windows:
            slot = slot.without(window)
        covered = self.progress.covered + windows
        progress = self.progress._replace(covered=covered, slot=slot, failing=())
        return self._replace(progress=progress)


def estimate_backfill_end(
    plans: Mapping[str, StreamPlan], left: int, daily_limit: int, now: datetime, gaps: int = 0
) -> date | None:
    """Give the day on which the last window of the backfill is requested.

    Args:
        plans: The report streams by name, in the order in which they run.
        left: How many report requests are left today.
        daily_limit: How many there are on every other day.
        now: The present instant.
        gaps: How many requests go before all others, for gaps in the recent measurements.

    Returns:
        The day, today if nothing is missing; None if new data takes up all the requests.
    """
    plans = dict(plans)
    shortest, stop_at = None, now + MAX_STANDSTILL
    step = min(DAY, *(plan.scope.interval for plan in plans.values()))
    while now < stop_at:
        filled = min(gaps, left)
        gaps, left = gaps - filled, left - filled
        dues = {name: plan.due(now) for name, plan in plans.items()}
        requested = allocate_quota(dues, left)
        if requested == dues:
            return now.date()
        plans = {name: plan.after(requested[name], now) for name, plan in plans.items()}
        missing = sum(len(due.backfill) for due in dues.values())
        if shortest is None or missing < shortest:
            shortest, stop_at = missing, now + MAX_STANDSTILL
        left -= sum(due.total for due in requested.values())
        tomorrow = floor(now, DAY) + DAY
        now += step if left else step * math.ceil((tomorrow - now) / step)
        left = daily_limit if now >= tomorrow else left
    return None
