"""What a run does about reports, over all report streams: new data of all of them comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_clarity.api.errors import ClarityError
from tap_clarity.planning.due import allocate_quota, find_due
from tap_clarity.streams.report_lanes import new_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tap_clarity.api.report_sender import Lane
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.context import RunContext
    from tap_clarity.streams.reports import ReportStream


class ReportPlan:
    """The windows that are due in a run, and the jobs that request and read them."""

    def __init__(self, run: RunContext, streams: Sequence[ReportStream], now: datetime) -> None:
        """Plan the jobs of the selected report streams, in the order in which they run."""
        self.jobs = new_jobs(run)
        for stream in streams:
            stream.prepare(now)
        self.dues = {stream.name: find_due(*stream.plan(now), now) for stream in streams}
        self.shares = allocate_quota(self.dues, run.quota.left)
        self._lanes: dict[str, Lane[Record] | None] = {}
        for stream in streams:
            try:
                self._lanes[stream.name] = stream.plan_lane(self.dues[stream.name])
            except ClarityError as error:
                # It is raised when it is the stream's turn; the others do not need its ids.
                stream.logger.debug("%s: ids are not available: %s", stream.name, error)
        self.jobs.add([lane for lane in self._lanes.values() if lane])

    @property
    def postponed(self) -> int:
        """How many windows are due for which today's quota has no requests left."""
        return sum(self.dues[name].total - self.shares[name].total for name in self.dues)

    def lane_of(self, stream: ReportStream) -> Lane[Record] | None:
        """Give a stream's lane; None if there is nothing to report on.

        Raises:
            ClarityError: If its ids have to be looked up, and cannot be.
        """
        if stream.name not in self._lanes:
            lane = self._lanes[stream.name] = stream.plan_lane(self.dues[stream.name])
            self.jobs.add([lane] if lane else [])
        return self._lanes[stream.name]
