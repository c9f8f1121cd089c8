"""Streams that request reports: each step of a report's life is a checkpoint in their state."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from tap_clarity.api.errors import ClarityError, FileError, ReportFailedError
from tap_clarity.api.report_jobs import ReportJobs
from tap_clarity.api.report_requests import Lane
from tap_clarity.api.reports import ReportEndpoints
from tap_clarity.planning.bookmarks import ReportBookmark
from tap_clarity.planning.quota import DailyUsage, Quota
from tap_clarity.planning.reports import MAX_BAD_RUNS, Report
from tap_clarity.streams.measurements import MeasurementStream, Piece, measurement_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from singer_sdk import Tap

    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.report_ledger import ReportLedger
    from tap_clarity.planning.retries import FailingWindow
    from tap_clarity.planning.state_values import State
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.context import Run


class ReportingBookmark(Protocol):
    """What a stream that requests reports keeps in its state."""

    @property
    def ledger(self) -> ReportLedger:
        """The stream's reports."""

    def with_ledger(self, ledger: ReportLedger) -> Self:
        """Give the bookmark with a later state of its reports."""

    def complete(self, report: Report, served: Window, *, is_empty: bool = False) -> Self:
        """Record that the rows of a report have been written, or that it has none."""

    def to_state(self) -> State:
        """Write all keys of the stream's state."""


B = TypeVar("B", bound=ReportingBookmark)

MAX_PENDING = 10
"""How many pending reports all streams together may have: the state names them all."""


