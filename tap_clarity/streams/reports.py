"""The report streams: windows of history, each requested once and written when it is ready."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import DAY, Window, floor, format_instant
from tap_clarity.planning.bookmarks import ReportBookmark, fingerprint
from tap_clarity.planning.due import Due, Scope, current_slot
from tap_clarity.planning.forecast import StreamPlan
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.streams.measurements import measurement_query
from tap_clarity.streams.report_base import (
    ReportingStream,
    Selector,
    datasource_selector,
    report_quota,
)
from tap_clarity.streams.report_plan import ReportPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.api.metadata import JsonObject
    from tap_clarity.api.report_requests import Lane
    from tap_clarity.planning.reports import Report
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.measurements import Piece

DAYS_OF_HISTORY = 30
STAGES_WITHOUT_DATA = {"purchased", "configured"}
"""Life stages in which a node has not measured yet."""


class ReportStream(ReportingStream[ReportBookmark]):
    """The history, covered window by window."""

    advances_by = "windows in state"

    @property
    @abstractmethod
    def selected_ids(self) -> tuple[str, ...] | None:
        """Ids that the settings name; None for all of the organization's."""

    def read_bookmark(self) -> ReportBookmark:
        """Read the stream's state; coverage and reports of another query do not count."""
        stored = self._stored
        if self.is_restarted:
            ledger = ReportLedger(usage=stored.ledger.usage)
            stored = ReportBookmark(start=stored.start, ledger=ledger)
        return replace(stored, fingerprint=self._fingerprint)

    @property
    def is_restarted(self) -> bool:
        """Whether the run began with the state of another query."""
        return self._stored.fingerprint not in {None, self._fingerprint}

    @cached_property
    def _stored(self) -> ReportBookmark:
        """What the last run has left; the state itself changes with each checkpoint."""
        try:
            return ReportBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "State of %s is unusable: %s; starting without state", self.name, error
            )
            return ReportBookmark()

    @property
    def _fingerprint(self) -> str:
        query = measurement_query(self.run.settings)
        return fingerprint(**query, report=self.report, chosen=self.selected_ids)

    @property
    def has_covered(self) -> bool:
        """Whether any report of the present query has been written."""
        return bool(self.bookmark.covered)

    def plan(self, now: datetime) -> StreamPlan:
        """Sum up what the stream is to cover, and how far it has come."""
        settings, bookmark = self.run.settings, self.bookmark
        start = settings.start_date or bookmark.start or default_start(now)
        if bookmark.access_start:
            start = max(start, floor(bookmark.access_start, DAY))
        scope = Scope(
            # Whether Clarity serves a period from its middle on is unknown.
            start=floor(start, settings.frequency.step),
            end=settings.end_date,
            step=settings.frequency.step,
            window_days=settings.report_window_days,
            lookback_days=settings.lookback_days,
            interval=timedelta(hours=settings.report_interval_hours),
        )
        return StreamPlan(scope, bookmark.progress)

    def plan_lane(self, due: Due) -> Lane[Piece] | None:
        """Describe the stream's jobs; None if there is nothing to report on.

        Raises:
            ClarityError: If its ids have to be looked up, and cannot be.
        """
        selector = self.selector()
        if selector.is_empty:
            return self.lane(selector, Due()) if self.pending else None
        return self.lane(selector, due)

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        now = self.run.clock.now()
        plan = self.run.report_plan
        if plan is None:
            left = report_quota(self._tap).left(now)
            plan = self.run.report_plan = ReportPlan(selected_reports(self._tap), left, now)
        lane = plan.lane_of(self)
        if lane is None:
            self.logger.info("%s: the organization has nothing to report on", self.name)
            return
        self._log_plan(plan.dues[self.name], plan.shares[self.name].total, now)
        yield from self.reported_records(plan.jobs, lane)
        self.log_put_off(plan.put_off)

    def begin(self, now: datetime) -> None:
        """Fix where the history begins, and the slot; the next checkpoint writes them out."""
        start, access_start = self.bookmark.start, self.bookmark.access_start
        if start is None and self.run.settings.start_date is None:
            start = default_start(now)
        if self.run.access_starts:
            access_start = self.access_start()
        self._bookmark = replace(self.bookmark, start=start, access_start=access_start)
        scope = self.plan(now).scope
        wanted = [Window(scope.start, max(scope.start, scope.limit(now)))]
        self._bookmark = self._bookmark.with_ledger(self._bookmark.ledger.drop_outside(wanted))
        self._bookmark = replace(self._bookmark, slot=current_slot(*self.plan(now), now))

    def access_start(self) -> datetime | None:
        """Give from when on measurements may be read, if the details of this run say so."""
        return None

    def accepted(self, report: Report, replaced: Report | None) -> None:
        """Add a pending report; what it reads again need not be requested for that any more."""
        slot = self.bookmark.slot
        if slot:
            self._bookmark = replace(self.bookmark, slot=slot.without(report.window))
        super().accepted(report, replaced)

    def _log_plan(self, due: Due, requests: int, now: datetime) -> None:
        if self.is_restarted:
            self.logger.warning(
                "%s: settings of its query have changed; it starts again from %s, for %d reports",
                *(self.name, format_instant(self.plan(now).scope.start), due.total),
            )
        pending = len(self.pending)
        if due.total or pending:
            self.logger.info(
                "%s: reports due: %d (new data %d, lookback %d, retries %d, backfill %d), "
                "requests in this run: %d, pending from earlier runs: %d",
                *(self.name, due.total, *map(len, due), requests, pending),
            )
        else:
            self.logger.info("%s: no report is due", self.name)


