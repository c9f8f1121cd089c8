"""The ledger of report requests: Clarity grants an organisation 30 per UTC day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

ALL_OF_THEM = 30


class Spent(NamedTuple):
    """How many report requests a stream has sent on a day."""

    day: date | None = None
    requests: int = 0

    def plus_one(self, today: date) -> Spent:
        """Count one more request."""
        return Spent(today, self.requests + 1 if self.day == today else 1)


def left_today(ledger: Iterable[Spent], limit: int, today: date) -> int:
    """Give how many more requests may be sent today, over all streams."""
    return max(0, limit - sum(spent.requests for spent in ledger if spent.day == today))


def used_up(today: date) -> Spent:
    """Take Clarity's word for it that nothing is left today."""
    return Spent(today, ALL_OF_THEM)
