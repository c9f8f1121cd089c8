"""Measurements from reports: each step is written down before the next one is taken."""

from __future__ import annotations

from abc import abstractmethod
from itertools import starmap
from typing import TYPE_CHECKING, Any, Protocol

from tap_clarity.api.errors import FileError, QuotaUsedUpError
from tap_clarity.api.reports import Asked, Asking, Dropped, Event, Ready, Report, ReportDesk
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.planning.quota import left_today, used_up
from tap_clarity.streams.measurements import MeasurementStream, measurement_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from singer_sdk import Tap

    from tap_clarity.instants import Window
    from tap_clarity.measurements.model import Measurement
    from tap_clarity.planning.bookmarks import State
    from tap_clarity.planning.quota import Spent
    from tap_clarity.streams.base import Record


class ReportingBookmark(Protocol):
    """What a stream that asks for reports keeps in its state."""

    building: list[tuple[str, Window]]
    spent: Spent

    def to_state(self) -> State:
        """Write all keys of the stream's state."""


class ReportingStream(MeasurementStream):
    """A stream that asks for reports, whatever for."""

    report: str

    @property
    @abstractmethod
    def bookmark(self) -> ReportingBookmark:
        """Where the stream stands; read from state once, and saved at each step."""

    @abstractmethod
    def choice(self) -> dict[str, Any]:
        """Give the part of a request that says which datasources, nodes or sites.

        It is empty if the organisation has none.

        Raises:
            ClarityError: If they have to be looked up, and cannot be.
        """

    def on_asked(self, window: Window) -> None:
        """Take note that Clarity has accepted the request for a window."""

    def on_dropped(self, window: Window) -> None:
        """Take note that a report has come to nothing."""

    @abstractmethod
    def on_delivered(self, window: Window) -> None:
        """Take note that all rows of a window have been written."""

    def reported_records(
        self, wanted: Sequence[Window], allowance: int, choice: dict[str, Any]
    ) -> Iterator[Record]:
        """Give the rows of the reports being built, and of those that are asked for now.

        Args:
            wanted: Windows to ask for, in order.
            allowance: How many requests today's quota has left.
            choice: The part of the request that says which datasources, nodes or sites.

        Raises:
            ClarityError: If a report cannot be had or trusted.
        """
        desk = self._desk(choice)
        building = list(starmap(Report, self.bookmark.building))
        try:
            for event in desk.deliver(building, wanted, allowance):
                self.bookmark.building = [*desk.building]
                yield from self._act_on(event)
                self.save(self.bookmark.to_state())
        except QuotaUsedUpError as error:
            self.bookmark.spent = used_up(self.run.clock.now().date())
            self.save(self.bookmark.to_state())
            self.logger.warning("%s; the rest is asked for after 00:00 UTC", error)
        if desk.building:
            self.logger.warning(
                "report_wait_timeout is over: %d reports are left to the next run", desk.left
            )

    def _act_on(self, event: Event[Iterator[Measurement]]) -> Iterator[Record]:
        bookmark = self.bookmark
        match event:
            case Asking():
                bookmark.spent = bookmark.spent.plus_one(self.run.clock.now().date())
            case Asked(report):
                self.on_asked(report.window)
            case Dropped(report):
                self.on_dropped(report.window)
            case Ready(report, files):
                yield from self._rows(report, files)
                bookmark.building.remove(report)
                self.on_delivered(report.window)

    def _rows(self, report: Report, files: tuple[Iterator[Measurement], ...]) -> Iterator[Record]:
        for number, measurements in enumerate(files, start=1):
            try:
                yield from self.to_records(measurements)
            except UnreadableError as error:
                raise FileError(
                    f"report {report.id} for {report.window}, file {number} of {len(files)}, "
                    f"{error}: the window stays open, and the next run fetches the file again"
                ) from error

    def _desk(self, choice: dict[str, Any]) -> ReportDesk[Iterator[Measurement]]:
        settings = self.run.settings
        query = measurement_query(settings) | choice
        query |= {"report": self.report, "metricLabelStyle": "canonical"}
        if settings.report_file_format == "parquet":
            # The guide says fileFormat, the service was seen to echo format; CSV is the default.
            query |= {"fileFormat": "parquet-wide", "format": "parquet-wide"}
        return ReportDesk(
            self.run.connection,
            self.run.clock,
            self.run.patience,
            query=query,
            concurrency=settings.report_concurrency,
            poll_interval=settings.report_poll_interval,
            open_file=self.open_measurements,
        )


def requests_left(tap: Tap, now: datetime) -> int:
    """Give how many report requests today's quota still has, over all selected streams."""
    streams = [
        stream
        for stream in tap.streams.values()
        if isinstance(stream, ReportingStream) and stream.selected
    ]
    if not streams:
        return 0
    limit = streams[0].run.settings.report_daily_limit
    return left_today((stream.bookmark.spent for stream in streams), limit, now.date())
