"""The report quota: Clarity grants an organization 30 report requests per day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.timestamps import DAY, EPOCH, floor

if TYPE_CHECKING:
    from datetime import date, datetime

RETRY_AFTER = timedelta(hours=6)
"""How long after a 429 no report is requested; whether Clarity's day is the UTC day is unknown."""
MAX_EXHAUSTED_TIME = timedelta(days=3)
"""How long Clarity may accept no request before runs end with a non-zero status."""


class DailyUsage(NamedTuple):
    """The report requests of one stream.

    Attributes:
        day: The UTC day to which `requests` belongs.
        requests: How many requests were sent on that day.
        accepted_at: When Clarity last accepted a request.
        exhausted_at: When Clarity last answered that the quota is used up.
        exhausted_since: When it did so first without having accepted a request of the stream since.
    """

    day: date | None = None
    requests: int = 0
    accepted_at: datetime | None = None
    exhausted_at: datetime | None = None
    exhausted_since: datetime | None = None

    def send(self, today: date) -> DailyUsage:
        """Count a request that is about to be sent."""
        return self._replace(day=today, requests=self.requests + 1 if self.day == today else 1)

    def accept(self, now: datetime) -> DailyUsage:
        """Record that Clarity has accepted a request."""
        return self._replace(accepted_at=now, exhausted_at=None, exhausted_since=None)

    def exhaust(self, now: datetime, accepted_at: datetime) -> DailyUsage:
        """Record that Clarity grants no more requests; it last accepted one of any stream then."""
        first = self.exhausted_since
        since = first if first and first >= accepted_at else now
        return self._replace(exhausted_at=now, exhausted_since=since)


class Quota(NamedTuple):
    """What all streams of the organization have used.

    Attributes:
        usages: The requests of each stream.
        limit: The most requests per UTC day, all streams together.
    """

    usages: tuple[DailyUsage, ...]
    limit: int

    def left(self, now: datetime) -> int:
        """Give how many more requests may be sent today."""
        return 0 if self._paused_until(now) else max(0, self.limit - self._sent(now.date()))

    def resumes_at(self, now: datetime) -> datetime:
        """Give when requests resume, where none may be sent now."""
        tomorrow = floor(now, DAY) + DAY
        is_used_up = self._sent(now.date()) >= self.limit
        return tomorrow if is_used_up else min(tomorrow, self._paused_until(now) or now)

    def exhausted_since(self, now: datetime) -> datetime | None:
        """Give since when Clarity has accepted no request, if that is so for days."""
        firsts = [usage.exhausted_since for usage in self.usages if usage.exhausted_since]
        first = min((first for first in firsts if first >= self.accepted_at()), default=None)
        return first if first and now - first >= MAX_EXHAUSTED_TIME else None

    def _sent(self, today: date) -> int:
        return sum(usage.requests for usage in self.usages if usage.day == today)

    def accepted_at(self) -> datetime:
        """Give when Clarity last accepted a request of any stream."""
        return max((usage.accepted_at or EPOCH for usage in self.usages), default=EPOCH)

    def is_paused(self, now: datetime) -> bool:
        """Whether no requests are sent because Clarity has answered that the quota is used up."""
        return self._paused_until(now) is not None

    def _paused_until(self, now: datetime) -> datetime | None:
        """Give the end of the pause after a 429; one of another UTC day does not count."""
        for exhausted_at in (usage.exhausted_at for usage in self.usages):
            if exhausted_at and exhausted_at >= self.accepted_at():
                is_today = exhausted_at.date() == now.date()
                if is_today and exhausted_at <= now < exhausted_at + RETRY_AFTER:
                    return exhausted_at + RETRY_AFTER
        return None