def default_start(now: datetime) -> datetime:
    """Give where the history begins if no setting says so."""
    return floor(now, DAY) - DAYS_OF_HISTORY * DAY


def selected_reports(tap: Tap) -> dict[str, ReportStream]:
    """Give the report streams that run, in their order."""
    return {
        stream.name: stream
        for stream in tap.streams.values()
        if isinstance(stream, ReportStream) and stream.selected
    }


class DatasourceMeasurements(ReportStream):
    """The history of the datasources."""

    name = "datasource_measurements"
    source = "report datasource-measurements"
    report = "datasource-measurements"

    @property
    def selected_ids(self) -> tuple[str, ...] | None:
        return self.run.settings.datasource_ids

    def selector(self) -> Selector:
        return datasource_selector(self.selected_ids)

    def access_start(self) -> datetime | None:
        known = self.run.access_starts
        if not known or not (self.selected_ids or self.run.knows_datasources):
            return None
        ids = self.selected_ids or [item["datasourceId"] for item in self.run.datasources]
        starts = [known.get(id_) for id_ in ids]
        found = [start for start in starts if start]
        return min(found, default=None) if len(found) == len(starts) else None


class NodeMeasurements(ReportStream):
    """The history of the nodes, whichever datasources they fed."""

    name = "node_measurements"
    source = "report node-measurements"
    selected_by_default = False
    report = "node-measurements"
    id_field = "node_id"

    @property
    def selected_ids(self) -> tuple[str, ...] | None:
        return self.run.settings.node_ids

    def selector(self) -> Selector:
        if self.selected_ids:
            return Selector("nodeIds", self.selected_ids)
        own = (node["nodeId"] for node in self.run.nodes if _may_have_data(node))
        return Selector("nodeIds", tuple(sorted(own)))


class ReferenceSiteMeasurements(ReportStream):
    """The history of the reference sites."""

    name = "reference_site_measurements"
    source = "report reference-site-measurements"
    selected_by_default = False
    report = "reference-site-measurements"
    id_field = "reference_site_id"

    @property
    def selected_ids(self) -> tuple[str, ...] | None:
        return self.run.settings.reference_site_ids

    def selector(self) -> Selector:
        return Selector("refSiteIds", self.selected_ids or self.run.reference_sites)


def _may_have_data(node: JsonObject) -> bool:
    life_stage = node.get("lifeStage")
    stage = life_stage.get("stage") if isinstance(life_stage, dict) else None
    return stage not in STAGES_WITHOUT_DATA
