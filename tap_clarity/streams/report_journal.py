"""The journal of a stream's report jobs: each step is a checkpoint in the stream's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from tap_clarity.api.errors import FileError, ReportFailedError, one_line
from tap_clarity.planning.report_steps import MAX_BAD_RUNS, Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from tap_clarity.api.errors import ClarityError
    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.report_ledger import ReportLedger
    from tap_clarity.planning.retries import FailingWindow
    from tap_clarity.planning.state_values import State
    from tap_clarity.streams.measurements import MeasurementStream


class ReportingBookmark(Protocol):
    """The bookmark of a stream that requests reports."""

    @property
    def ledger(self) -> ReportLedger:
        """The stream's reports."""

    @property
    def has_covered(self) -> bool:
        """Whether Clarity has ever accepted the present query."""

    def with_ledger(self, ledger: ReportLedger) -> Self:
        """Give the bookmark with a later state of its reports."""

    def accept(self, report: Report, replaced: Report | None, now: datetime) -> Self:
        """Add a pending report, in place of another one if one is given."""

    def complete(self, report: Report, served: Window, *, is_empty: bool = False) -> Self:
        """Record that the rows of a report have been written, or that it has none."""

    def to_state(self) -> State:
        """Write all keys of the stream's state."""


B = TypeVar("B", bound=ReportingBookmark)


