"""When a backfill will be over, given that the tap runs at least once per slot and day."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.instants import DAY, floor
from tap_clarity.planning.due import Due, Scope, allot, find_due, slot_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from tap_clarity.instants import Window

STANDSTILL = timedelta(days=60)
"""How long the past may grow no shorter before it never will."""


class Standing(NamedTuple):
    """Where a report stream stands, as far as planning goes.

    Attributes:
        scope: What it is to cover.
        covered: What is covered.
        head_slot: The slot in which new data was last asked for.
        building: What reports are being built for.
    """

    scope: Scope
    covered: tuple[Window, ...]
    head_slot: datetime | None
    building: tuple[Window, ...] = ()

    def due(self, now: datetime) -> Due:
        """Find the windows that have to be asked for."""
        return find_due(self.scope, self.covered, self.head_slot, now, self.building)

    def after(self, asked: tuple[Window, ...], due: Due, now: datetime) -> Standing:
        """Give the standing once these windows are asked for."""
        slot = self.head_slot
        if due.head and due.head[-1] in asked:
            slot = slot_of(now, self.scope.interval)
        return self._replace(covered=self.covered + asked, head_slot=slot)


def backfill_ends_on(
    standings: Mapping[str, Standing], left: int, daily_limit: int, now: datetime, gaps: int = 0
) -> date | None:
    """Give the day on which the last window of the past is asked for.

    Args:
        standings: The report streams by name, in the order in which they run.
        left: How many report requests are left today.
        daily_limit: How many there are on every other day.
        now: The present instant.
        gaps: How many requests go before all others, for holes in the recent measurements.

    Returns:
        The day, today if nothing is missing; None if new data takes up all the requests.
    """
    standings = dict(standings)
    shortest, patience_ends = None, now + STANDSTILL
    step = min(DAY, *(standing.scope.interval for standing in standings.values()))
    while now < patience_ends:
        filled = min(gaps, left)
        gaps, left = gaps - filled, left - filled
        dues = {name: standing.due(now) for name, standing in standings.items()}
        asked = allot(dues, left)
        if sum(map(len, asked.values())) == sum(map(len, dues.values())):
            return now.date()
        for name, standing in standings.items():
            standings[name] = standing.after(asked[name], dues[name], now)
        missing = sum(len(due.backfill) for due in dues.values())
        if shortest is None or missing < shortest:
            shortest, patience_ends = missing, now + STANDSTILL
        left -= sum(map(len, asked.values()))
        tomorrow = floor(now, DAY) + DAY
        now += step if left else step * math.ceil((tomorrow - now) / step)
        left = daily_limit if now >= tomorrow else left
    return None
