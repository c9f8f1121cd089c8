"""Report streams with the report jobs and planning of the tap, and a service with any fault.

A stream behaves like `streams.report_journal` and `streams.reports`, but logs nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    FileError,
    QuotaExhaustedError,
    RequestRejectedError,
    UnavailableError,
)
from tap_clarity.api.report_jobs import ReportJobs
from tap_clarity.api.report_responses import ReportRecord
from tap_clarity.api.report_sender import Lane
from tap_clarity.api.report_waits import WaitBudget
from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.core.timestamps import EPOCH, Window, floor
from tap_clarity.planning.backfill_end import StreamPlan
from tap_clarity.planning.bookmarks import ReportBookmark
from tap_clarity.planning.due import Due, Scope, current_slot
from tap_clarity.planning.quota import Quota
from tap_clarity.planning.report_steps import MAX_BAD_RUNS, Echo, Report, ReportStatus
from tap_clarity.planning.retries import MAX_FAILING
from tap_clarity.planning.windows import overlaps, without
from tap_clarity.streams.report_quota import MAX_PENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime
    from typing import BinaryIO

    from tests.support.fake_clock import FakeClock

LIMIT = 15
"""More than the new data of any three streams takes, or the past would never be read."""
WAIT_SECONDS, POLL_SECONDS, BUILD_TIME = 300, 60, timedelta(seconds=100)


class Outcome(Enum):
    """What becomes of a report request, of the report, and of the run."""

    DELIVERED = auto()
    REJECTED = auto()
    QUOTA_USED_UP = auto()
    AMBIGUOUS = auto()
    UNREACHABLE = auto()
    UNFINISHED = auto()
    FAILED = auto()
    FORGOTTEN = auto()
    WITHOUT_FILES = auto()
    BAD_FILES = auto()
    BAD_FILES_ONCE = auto()
    CLIPPED_START = auto()
    CLIPPED_END = auto()
    NOTHING_SERVED = auto()
    POLL_REJECTED = auto()
    KILLED_BEFORE_REQUEST = auto()
    KILLED_AFTER_REQUEST = auto()
    KILLED_WHILE_READING = auto()


class Killed(BaseException):
    """The end of a run; nothing may catch it."""


class Service(ClarityClient):
    """A client of a service that treats each report as its outcome demands."""

    def __init__(self, clock: FakeClock, outcomes: Iterator[Outcome]) -> None:
        self.clock = clock
        self.outcomes = outcomes
        self.bad: Window | None = None
        """What no request may ask for."""
        self.requests: dict[date, int] = {}
        self.streams: dict[str, Stream] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._read: set[str] = set()

    def request_report(self, query: Mapping[str, Any], window: Window) -> str:
        outcome, today = next(self.outcomes), self.clock.now().date()
        if outcome is Outcome.KILLED_BEFORE_REQUEST:
            raise Killed
        if outcome is Outcome.UNREACHABLE:
            raise UnavailableError("cannot be reached")
        self.requests[today] = self.requests.get(today, 0) + 1
        self.streams[query["stream"]].check_requested_once(window)
        if self.bad and overlaps(self.bad, window):
            outcome = Outcome.FAILED if outcome is Outcome.FAILED else Outcome.REJECTED
        if outcome is Outcome.KILLED_AFTER_REQUEST:
            raise Killed
        if outcome in _REQUEST_ERRORS:
            raise _REQUEST_ERRORS[outcome](outcome.name)
        id_ = f"JB{sum(self.requests.values()):08}"
        self._outcomes[id_] = outcome
        return id_

    def poll_report(self, report: Report) -> ReportRecord:
        outcome = self._outcomes[report.id]
        if self.clock.now() - report.requested_at < BUILD_TIME or outcome is Outcome.UNFINISHED:
            return ReportRecord(ReportStatus.IN_PROGRESS, "")
        if outcome is Outcome.POLL_REJECTED:
            raise RequestRejectedError(outcome.name)
        if outcome in _END_STATUSES:
            return ReportRecord(_END_STATUSES[outcome], outcome.name)
        return ReportRecord(ReportStatus.SUCCEEDED, "", ("url",), echo_of(outcome, report.window))

    def read_report(
        self,
        report: Report,
        urls: Sequence[str],  # noqa: ARG002
        open_file: Callable[[BinaryIO, Window], Iterator[Any]],  # noqa: ARG002
    ) -> Iterator[Any]:
        yield "a row"
        outcome, is_first = self._outcomes[report.id], report.id not in self._read
        self._read.add(report.id)
        if outcome is Outcome.KILLED_WHILE_READING and is_first:
            raise Killed
        if outcome is Outcome.BAD_FILES or (outcome is Outcome.BAD_FILES_ONCE and is_first):
            raise FileError(outcome.name)


_REQUEST_ERRORS: dict[Outcome, type[ClarityError]] = {
    Outcome.REJECTED: RequestRejectedError,
    Outcome.QUOTA_USED_UP: QuotaExhaustedError,
    Outcome.AMBIGUOUS: AmbiguousError,
}
_END_STATUSES = {
    Outcome.FAILED: ReportStatus.FAILED,
    Outcome.FORGOTTEN: ReportStatus.NOT_FOUND,
    Outcome.WITHOUT_FILES: ReportStatus.SUCCEEDED,
}


def echo_of(outcome: Outcome, window: Window) -> Echo:
    middle = window.start + (window.end - window.start) / 2
    match outcome:
        case Outcome.CLIPPED_START:
            return Echo(start=middle)
        case Outcome.CLIPPED_END:
            return Echo(end=middle)
        case Outcome.NOTHING_SERVED:
            return Echo(window.end, window.end)
        case _:
            return Echo(window.start, window.end)


@dataclass
class Stream:
    """One report stream and its state; the journal of its jobs."""

    name: str
    scope: Scope
    clock: FakeClock
    bookmark: ReportBookmark = field(default_factory=ReportBookmark)
    stored: str = "{}"
    slot: datetime | None = None
    requested_in_slot: list[tuple[Window, bool]] = field(default_factory=list)
    allowed_again: list[Window] = field(default_factory=list)
    served: list[Window] = field(default_factory=list)

    def begin(self) -> None:
        stored = ReportBookmark.from_state(json.loads(self.stored))
        wanted = Window(self.scope.start, max(self.scope.start, self.scope.limit(self.clock.now())))
        self.bookmark = stored.with_ledger(stored.ledger.drop_outside([wanted]))

    @property
    def plan(self) -> StreamPlan:
        return StreamPlan(self.scope, self.bookmark.progress)

    def lane(self, due: Due) -> Lane[str]:
        return Lane(
            journal=self,
            query={"stream": self.name},
            ids_field=None,
            ids=[],
            frequency=FREQUENCIES["hour"],
            open_file=lambda _, __: iter(()),
            windows=due,
        )

    def check_requested_once(self, window: Window) -> None:
        """Hold that nothing is requested twice in a slot, unless it failed or was in doubt.

        What has failed is requested again whole, and may overlap what is read again anyway.
        """
        self._begin_slot()
        allowed_again = [
            *self.allowed_again,
            *(each.window for each in self.pending if each.empty_count),
        ]
        failing = [each.window for each in self.bookmark.ledger.failing]
        is_again = any(overlaps(each, window) for each in [*allowed_again, *failing])
        for before, was_again in self.requested_in_slot:
            if window == before or not (is_again or was_again):
                common = without(before, without(before, [window]))
                assert [part for each in common for part in without(each, allowed_again)] == []
        self.requested_in_slot.append((window, is_again))
        self.allowed_again = [
            part for each in self.allowed_again for part in without(each, [window])
        ]

    def _begin_slot(self) -> None:
        slot = floor(self.clock.now(), self.scope.interval)
        if slot != self.slot:
            self.slot, self.requested_in_slot, self.allowed_again = slot, [], []

    def _allow_again(self, *windows: Window) -> None:
        """Let windows be requested again in this slot."""
        self._begin_slot()
        self.allowed_again += windows

    def allow_last_again(self) -> None:
        """The last request was not answered: whether it was accepted is unknown."""
        self._allow_again(*(window for window, _ in self.requested_in_slot[-1:]))

    # The journal.

    @property
    def pending(self) -> Sequence[Report]:
        return self.bookmark.ledger.pending

    def retries_now(self, window: Window) -> bool:
        return self.bookmark.ledger.retries_on(window, self._today)

    def requested(self, window: Window) -> None:  # noqa: ARG002
        now = self.clock.now()
        slot = current_slot(*self.plan, now)
        self._save(replace(self.bookmark, slot=slot), self.bookmark.ledger.request(self._today))

    def accepted(self, report: Report, replaced: Report | None) -> None:
        assert self.bookmark.slot
        bookmark = self.bookmark.accept(report, replaced, self.clock.now())
        self._save(bookmark, bookmark.ledger)

    def rejected(self, window: Window, error: ClarityError) -> None:  # noqa: ARG002
        self._allow_again(window)
        self._save(self.bookmark, self.bookmark.ledger.reject(window, self._today))

    def exhausted(self, error: ClarityError) -> None:  # noqa: ARG002
        self.allow_last_again()
        self._save(self.bookmark, self.bookmark.ledger.exhaust(self.clock.now(), EPOCH))

    def id_rejected(self, id_: str, error: ClarityError) -> None:
        raise AssertionError(id_, error)

    def kept(self, report: Report, reason: str) -> None:  # noqa: ARG002
        kept = report._replace(empty_count=report.empty_count + 1)
        self._save(self.bookmark, self.bookmark.ledger.keep(kept))

    def unusable(self, report: Report, error: ClarityError) -> None:  # noqa: ARG002
        ledger = self.bookmark.ledger
        bad_runs = report.bad_runs + 1
        if bad_runs < MAX_BAD_RUNS:
            self._save(self.bookmark, ledger.keep(report._replace(bad_runs=bad_runs)))
        else:
            self._allow_again(report.window)
            self._save(self.bookmark, ledger.fail(report, self._today))

    def failed(self, report: Report, reason: str) -> None:  # noqa: ARG002
        self._allow_again(report.window)
        self._save(self.bookmark, self.bookmark.ledger.fail(report, self._today))

    def completed(self, report: Report, served: Window, *, is_empty: bool) -> None:
        assert not is_empty or report.empty_count >= 2
        superseded = [each.window for each in self.bookmark.ledger.superseded_by(report, served)]
        self._allow_again(*without(report.window, [served]), *superseded)
        self.served.append(served)
        bookmark = self.bookmark.complete(report, served, is_empty=is_empty)
        self._save(bookmark, bookmark.ledger)

    @property
    def _today(self) -> date:
        return self.clock.now().date()

    def _save(self, bookmark: ReportBookmark, ledger: Any) -> None:  # noqa: ANN401
        self.bookmark = bookmark.with_ledger(ledger)
        # One that is filled in its middle makes two, until the next one is added.
        assert len(self.bookmark.ledger.failing) <= 2 * MAX_FAILING
        self.stored = json.dumps(self.bookmark.to_state())


@dataclass
class World:
    """The streams, and the service that they read."""

    streams: list[Stream]
    service: Service

    def run(self) -> None:
        """Run all streams once, as `streams.report_plan` has it."""
        clock = self.service.clock
        self.service.streams = {stream.name: stream for stream in self.streams}
        for stream in self.streams:
            stream.begin()
        lanes = {each.name: each.lane(each.plan.due(clock.now())) for each in self.streams}
        jobs: ReportJobs[str] = ReportJobs(
            self.service,
            clock,
            WaitBudget(WAIT_SECONDS),
            self._quota_left,
            self._places_left,
            concurrency=3,
            poll_interval=POLL_SECONDS,
        )
        jobs.add([*lanes.values()])
        try:
            for stream in self.streams:
                self._run_stream(jobs, stream, lanes[stream.name])
        except Killed:
            for stream in self.streams:
                stream.allow_last_again()

    def _run_stream(self, jobs: ReportJobs[str], stream: Stream, lane: Lane[str]) -> None:
        try:
            for ready in jobs.run(lane):
                for _ in ready:
                    assert ready.report in stream.pending
        except ClarityError:
            stream.allow_last_again()

    def _quota_left(self) -> int:
        usages = tuple(stream.bookmark.ledger.usage for stream in self.streams)
        return Quota(usages, LIMIT).left(self.service.clock.now())

    def _places_left(self) -> int:
        return MAX_PENDING - sum(len(stream.pending) for stream in self.streams)