class ReportJournal(Generic[B]):
    """Owns the bookmark of a stream, and records each step of its report jobs.

    What a method records has been written out when it returns.
    """

    def __init__(self, stream: MeasurementStream, bookmark: B) -> None:
        self._stream = stream
        self._run = stream.run
        self._log = stream.logger
        self._bookmark = bookmark

    @property
    def bookmark(self) -> B:
        """How far the stream has come."""
        return self._bookmark

    @property
    def pending(self) -> Sequence[Report]:
        """The reports that Clarity has accepted and whose rows are not written yet."""
        return self._bookmark.ledger.pending

    def retries_now(self, window: Window) -> bool:
        """Whether a window whose report has failed is to be requested again in this run."""
        return self._bookmark.ledger.retries_on(window, self._today)

    def prepare(self, bookmark: B) -> None:
        """Replace the bookmark; the next checkpoint writes it out."""
        self._bookmark = bookmark

    def checkpoint(self, bookmark: B) -> None:
        """Replace the bookmark, and write it out."""
        self._bookmark = bookmark
        self._stream.save(bookmark.to_state())

    def requested(self, window: Window) -> None:  # noqa: ARG002
        """Count a request that is about to be sent."""
        self._record(self._bookmark.ledger.request(self._today))

    def accepted(self, report: Report, replaced: Report | None) -> None:
        """Add a pending report, in place of another one if one is given."""
        self.checkpoint(self._bookmark.accept(report, replaced, self._run.clock.now()))

    def rejected(self, window: Window, error: ClarityError) -> None:
        """Put off a window whose request Clarity rejects.

        It is an error unless other windows were accepted: then the settings are right.
        """
        before = self._bookmark.ledger
        self._record(before.reject(window, self._today))
        message = f"report request for {window} was rejected: {error}; {self._next_attempt(window)}"
        if before.attempts_at(window) or not (self._bookmark.has_covered or before.pending):
            self._stream.fail(ReportFailedError(message))
        else:
            self._warn(message)

    def exhausted(self, error: ClarityError) -> None:
        """Record that Clarity grants no more requests."""
        accepted_at = self._run.quota.now.accepted_at()
        self._record(self._bookmark.ledger.exhaust(self._run.clock.now(), accepted_at))
        self._announce_quota(f"Clarity grants no more reports: {error}")

    def id_rejected(self, id_: str, error: ClarityError) -> None:
        """Leave an id out of requests that Clarity rejects."""
        self._record(self._bookmark.ledger.leave_out(id_, self._today))
        self._log.warning("%s: %s was rejected: %s", self._stream.name, one_line(id_), error)

    def ids_accepted(self, ids: Sequence[str]) -> list[str]:
        """Give those of the ids that requests name; all of them if Clarity rejects each."""
        ledger = self._bookmark.ledger
        left_out = ledger.ids_left_out(self._today)
        accepted = [id_ for id_ in ids if id_ not in left_out] or [*ids]
        if len(accepted) < len(ids):
            self._log.warning(
                "%s: Clarity rejects %s: left out of reports until %s",
                *(self._stream.name, ", ".join(map(one_line, left_out)), ledger.rejected_ids_until),
            )
        return accepted

    def kept(self, report: Report, reason: str) -> None:
        """Leave a report that has succeeded without files, or with blank ones, to the next run."""
        ledger = self._bookmark.ledger
        self._record(ledger.keep(report._replace(empty_count=report.empty_count + 1)))
        self._log.warning(
            "Report %s for %s has succeeded without data (%s); the next run polls it again",
            *(report.id, report.window, reason),
        )

    def unusable(self, report: Report, error: ClarityError) -> None:
        """Leave a report with unusable files to the next run, or request another one."""
        bad_runs = report.bad_runs + 1
        if bad_runs < MAX_BAD_RUNS:
            self._record(self._bookmark.ledger.keep(report._replace(bad_runs=bad_runs)))
            advice = "the next run downloads it again"
        else:
            self._record(self._bookmark.ledger.fail(report, self._today))
            advice = self._next_attempt(report.window)
        self._stream.fail(FileError(f"{error}; its window stays open, {advice}"))

    def failed(self, report: Report, reason: str) -> None:
        """Drop a failed report; the second time, the run fails."""
        before = self._bookmark.ledger
        self._record(before.fail(report, self._today))
        message = f"report {report.id} for {report.window} failed: {reason}"
        message = f"{message}; {self._next_attempt(report.window)}"
        if before.attempts_at(report.window):
            error = ReportFailedError(f"{message}; if it keeps failing, ask Clarity's support")
            self._stream.fail(error)
        else:
            self._warn(message)

    def completed(self, report: Report, served: Window, *, is_empty: bool) -> None:
        """Cover what a report has served; all its rows have been written."""
        # Logged first: a signal may end the run as soon as the checkpoint is written.
        if is_empty:
            self._log.warning(
                "%s: two polls in a row found no data for %s: closing the window as empty",
                *(self._stream.name, served),
            )
        if served != report.window:
            self._log.warning(
                "Report %s for %s covers only %s; requesting the rest in a later run",
                *(report.id, report.window, served),
            )
        self.checkpoint(self._bookmark.complete(report, served, is_empty=is_empty))

    def report_failing(self, known: Sequence[FailingWindow]) -> None:
        """Log the windows that were failing when the run began, and still are."""
        for failing in self._bookmark.ledger.failing:
            if failing in known:
                self._report_failing(failing)

    def report_postponed(self, count: int) -> None:
        """Log, once in a run, that today's quota is not enough for all windows."""
        now, shared = self._run.clock.now(), self._run.quota
        quota = shared.now
        if not count or quota.left(now) or shared.is_announced:
            return
        cause = f"report_daily_limit ({quota.limit})"
        if quota.is_paused(now):
            cause = "Clarity has granted no more reports, which"
        self._announce_quota(f"{cause} puts off reports: {count}")

    def _announce_quota(self, cause: str) -> None:
        """Log when requests resume; fail if Clarity has accepted none for days."""
        now, quota = self._run.clock.now(), self._run.quota.now
        self._run.quota.is_announced = True
        resumes = f"requests resume at {quota.resumes_at(now):%Y-%m-%d %H:%M} UTC"
        if not quota.limit:
            resumes = "requests resume when it is raised"
        since = quota.exhausted_since(now)
        if since:
            self._stream.fail(
                ReportFailedError(
                    f"Clarity has accepted no report request since {since:%Y-%m-%d %H:%M} UTC; "
                    f"{resumes}: check who else uses the organization's report quota"
                )
            )
        else:
            self._log.warning("%s; %s", cause, resumes)

    def _report_failing(self, failing: FailingWindow) -> None:
        message = (
            f"{failing.window} cannot be read: {failing.attempts} report(s) have failed or were "
            f"rejected since {failing.since}; next attempt on {failing.retry_on}"
        )
        if failing.is_unresolved(self._today):
            error = ReportFailedError(f"{message}; ask Clarity's support, or move start_date")
            self._stream.fail(error)
        else:
            self._warn(message)

    def _record(self, ledger: ReportLedger) -> None:
        self.checkpoint(self._bookmark.with_ledger(ledger))

    def _warn(self, message: str) -> None:
        self._log.warning("%s: %s", self._stream.name, message)

    @property
    def _today(self) -> date:
        return self._run.clock.now().date()

    def _next_attempt(self, window: Window) -> str:
        ledger = self._bookmark.ledger
        if ledger.retries_on(window, self._today):
            return "requesting it again"
        return f"next attempt on {ledger.next_attempt(window)}"
