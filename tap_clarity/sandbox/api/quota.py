"""How many reports an organization may request, and in which span of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, SECOND
from tap_clarity.sandbox.http.http_types import ApiError

if TYPE_CHECKING:
    from tap_clarity.sandbox.behavior.quirks import Switches


@dataclass
class Quota:
    """The report requests of the organization; without quirks its day is the UTC day."""

    switches: Switches
    per_day: int
    _requested: list[int] = field(default_factory=list)

    def used(self, now: int) -> int:
        """Count the requests that still count, those of others in the organization included."""
        since = self._since(now)
        return sum(each >= since for each in self._requested) + self._by_others()

    def take(self, now: int) -> None:
        """Count a request, or raise the 429 of a quota that is used up."""
        if self.used(now) >= self.per_day:
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "report quota of the organization used up",
                self._headers(now),
            )
        self._requested.append(now)

    def _since(self, now: int) -> int:
        if Unknown.ROLLING_QUOTA in self.switches.current:
            return now - DAY + 1
        return now - (now - self._day_starts) % DAY

    @property
    def _day_starts(self) -> int:
        if Unknown.QUOTA_DAY_SHIFTED in self.switches.current:
            return round(self.switches.parameters.quota_hour * HOUR)
        return 0

    def _by_others(self) -> int:
        if Unknown.SHARED_QUOTA in self.switches.current:
            return self.switches.parameters.requests_by_others
        return 0

    def _headers(self, now: int) -> dict[str, str]:
        if Unknown.QUOTA_RETRY_AFTER not in self.switches.current:
            return {}
        return {"Retry-After": str(-((now - self._ends(now)) // SECOND))}

    def _ends(self, now: int) -> int:
        since = self._since(now)
        if Unknown.ROLLING_QUOTA in self.switches.current:
            return min((each for each in self._requested if each >= since), default=now) + DAY
        return since + DAY
