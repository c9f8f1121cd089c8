"""Runs the report jobs: requests windows, polls pending reports, hands over completed ones.

    due ──> requested ──> pending ──> completed ──> downloaded and verified ──> written: covered
                │            │            │                    └── unusable ──> kept ──┐
                │            │            └── without files ──> kept, replaced ──> empty (covered)
                └─ rejected ─┴── failed, expired, unknown ──────────────────────────────┴──> retried

A report is handed over as soon as it is ready, the newest window first, whatever has become of the
others. Each step is recorded in the stream's journal before the next one is taken, so that a crash
costs none of the organization's 30 requests a day.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from tap_clarity.api.errors import (
    AccessDeniedError,
    BlankFileError,
    FileError,
    MalformedResponseError,
    RequestRejectedError,
)
from tap_clarity.api.report_sender import RequestSender
from tap_clarity.api.report_waits import (
    MAX_POLL_INTERVAL,
    BuildTimes,
    PollState,
    ReadyFiles,
    WaitBudget,
)
from tap_clarity.planning.report_steps import (
    MAX_PENDING_TIME,
    STALE_AFTER,
    NextStep,
    Report,
    ReportStatus,
    is_other_frequency,
    next_step,
    served_window,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from tap_clarity.api.client import ClarityClient
    from tap_clarity.api.report_responses import ReportRecord
    from tap_clarity.api.report_sender import Lane
    from tap_clarity.core.clock import Clock

T = TypeVar("T")

REJECTIONS = (AccessDeniedError, MalformedResponseError, RequestRejectedError)
"""Answers about one report that say nothing of the others."""
MAX_DOWNLOADS = 3
"""How often a report's files are downloaded in a run, each time through fresh URLs."""

logger = logging.getLogger("tap-clarity.reports")


class ReadyReport(Generic[T]):
    """A completed report: iterate over it for its rows.

    All files are downloaded and verified before the first row is given. Where a row turns out to be
    malformed, the files are downloaded again through fresh URLs and all rows come again.

    Attributes:
        report: The report.
        is_read: Whether the last row of the last file has been given.
        error: Why the rows have ended before that.
    """

    def __init__(self, client: ClarityClient, pending: Pending[T], urls: Sequence[str]) -> None:
        self.report = pending.report
        self.is_read = False
        self.error: FileError | None = None
        self._client = client
        self._open_file = pending.lane.open_file
        self._urls = urls

    def __iter__(self) -> Iterator[T]:
        for downloads_left in reversed(range(MAX_DOWNLOADS)):
            try:
                yield from self._client.read_report(self.report, self._urls, self._open_file)
            except BlankFileError as error:
                self.error = error
                return
            except FileError as error:
                self.error = error
            else:
                self.is_read, self.error = True, None
                return
            if not downloads_left:
                return
            logger.warning("%s; downloading again", self.error)
            try:
                self._urls = self._client.poll_report(self.report).urls
            except REJECTIONS as error:
                self.error = FileError(f"report {self.report.id}: no fresh URLs: {error}")
                return


class Pending(NamedTuple, Generic[T]):
    """A pending report, the stream that it belongs to, and what this run knows of it."""

    lane: Lane[T]
    report: Report
    poll: PollState


