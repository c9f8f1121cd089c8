"""When a backfill will be over, given that the tap runs at least once per slot and day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.planning.due import Due, Scope, allot, find_due, slot_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from tap_clarity.instants import Window

HORIZON = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a report stream stands, as far as planning goes.

    Attributes:
        scope: What it is to cover.
        covered: What is covered, or will be by the reports being built.
        head_slot: The slot in which new data was last asked for.
    """

    scope: Scope
    covered: tuple[Window, ...]
    head_slot: datetime | None

    def due(self, now: datetime) -> Due:
        """Find the windows that have to be asked for."""
        return find_due(self.scope, self.covered, self.head_slot, now)

    def after(self, asked: tuple[Window, ...], due: Due, now: datetime) -> Standing:
        """Give the standing once these windows are asked for."""
        slot = self.head_slot
        if due.head and due.head[-1] in asked:
            slot = slot_of(now, self.scope.interval)
        return replace(self, covered=self.covered + asked, head_slot=slot)


def backfill_ends_on(
    standings: Mapping[str, Standing], left: int, daily_limit: int, now: datetime
) -> date | None:
    """Give the day on which the last window of the past is asked for.

    Args:
        standings: The report streams by name, in the order in which they run.
        left: How many report requests are left today.
        daily_limit: How many there are on every other day.
        now: The present instant.

    Returns:
        The day, today if nothing is missing; None if it takes more than ten years.
    """
    end = now + HORIZON
    standings = dict(standings)
    step = min(timedelta(days=1), *(s.scope.interval for s in standings.values()))
    while now < end:
        dues = {name: standing.due(now) for name, standing in standings.items()}
        asked = allot(dues, left)
        if sum(map(len, asked.values())) == sum(map(len, dues.values())):
            return now.date()
        for name, standing in standings.items():
            standings[name] = standing.after(asked[name], dues[name], now)
        left -= sum(map(len, asked.values()))
        left = left if (now + step).date() == now.date() else daily_limit
        now += step
    return None
