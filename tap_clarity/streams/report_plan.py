"""What a run does about reports, over all report streams: new data of all of them comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_clarity.api.errors import ClarityError
from tap_clarity.planning.due import allocate_quota, find_due

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_clarity.api.report_jobs import ReportJobs
    from tap_clarity.api.report_requests import Lane
    from tap_clarity.streams.measurements import Piece
    from tap_clarity.streams.reports import ReportStream


class ReportPlan:
    """The windows that are due in a run, and the jobs that request and read them."""

    def __init__(self, streams: Mapping[str, ReportStream], left: int, now: datetime) -> None:
        """Plan the jobs.

        Args:
            streams: The selected report streams by name, in the order in which they run.
            left: How many requests today's quota has left.
            now: The present instant.
        """
        self.jobs: ReportJobs[Piece] = next(iter(streams.values())).new_jobs()
        for stream in streams.values():
            stream.begin(now)
        self.dues = {name: find_due(*stream.plan(now), now) for name, stream in streams.items()}
        self.shares = allocate_quota(self.dues, left)
        self._lanes: dict[str, Lane[Piece] | None] = {}
        for stream in streams.values():
            try:
                self._lanes[stream.name] = stream.plan_lane(self.dues[stream.name])
            except ClarityError as error:
                # It is raised when it is the stream's turn; the others do not need its ids.
                stream.logger.debug("%s: ids are not available: %s", stream.name, error)
        self.jobs.add([lane for lane in self._lanes.values() if lane])

    @property
    def put_off(self) -> int:
        """How many windows are due for which today's quota has no requests left."""
        return sum(self.dues[name].total - self.shares[name].total for name in self.dues)

    def lane_of(self, stream: ReportStream) -> Lane[Piece] | None:
        """Give a stream's lane; None if there is nothing to report on.

        Raises:
            ClarityError: If its ids have to be looked up, and cannot be.
        """
        if stream.name not in self._lanes:
            lane = self._lanes[stream.name] = stream.plan_lane(self.dues[stream.name])
            self.jobs.add([lane] if lane else [])
        return self._lanes[stream.name]