@dataclass(frozen=True)
class Selector:
    """The ids that a report is requested for.

    Attributes:
        field: Their name in a request; None for all datasources of the organization.
        ids: The ids.
    """

    field: str | None = None
    ids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report on."""
        return self.field is not None and not self.ids

    def to_body(self) -> dict[str, Any]:
        """Give the part of a request that names the ids."""
        return {self.field: [*self.ids]} if self.field else {"allDatasources": True}


def datasource_selector(ids: tuple[str, ...] | None) -> Selector:
    """Select datasources; None for all that the organization may read."""
    return Selector() if ids is None else Selector("datasourceIds", ids)


class ReportingStream(MeasurementStream, Generic[B]):
    """A stream that requests reports; it is the journal of its report jobs."""

    report: str

    def __init__(self, tap: Tap, run: Run) -> None:
        super().__init__(tap, run)
        self._bookmark: B | None = None

    @property
    def bookmark(self) -> B:
        """How far the stream has come; read from its state once, then saved at each step."""
        if self._bookmark is None:
            self._bookmark = self.read_bookmark()
        return self._bookmark

    @abstractmethod
    def read_bookmark(self) -> B:
        """Read the stream's state; what belongs to another query is left out."""

    @abstractmethod
    def selector(self) -> Selector:
        """Give the ids to request reports for.

        Raises:
            ClarityError: If they have to be looked up, and cannot be.
        """

    def checkpoint(self, bookmark: B) -> None:
        """Replace the bookmark, and write it out."""
        self._bookmark = bookmark
        self.save(bookmark.to_state())

    # The journal of the report jobs: what these methods record is written out when they return.

    @property
    def pending(self) -> Sequence[Report]:
        """The reports that Clarity has accepted and whose rows are not written yet."""
        return self.bookmark.ledger.pending

    def retries_now(self, window: Window) -> bool:
        """Whether a window whose report has failed is to be requested again in this run."""
        return self.bookmark.ledger.retries_on(window, self._today)

    def requested(self, window: Window) -> None:  # noqa: ARG002
        """Count a request that is about to be sent."""
        self._record(self.bookmark.ledger.request(self._today))

    def accepted(self, report: Report, replaced: Report | None) -> None:
        """Add a pending report, in place of another one if one is given."""
        self._record(self.bookmark.ledger.accept(report, replaced, self.run.clock.now()))

    def rejected(self, window: Window, error: ClarityError) -> None:
        """Put off a window whose request Clarity rejects.

        It is an error unless other windows were accepted: then the settings are right.
        """
        before = self.bookmark.ledger
        self._record(before.reject(window, self._today))
        message = f"report request for {window} was rejected: {error}; {self._next_attempt(window)}"
        if before.attempts_at(window) or not (self.has_covered or before.pending):
            self.fail(ReportFailedError(message))
        else:
            self.logger.warning("%s: %s", self.name, message)

    def exhausted(self, error: ClarityError) -> None:
        """Record that Clarity grants no more requests."""
        accepted_at = report_quota(self._tap).accepted_at()
        self._record(self.bookmark.ledger.exhaust(self.run.clock.now(), accepted_at))
        self.log_quota(f"Clarity grants no more reports: {error}")

    def id_rejected(self, id_: str, error: ClarityError) -> None:
        """Leave an id out of requests that Clarity rejects."""
        self._record(self.bookmark.ledger.leave_out(id_, self._today))
        self.logger.warning("%s: %s was rejected: %s", self.name, id_, error)

    def kept(self, report: Report, reason: str) -> None:
        """Leave a report that has succeeded without files, or with blank ones, to the next run."""
        self._record(self.bookmark.ledger.keep(report._replace(empty_count=report.empty_count + 1)))
        self.logger.warning(
            "Report %s for %s has succeeded without data (%s); the next run polls it again",
            *(report.id, report.window, reason),
        )

    def unusable(self, report: Report, error: ClarityError) -> None:
        """Leave a report with unusable files to the next run, or request another one."""
        bad_runs = report.bad_runs + 1
        if bad_runs < MAX_BAD_RUNS:
            self._record(self.bookmark.ledger.keep(report._replace(bad_runs=bad_runs)))
            advice = "the next run downloads it again"
        else:
            self._record(self.bookmark.ledger.fail(report, self._today))
            advice = self._next_attempt(report.window)
        self.fail(FileError(f"{error}; its window stays open, {advice}"))

    def failed(self, report: Report, reason: str) -> None:
        """Drop a report that has come to nothing; the second time, the run fails."""
        before = self.bookmark.ledger
        self._record(before.fail(report, self._today))
        message = f"report {report.id} for {report.window} failed: {reason}"
        message = f"{message}; {self._next_attempt(report.window)}"
        if before.attempts_at(report.window):
            self.fail(ReportFailedError(f"{message}; if it keeps failing, ask Clarity's support"))
        else:
            self.logger.warning("%s: %s", self.name, message)

    def completed(self, report: Report, served: Window, *, is_empty: bool) -> None:
        """Cover what a report has served; all its rows have been written."""
        # Logged first: a signal may end the run as soon as the checkpoint is written.
        if is_empty:
            self.logger.warning(
                "%s: two polls in a row found no data for %s: closing the window as empty",
                *(self.name, served),
            )
        if served != report.window:
            self.logger.warning(
                "Report %s for %s covers only %s; requesting the rest in a later run",
                *(report.id, report.window, served),
            )
        self.checkpoint(self.bookmark.complete(report, served, is_empty=is_empty))

    @property
    @abstractmethod
    def has_covered(self) -> bool:
        """Whether any report of the present query has been written."""

    def _record(self, ledger: ReportLedger) -> None:
        self.checkpoint(self.bookmark.with_ledger(ledger))

    @property
    def _today(self) -> date:
        return self.run.clock.now().date()

    def _next_attempt(self, window: Window) -> str:
        ledger = self.bookmark.ledger
        if ledger.retries_on(window, self._today):
            return "requesting it again"
        return f"next attempt on {ledger.next_attempt(window)}"

    # What the streams have in common to request and write reports.

    def lane(self, selector: Selector, windows: Sequence[Sequence[Window]]) -> Lane[Piece]:
        """Describe the stream's jobs: the windows to request, by priority."""
        settings = self.run.settings
        file_format = settings.report_file_format
        query = measurement_query(settings) | {
            "report": self.report,
            "metricLabelStyle": "canonical",
            # The guide says fileFormat, the service was seen to echo format: which one counts, and
            # what the default is, is unknown.
            "fileFormat": file_format,
            "format": f"{file_format}-wide",
        }
        left_out = self.bookmark.ledger.ids_left_out(self._today)
        ids = [id_ for id_ in selector.ids if id_ not in left_out] or [*selector.ids]
        if len(ids) < len(selector.ids):
            self.logger.warning(
                "%s: Clarity rejects %s: left out of reports until %s",
                *(self.name, ", ".join(left_out), self.bookmark.ledger.rejected_ids_until),
            )
        return Lane(
            journal=self,
            query=query,
            ids_field=selector.field,
            ids=ids,
            frequency=settings.frequency,
            open_file=partial(self.open_measurements, may_be_blank=True),
            windows=windows,
        )

    def new_jobs(self) -> ReportJobs[Piece]:
        """Prepare to run report jobs."""
        run, settings = self.run, self.run.settings
        return ReportJobs(
            ReportEndpoints(run.connection, settings.org),
            run.clock,
            run.wait_budget,
            lambda: report_quota(self._tap).left(run.clock.now()),
            lambda: places_left(self._tap),
            concurrency=settings.report_concurrency,
            poll_interval=settings.report_poll_interval,
        )

    def reported_records(self, jobs: ReportJobs[Piece], lane: Lane[Piece]) -> Iterator[Record]:
        """Give the rows of the stream's reports, whichever is ready first."""
        before = self.bookmark.ledger.failing
        for ready in jobs.run(lane):
            yield from self.emit(ready)
        for failing in self.bookmark.ledger.failing:
            if failing in before:
                self._report_failing(failing)

    def _report_failing(self, failing: FailingWindow) -> None:
        message = (
            f"{failing.window} cannot be read: {failing.attempts} report(s) have failed or were "
            f"rejected since {failing.since}; next attempt on {failing.retry_on}"
        )
        if failing.is_unresolved(self._today):
            self.fail(ReportFailedError(f"{message}; ask Clarity's support, or move start_date"))
        else:
            self.logger.warning("%s: %s", self.name, message)

    def log_put_off(self, count: int) -> None:
        """Tell, once in a run, that today's quota is not enough for all windows."""
        now, quota = self.run.clock.now(), report_quota(self._tap)
        if not count or quota.left(now) or self.run.quota_told:
            return
        cause = f"report_daily_limit ({quota.limit})"
        if quota.is_paused(now):
            cause = "Clarity has granted no more reports, which"
        self.log_quota(f"{cause} puts off reports: {count}")

    def log_quota(self, why: str) -> None:
        """Tell when requests resume; fail if Clarity has accepted none for days."""
        self.run.quota_told = True
        now = self.run.clock.now()
        quota = report_quota(self._tap)
        resumes = f"requests resume at {quota.resumes_at(now):%Y-%m-%d %H:%M} UTC"
        if not quota.limit:
            resumes = "requests resume when it is raised"
        since = quota.exhausted_since(now)
        if since:
            self.fail(
                ReportFailedError(
                    f"Clarity has accepted no report request since {since:%Y-%m-%d %H:%M} UTC; "
                    f"{resumes}: check who else uses the organization's report quota"
                )
            )
        else:
            self.logger.warning("%s; %s", why, resumes)


def places_left(tap: Tap) -> int:
    """Give how many more reports may be pending."""
    return MAX_PENDING - sum(len(s.pending) for s in _reporting_streams(tap) if s.selected)


def report_quota(tap: Tap) -> Quota:
    """Sum up the report requests of all streams."""
    streams = _reporting_streams(tap)
    limit = streams[0].run.settings.report_daily_limit
    return Quota(tuple(map(_usage_of, streams)), limit)


def _reporting_streams(tap: Tap) -> list[ReportingStream[Any]]:
    return [stream for stream in tap.streams.values() if isinstance(stream, ReportingStream)]


def _usage_of(stream: ReportingStream[Any]) -> DailyUsage:
    if stream.selected:
        usage: DailyUsage = stream.bookmark.ledger.usage
        return usage
    try:  # what it used before it was deselected
        return ReportBookmark.from_state(stream.stream_state).ledger.usage
    except ValueError:
        return DailyUsage()
