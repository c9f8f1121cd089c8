"""The report streams: windows of history, asked for once, delivered oldest first."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from functools import cached_property
from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar

from tap_clarity.api.errors import FileError, QuotaUsedUpError
from tap_clarity.api.reports import Asked, Asking, Dropped, Event, Ready, Report, ReportDesk
from tap_clarity.instants import DAY, floor, format_instant
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.planning.bookmarks import ReportBookmark, fingerprint
from tap_clarity.planning.due import Due, Scope, allot, slot_of
from tap_clarity.planning.forecast import Standing
from tap_clarity.planning.quota import left_today, used_up
from tap_clarity.planning.windows import merged
from tap_clarity.streams.measurements import (
    MeasurementStream,
    datasource_choice,
    measurement_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.measurements.model import Measurement
    from tap_clarity.streams.base import Record

DAYS_OF_HISTORY = 30


class ReportStream(MeasurementStream):
    """Measurements as Clarity's reports have them."""

    report: ClassVar[str]
    advances_by = "windows in state"
    _restarted = False

    @property
    @abstractmethod
    def chosen(self) -> tuple[str, ...] | None:
        """Ids that the settings name; None for all of the organisation's."""

    @abstractmethod
    def choice(self) -> dict[str, Any]:
        """Give the part of the request that says which datasources, nodes or sites.

        It is empty if the organisation has none.

        Raises:
            ClarityError: If they have to be looked up, and cannot be.
        """

    @cached_property
    def bookmark(self) -> ReportBookmark:
        """Where the stream stands; coverage and reports of another query do not count."""
        query = measurement_query(self.run.settings)
        mark = fingerprint(**query, report=self.report, chosen=self.chosen)
        try:
            bookmark = ReportBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "The state of %s is unusable (%s): starting afresh", self.name, error
            )
            bookmark = ReportBookmark()
        if bookmark.fingerprint not in {None, mark}:
            self._restarted = True
            bookmark = ReportBookmark(start=bookmark.start, spent=bookmark.spent)
        bookmark.fingerprint = mark
        return bookmark

    def standing(self, now: datetime) -> Standing:
        """Sum up where the stream stands, for planning."""
        settings, bookmark = self.run.settings, self.bookmark
        if settings.start_date is None and bookmark.start is None:
            bookmark.start = floor(now, DAY) - DAYS_OF_HISTORY * DAY
        scope = Scope(
            start=settings.start_date or bookmark.start or now,
            end=settings.end_date,
            step=settings.frequency.step,
            window_days=settings.report_window_days,
            lookback_days=settings.lookback_days,
            interval=timedelta(hours=settings.report_interval_hours),
        )
        known = (*bookmark.covered, *(window for _, window in bookmark.building))
        return Standing(scope, known, bookmark.head_slot)

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        choice = self.choice()
        if not choice:
            self.logger.info("%s: the organisation has nothing to report on", self.name)
            return
        now = self.run.clock.now()
        due = self.standing(now).due(now)
        streams = selected_reports(self._tap)
        left = requests_left(streams, now)
        wanted = allot({s.name: s.standing(now).due(now) for s in streams}, left)[self.name]
        self._announce(due, len(wanted), now)
        desk = self._desk(choice)
        events = desk.deliver(list(starmap(Report, self.bookmark.building)), wanted, left)
        try:
            yield from self._deliver(desk, events, due, now)
        except QuotaUsedUpError as error:
            self.bookmark.spent = used_up(self.run.clock.now().date())
            self.save(self.bookmark.to_state())
            self.logger.warning("%s; the rest is asked for after 00:00 UTC", error)
        if desk.building:
            self.logger.warning(
                "report_wait_timeout is over: %d reports are left to the next run", desk.left
            )

    def _deliver(
        self,
        desk: ReportDesk[Iterator[Measurement]],
        events: Iterator[Event[Iterator[Measurement]]],
        due: Due,
        now: datetime,
    ) -> Iterator[Record]:
        """Give the rows of what is ready, and write down each step before the next is taken."""
        bookmark = self.bookmark
        for event in events:
            bookmark.building = [*desk.building]
            match event:
                case Asking():
                    bookmark.spent = bookmark.spent.plus_one(self.run.clock.now().date())
                case Asked(report):
                    if due.head and report.window == due.head[-1]:
                        bookmark.head_slot = slot_of(now, self.standing(now).scope.interval)
                case Dropped(report):
                    bookmark.head_slot = None
                case Ready(report, files):
                    yield from self._rows(report, files)
                    bookmark.building.remove(report)
                    bookmark.covered = merged([*bookmark.covered, report.window])
            self.save(bookmark.to_state())

    def _rows(self, report: Report, files: tuple[Iterator[Measurement], ...]) -> Iterator[Record]:
        for number, measurements in enumerate(files, start=1):
            try:
                yield from self.to_records(measurements)
            except UnreadableError as error:
                raise FileError(
                    f"report {report.id} for {report.window}, file {number} of {len(files)}, "
                    f"{error}: the window stays open, and the next run fetches the file again"
                ) from error

    def _announce(self, due: Due, asked: int, now: datetime) -> None:
        building = len(self.bookmark.building)
        if not due and not building:
            self.logger.info("%s: no report is due", self.name)
            return
        if self._restarted:
            self.logger.warning(
                "%s: settings of its query have changed; it starts again from %s, for %d reports",
                *(self.name, format_instant(self.standing(now).scope.start), len(due)),
            )
        self.logger.info(
            "%s: reports to ask for: %d, being built: %d, put off to another day by the quota: %d",
            *(self.name, asked, building, len(due) - asked),
        )

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


def selected_reports(tap: Tap) -> list[ReportStream]:
    """Give the report streams that run, in their order."""
    return [
        stream
        for stream in tap.streams.values()
        if isinstance(stream, ReportStream) and stream.selected
    ]


def requests_left(streams: Sequence[ReportStream], now: datetime) -> int:
    """Give how many report requests today's quota still has, over all streams."""
    if not streams:
        return 0
    limit = streams[0].run.settings.report_daily_limit
    return left_today((stream.bookmark.spent for stream in streams), limit, now.date())


class DatasourceMeasurements(ReportStream):
    """The history of the datasources."""

    name = "datasource_measurements"
    source = "report datasource-measurements"
    report = "datasource-measurements"

    @property
    def chosen(self) -> tuple[str, ...] | None:
        return self.run.settings.datasource_ids

    def choice(self) -> dict[str, Any]:
        return datasource_choice(self.chosen)


class NodeMeasurements(ReportStream):
    """The history of the nodes, whichever datasources they fed."""

    name = "node_measurements"
    source = "report node-measurements"
    selected_by_default = False
    report = "node-measurements"
    id_field = "node_id"

    @property
    def chosen(self) -> tuple[str, ...] | None:
        return self.run.settings.node_ids

    def choice(self) -> dict[str, Any]:
        ids = self.chosen or tuple(sorted(node["nodeId"] for node in self.run.nodes))
        return {"nodeIds": list(ids)} if ids else {}


class ReferenceSiteMeasurements(ReportStream):
    """The history of the reference sites."""

    name = "reference_site_measurements"
    source = "report reference-site-measurements"
    selected_by_default = False
    report = "reference-site-measurements"
    id_field = "reference_site_id"

    @property
    def chosen(self) -> tuple[str, ...] | None:
        return self.run.settings.reference_site_ids

    def choice(self) -> dict[str, Any]:
        ids = self.chosen or self.run.reference_sites
        return {"refSiteIds": list(ids)} if ids else {}