class ReportJobs(Generic[T]):
    """The report jobs of all streams of a run."""

    def __init__(  # noqa: PLR0913
        self,
        client: ClarityClient,
        clock: Clock,
        budget: WaitBudget,
        quota: Callable[[], int],
        places: Callable[[], int],
        *,
        concurrency: int,
        poll_interval: float,
    ) -> None:
        """Prepare to run jobs.

        Args:
            client: Sends the requests.
            clock: The source of time.
            budget: The run's waiting time; used up here.
            quota: Gives how many requests may still be sent today.
            places: Gives how many more reports may be pending.
            concurrency: How many reports may be in progress at once.
            poll_interval: First pause between two polls, in seconds.
        """
        self._client = client
        self._clock = clock
        self._budget = budget
        self._concurrency = concurrency
        self._poll_interval = min(poll_interval, MAX_POLL_INTERVAL)
        self._started_at = clock.now()
        self._lanes: list[Lane[T]] = []
        self._sender: RequestSender[T] = RequestSender(client, clock, quota, places)
        self._polls: dict[str, PollState] = {}
        self._times = BuildTimes()

    def add(self, lanes: Sequence[Lane[T]]) -> None:
        """Take on the jobs of these streams."""
        self._lanes += lanes
        self._sender.queue.fill(lanes)

    def run(self, lane: Lane[T]) -> Iterator[ReadyReport[T]]:
        """Give a stream's reports as they become ready, the newest window first.

        Requests of all streams are sent, by priority. Reports of other streams that are ready
        meanwhile wait for the turns of these streams. Ends early when the waiting time is used up;
        pending reports are left to the next run.

        Raises:
            ClarityError: At the end, if a request or poll of this stream was not answered; at once,
                if Clarity cannot be reached.
        """
        is_left = True
        while is_left:
            while self._in_progress() < self._concurrency and self._sender.send_next():
                pass
            ready = [each for each in self._pending(lane) if each.poll.files]
            if ready:
                yield from self._hand_over(max(ready, key=lambda each: each.report.window))
            else:
                is_left = self._poll_next(lane)
        if lane.error:
            raise lane.error

    def _pending(self, *lanes: Lane[T]) -> Iterator[Pending[T]]:
        for lane in lanes or self._lanes:
            for report in lane.journal.pending:
                if report.id not in self._polls:
                    self._polls[report.id] = PollState(self._clock.now(), self._poll_interval)
                yield Pending(lane, report, self._polls[report.id])

    def _in_progress(self) -> int:
        """Count the reports that Clarity is building; those that seem stuck take no place."""
        return sum(each.poll.is_polled and not self._is_stale(each) for each in self._pending())

    def _is_stale(self, pending: Pending[T]) -> bool:
        return abs(self._clock.now() - pending.report.requested_at) >= STALE_AFTER

    def _hand_over(self, pending: Pending[T]) -> Iterator[ReadyReport[T]]:
        lane, report, poll = pending
        files, poll.files, poll.is_left = poll.files, None, True
        if files:
            ready = ReadyReport(self._client, pending, files.urls)
            yield ready
            if ready.is_read:
                lane.journal.completed(report, files.served, is_empty=False)
            elif isinstance(ready.error, BlankFileError):
                # A file that is not written yet is blank, too.
                if report.empty_count:
                    lane.journal.completed(report, files.served, is_empty=True)
                else:
                    lane.journal.kept(report, "its files are blank")
            elif ready.error:
                lane.journal.unusable(report, ready.error)
                self._request_again(pending)

    def _poll_next(self, lane: Lane[T]) -> bool:
        """Poll the report whose turn it is; False if there is nothing more to wait for."""
        polled = [each for each in self._pending() if each.poll.is_polled]
        needs_place = self._sender.may_send and self._sender.queue.count(lane)
        if not polled or not (needs_place or any(each.lane is lane for each in polled)):
            return False
        now = self._clock.now()
        newest_first = sorted(polled, key=lambda each: each.report.window, reverse=True)
        pending = min(newest_first, key=lambda each: max(each.poll.next_at, now))
        pause = (pending.poll.next_at - now).total_seconds()
        if pause > 0:
            if not pending.poll.inconclusive:
                pause = min(pause, self._budget.seconds)
            if pause <= 0:
                self._log_left(lane)
                return False
            self._wait(pending, pause)
        self._poll(pending)
        return True

    def _wait(self, pending: Pending[T], pause: float) -> None:
        report, now = pending.report, self._clock.now()
        waiting = self._sender.queue.count()
        requests = [each.report.requested_at for each in self._pending()]
        logger.info(
            "Report %s (%s): %s for %s; %d other reports to come, %s",
            *(report.id, report.window),
            "answer inconclusive" if pending.poll.inconclusive else "in progress",
            _in_words(now - report.requested_at),
            len(requests) + waiting - 1,
            self._times.estimate(max(requests), math.ceil(waiting / self._concurrency), now),
        )
        self._clock.sleep(pause)
        self._budget.seconds -= pause

    def _log_left(self, lane: Lane[T]) -> None:
        logger.warning(
            "report_wait_timeout is used up: the next run resumes the pending reports (%d) and "
            "requests the other windows (%d)",
            *(len(lane.journal.pending), self._sender.queue.count(lane)),
        )

    def _poll(self, pending: Pending[T]) -> None:
        lane, report, poll = pending
        try:
            record = self._client.poll_report(report)
        except REJECTIONS as error:
            lane.error = lane.error or error
            poll.is_left = True
            if self._clock.now() - report.requested_at >= MAX_PENDING_TIME:
                self._fail(pending, str(error))
            return
        has_files = bool(record.urls)
        is_over = record.status in {ReportStatus.SUCCEEDED, ReportStatus.NOT_FOUND}
        # In progress again, its pauses count: report_wait_timeout bounds them.
        poll.inconclusive = poll.inconclusive + 1 if is_over and not has_files else 0
        step = next_step(
            *(report, record.status, self._clock.now()),
            has_files=has_files,
            polls=poll.inconclusive,
        )
        self._take(step, pending, record)

    def _take(self, step: NextStep, pending: Pending[T], record: ReportRecord) -> None:
        lane, report, poll = pending
        served = served_window(report.window, record.echo, lane.frequency)
        match step:
            case NextStep.WAIT | NextStep.POLL_AGAIN:
                poll.postpone(self._clock.now())
                # Waiting for a stuck report would use up the waiting time of each run.
                is_resumed = report.requested_at < self._started_at
                is_stuck = is_resumed and self._is_stale(pending)
                poll.is_left = step is NextStep.WAIT and is_stuck
            case NextStep.FAIL:
                self._fail(pending, record.message)
            case NextStep.KEEP:
                poll.is_left = True
                lane.journal.kept(report, record.message)
            case NextStep.REPLACE:
                poll.is_left = True
                if self._sender.may_send:
                    self._sender.send(lane, report.window, replaced=report)
            case _ if is_other_frequency(record.echo, lane.frequency) or not served:
                self._fail(pending, "Clarity has made it for another frequency or time range")
            case NextStep.DOWNLOAD:
                poll.files = ReadyFiles(record.urls, served)
                self._times.add(report.requested_at, self._clock.now())
            case NextStep.CLOSE_EMPTY:
                lane.journal.completed(report, served, is_empty=True)

    def _fail(self, pending: Pending[T], reason: str) -> None:
        pending.lane.journal.failed(pending.report, reason)
        self._request_again(pending)

    def _request_again(self, pending: Pending[T]) -> None:
        """Request the window of a report that came to nothing once more, out of turn."""
        lane, report, _ = pending
        is_kept = any(each.id == report.id for each in lane.journal.pending)
        if not is_kept and lane.journal.retries_now(report.window):
            self._sender.queue.put_first(lane, report.window)


def _in_words(duration: timedelta) -> str:
    import pendulum  # noqa: PLC0415 - slow to load, and most commands wait for nothing

    return pendulum.duration(seconds=max(round(duration.total_seconds()), 1)).in_words()
