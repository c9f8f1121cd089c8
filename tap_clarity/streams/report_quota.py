"""The report quota of the organization, which all streams of a run share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_clarity.planning.quota import Quota
from tap_clarity.planning.report_ledger import read_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_clarity.core.clock import Clock
    from tap_clarity.planning.quota import DailyUsage
    from tap_clarity.planning.report_ledger import ReportLedger
    from tap_clarity.streams.measurements import MeasurementStream

MAX_PENDING = 10
"""Pending reports of all streams together: the state names them all."""


class SharedQuota:
    """Sums up the report requests of all streams, those that are not selected included.

    Attributes:
        limit: Requests per UTC day.
        is_announced: Whether it has been logged when requests resume.
    """

    def __init__(
        self, streams: Callable[[], Sequence[MeasurementStream]], limit: int, clock: Clock
    ) -> None:
        self.limit = limit
        self.is_announced = False
        self._streams = streams
        self._clock = clock

    @property
    def left(self) -> int:
        """How many requests are left today."""
        return self.now.left(self._clock.now())

    @property
    def now(self) -> Quota:
        """What has been requested so far."""
        return Quota(tuple(map(_usage_of, self._streams())), self.limit)

    @property
    def places_left(self) -> int:
        """How many more reports may be pending."""
        selected = [stream for stream in self._streams() if stream.selected]
        return MAX_PENDING - sum(len(stream.journal.pending) for stream in selected)


def _usage_of(stream: MeasurementStream) -> DailyUsage:
    if stream.selected:
        ledger: ReportLedger = stream.journal.bookmark.ledger
        return ledger.usage
    return read_usage(stream.stream_state)  # what it used before it was deselected
