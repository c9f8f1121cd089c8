"""The report quota: how many reports the organization may request in which time range."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_clarity.sandbox.api.errors import ApiError
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, SECOND

if TYPE_CHECKING:
    from tap_clarity.sandbox.behavior.quirks import Switches


@dataclass
class Quota:
    """Counts the report requests of the organization; without quirks a day is a UTC day."""

    switches: Switches
    per_day: int
    _requested: list[int] = field(default_factory=list)

    def used(self, now: int) -> int:
        """Return the requests used, those of others in the organization included."""
        since = self._since(now)
        return sum(each >= since for each in self._requested) + self._used_by_others()

    def use(self, now: int) -> None:
        """Count a request; raises 429 if the quota is used up."""
        if self.used(now) >= self.per_day:
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "report quota of the organization used up",
                self._headers(now),
            )
        self._requested.append(now)

    def _since(self, now: int) -> int:
        if Unknown.ROLLING_QUOTA in self.switches.quirks:
            return now - DAY + 1
        return now - (now - self._day_start) % DAY

    @property
    def _day_start(self) -> int:
        if Unknown.QUOTA_DAY_SHIFTED in self.switches.quirks:
            return round(self.switches.parameters.quota_hour * HOUR)
        return 0

    def _used_by_others(self) -> int:
        if Unknown.SHARED_QUOTA in self.switches.quirks:
            return self.switches.parameters.requests_by_others
        return 0

    def _headers(self, now: int) -> dict[str, str]:
        if Unknown.QUOTA_RETRY_AFTER not in self.switches.quirks:
            return {}
        return {"Retry-After": str(-((now - self._resets_at(now)) // SECOND))}

    def _resets_at(self, now: int) -> int:
        since = self._since(now)
        if Unknown.ROLLING_QUOTA in self.switches.quirks:
            return min((each for each in self._requested if each >= since), default=now) + DAY
        return since + DAY
