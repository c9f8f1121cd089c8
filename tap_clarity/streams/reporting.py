"""Measurements from reports: each step is written down before the next one is taken."""

from __future__ import annotations

from abc import abstractmethod
from itertools import starmap
from typing import TYPE_CHECKING, Any, Protocol

from tap_clarity.api.errors import FileError, QuotaUsedUpError
from tap_clarity.api.report_desk import Asked, Asking, Dropped, Event, Ready, ReportDesk
from tap_clarity.api.reports import Report
from tap_clarity.instants import DAY, floor
from tap_clarity.planning.bookmarks import ReportBookmark
from tap_clarity.planning.quota import Spent, left_today, used_up
from tap_clarity.streams.measurements import MeasurementStream, measurement_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from singer_sdk import Tap

    from tap_clarity.instants import Window
    from tap_clarity.planning.bookmarks import State
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.measurements import Piece

KEPT = (
    "its window stays open, and each run fetches it again until Clarity has forgotten the report, "
    "then asks for a new one; if it stays bad, show Clarity's support this line"
)


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
            self._say_when_it_goes_on(f"Clarity grants no more reports today: {error}")

    def say_put_off(self, reports: int) -> None:
        """Say, once in a run, that today's quota was not enough for all reports."""
        limit = self.run.settings.report_daily_limit
        if not self.run.quota_told:
            self._say_when_it_goes_on(f"report_daily_limit ({limit}) puts off reports: {reports}")

    def _say_when_it_goes_on(self, why: str) -> None:
        self.run.quota_told = True
        tomorrow = floor(self.run.clock.now(), DAY) + DAY
        goes_on = f"they are asked for from {tomorrow:%Y-%m-%d %H:%M} UTC on, nothing is lost"
        if not self.run.settings.report_daily_limit:
            goes_on = "they wait until it is raised"
        self.logger.warning("%s; %s", why, goes_on)

    def _act_on(self, event: Event[Piece]) -> Iterator[Record]:
        bookmark = self.bookmark
        match event:
            case Asking():
                bookmark.spent = bookmark.spent.plus_one(self.run.clock.now().date())
            case Asked(report):
                self.on_asked(report.window)
            case Dropped(report):
                self.on_dropped(report.window)
            case Ready(report, rows):
                try:
                    yield from self.emit(rows)
                except FileError as error:
                    self.fail(FileError(f"{error}; {KEPT}"))
                else:
                    bookmark.building.remove(report)
                    self.on_delivered(report.window)

    def _desk(self, choice: dict[str, Any]) -> ReportDesk[Piece]:
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
    """Give how many report requests today's quota still has, over all streams."""
    streams = [stream for stream in tap.streams.values() if isinstance(stream, ReportingStream)]
    limit = streams[0].run.settings.report_daily_limit
    return left_today(map(_spent_by, streams), limit, now.date())


def _spent_by(stream: ReportingStream) -> Spent:
    if stream.selected:
        return stream.bookmark.spent
    try:  # what it spent before it was deselected
        return ReportBookmark.from_state(stream.stream_state).spent
    except ValueError:
        return Spent()
