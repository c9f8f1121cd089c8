"""The report streams: windows of history, each requested once and written when it is ready."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import DAY, Window, floor, format_timestamp
from tap_clarity.planning.backfill_end import StreamPlan
from tap_clarity.planning.bookmarks import ReportBookmark, fingerprint
from tap_clarity.planning.due import Due, Scope, current_slot
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.streams.measurements import MeasurementStream, measurement_query
from tap_clarity.streams.report_journal import ReportJournal
from tap_clarity.streams.report_lanes import new_lane, read_reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.api.report_sender import Lane
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.context import RunContext
    from tap_clarity.streams.report_sources import ReportKind

DAYS_OF_HISTORY = 30


class ReportStream(MeasurementStream):
    """The history of one kind of ids, covered window by window."""

    advances_by = "windows in state"

    def __init__(self, tap: Tap, run: RunContext, kind: ReportKind) -> None:
        self.name = kind.stream
        self.source = f"report {kind.report}"
        self.report = kind.report
        self.id_field = kind.id_field
        self.selected_by_default = kind.is_selected_by_default
        self.kind = kind
        super().__init__(tap, run)

    @cached_property
    def journal(self) -> ReportJournal[ReportBookmark]:
        """The owner of the bookmark; coverage and reports of another query do not count."""
        stored = self._stored
        if self.is_restarted:
            ledger = ReportLedger(usage=stored.ledger.usage)
            stored = ReportBookmark(start=stored.start, ledger=ledger)
        return ReportJournal(self, replace(stored, fingerprint=self._fingerprint))

    @property
    def is_restarted(self) -> bool:
        """Whether the run began with the state of another query."""
        return self._stored.fingerprint not in {None, self._fingerprint}

    @cached_property
    def _stored(self) -> ReportBookmark:
        """What the last run has left; the state itself changes with each checkpoint."""
        return self.read_bookmark(ReportBookmark)

    @property
    def _fingerprint(self) -> str:
        settings = self.run.settings
        ids = self.kind.configured_ids(settings)
        return fingerprint(**measurement_query(settings), report=self.report, chosen=ids)

    def plan(self, now: datetime) -> StreamPlan:
        """Sum up what the stream is to cover, and how far it has come."""
        settings, bookmark = self.run.settings, self.journal.bookmark
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

    def prepare(self, now: datetime) -> None:
        """Fix where the history begins, and the slot; the next checkpoint writes them out."""
        bookmark = self.journal.bookmark
        if bookmark.start is None and self.run.settings.start_date is None:
            bookmark = replace(bookmark, start=default_start(now))
        if not self.run.access_starts.is_empty:
            bookmark = replace(bookmark, access_start=self.kind.access_start(self.run))
        self.journal.prepare(bookmark)
        scope = self.plan(now).scope
        wanted = [Window(scope.start, max(scope.start, scope.limit(now)))]
        bookmark = self.journal.bookmark
        self.journal.prepare(bookmark.with_ledger(bookmark.ledger.drop_outside(wanted)))
        slot = current_slot(*self.plan(now), now)
        self.journal.prepare(replace(self.journal.bookmark, slot=slot))

    def plan_lane(self, due: Due) -> Lane[Record] | None:
        """Describe the stream's jobs; None if there is nothing to report on.

        Raises:
            ClarityError: If its ids have to be looked up, and cannot be.
        """
        selector = self.kind.selector(self.run)
        if selector.is_empty:
            return new_lane(self, selector, Due()) if self.journal.pending else None
        return new_lane(self, selector, due)

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        now = self.run.clock.now()
        plan = self.run.report_plan
        lane = plan.lane_of(self)
        if lane is None:
            self.logger.info("%s: the organization has nothing to report on", self.name)
            return
        self._log_plan(plan.dues[self.name], plan.shares[self.name].total, now)
        yield from read_reports(self, plan.jobs, lane)
        self.journal.report_postponed(plan.postponed)

    def _log_plan(self, due: Due, requests: int, now: datetime) -> None:
        if self.is_restarted:
            self.logger.warning(
                "%s: settings of its query have changed; it starts again from %s, for %d reports",
                *(self.name, format_timestamp(self.plan(now).scope.start), due.total),
            )
        pending = len(self.journal.pending)
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
