"""A report's life, from the request to its files.

    asked ──> building ──> succeeded ──> fetched and proven ──> ready
                 │  └────> failed ──> asked once more ──> error
                 └───────> unknown to Clarity ──> asked anew

Reports are delivered in the order in which they were asked for, while later ones are being built.
Whoever runs the desk is told of each step before the next one is taken, so that he can write down
what must survive a crash: a request costs one of the organisation's 30 a day.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from tap_clarity.api.bodies import read_json
from tap_clarity.api.connection import Call
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    FileError,
    NotFoundError,
    QuotaUsedUpError,
    ReportFailedError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
    one_line,
)
from tap_clarity.api.files import fetch_file
from tap_clarity.instants import Window, format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_clarity.api.connection import Connection, Reply
    from tap_clarity.clock import Clock

T = TypeVar("T")

LONGEST_POLL = 60.0
FETCHES = 3
EMPTY_POLLS = 3
SUCCEEDED, FAILED, UNKNOWN = "succeeded", "failed", "unknown"

logger = logging.getLogger("tap-clarity.reports")


class Report(NamedTuple):
    """A report that Clarity has accepted."""

    id: str
    window: Window


@dataclass(frozen=True, slots=True)
class Asking:
    """The request for a window is about to be sent."""

    window: Window


@dataclass(frozen=True, slots=True)
class Asked:
    """Clarity has accepted the request; it has not been polled yet."""

    report: Report


@dataclass(frozen=True, slots=True)
class Dropped:
    """A report has failed, or Clarity no longer knows it."""

    report: Report


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """All files of a report are here, proven whole and opened; none if there is no data."""

    report: Report
    files: tuple[T, ...]


Event = Asking | Asked | Dropped | Ready[T]


@dataclass(frozen=True, slots=True)
class Poll:
    """What Clarity says of a report."""

    status: str
    message: str
    urls: tuple[str, ...]


@dataclass(slots=True)
class Patience:
    """How many seconds of waiting for reports a run has left, over all its streams."""

    seconds: float


class ReportDesk(Generic[T]):
    """Asks for the reports of one stream, waits for them, and hands their files over."""

    def __init__(  # noqa: PLR0913
        self,
        connection: Connection,
        clock: Clock,
        patience: Patience,
        *,
        query: dict[str, Any],
        concurrency: int,
        poll_interval: float,
        open_file: Callable[[BinaryIO, Window], T],
    ) -> None:
        """Open a desk.

        Args:
            connection: Where to ask.
            clock: What to wait by.
            patience: What is left of the run's waiting time; used up here.
            query: The request's body, all but the window.
            concurrency: How many reports may be building at once.
            poll_interval: First wait between two polls, in seconds.
            open_file: Makes rows of a file, given its window; raises ValueError if it is not one
                of this stream's.
        """
        self._connection = connection
        self._clock = clock
        self._patience = patience
        self._query = query
        self._concurrency = concurrency
        self._poll_interval = poll_interval
        self._open_file = open_file
        self._building: deque[Report] = deque()
        self._queue: deque[Window] = deque()
        self._asked_again: set[Window] = set()
        self._allowance = 0
        self._stopped: ClarityError | None = None

    @property
    def building(self) -> list[Report]:
        """The reports that were asked for and not yet delivered, in order."""
        return list(self._building)

    @property
    def left(self) -> int:
        """How many windows wait for the next run."""
        return len(self._building) + len(self._queue)

    def deliver(
        self, building: Iterable[Report], wanted: Iterable[Window], allowance: int
    ) -> Iterator[Event[T]]:
        """Take up the reports being built, ask for those wanted, and tell of every step.

        Ends early when the patience is used up, and leaves the rest to the next run.

        Args:
            building: Reports of earlier runs, in order.
            wanted: Windows to ask for, in order.
            allowance: Most requests to send, those for failed reports included.

        Raises:
            QuotaUsedUpError: If Clarity accepts no more requests. What is being built is delivered
                first.
            AmbiguousError: If it is unknown whether Clarity accepted one; likewise.
            ClarityError: If a report fails for good, or its files do.
        """
        self._building.extend(building)
        self._queue.extend(wanted)
        self._allowance = allowance
        yield from self._ask_for_more()
        while self._building:
            report = self._building[0]
            poll = self._wait_for(report)
            if poll is None:
                return
            if poll.status == SUCCEEDED:
                files = self._fetch(report, poll)
                yield from self._ask_for_more(ready=1)
                yield Ready(report, files)
                self._building.popleft()
            else:
                self._building.popleft()
                yield Dropped(report)
                yield from self._ask_again(report, poll)
        if self._stopped:
            raise self._stopped

    def _ask_for_more(self, ready: int = 0) -> Iterator[Event[T]]:
        most = self._concurrency + ready
        while self._queue and self._allowance and len(self._building) < most:
            yield from self._ask(self._queue.popleft(), self._building.append)

    def _ask(self, window: Window, enlist: Callable[[Report], None]) -> Iterator[Event[T]]:
        self._allowance -= 1
        yield Asking(window)
        try:
            report = self._request(window)
        except (QuotaUsedUpError, AmbiguousError) as error:
            self._allowance = 0
            self._stopped = error
            return
        enlist(report)
        yield Asked(report)

    def _ask_again(self, report: Report, poll: Poll) -> Iterator[Event[T]]:
        """Ask once more, out of turn: reports are delivered in the order of their windows."""
        if report.window in self._asked_again:
            raise ReportFailedError(
                f"report {report.id} for {report.window} failed twice: Clarity says "
                f"{poll.message!r}; if it goes on, ask Clarity's support"
            )
        if not self._allowance:
            logger.warning("Report %s for %s: %s", report.id, report.window, poll.message)
            return
        logger.warning("Report %s for %s: %s; asking anew", report.id, report.window, poll.message)
        self._asked_again.add(report.window)
        yield from self._ask(report.window, self._building.appendleft)

    def _request(self, window: Window) -> Report:
        body = self._query | {
            "startTime": format_instant(window.start),
            "endTime": format_instant(window.end),
        }
        call = Call("POST", "/v2/report-requests", body=body, repeatable=False)
        try:
            return Report(self._connection.ask(call, _report_id), window)
        except UnavailableError as error:
            if isinstance(error.__cause__, TooManyRequestsError):
                raise QuotaUsedUpError(str(error)) from error
            raise

    def _wait_for(self, report: Report) -> Poll | None:
        """Poll until the report is done; None when the patience is used up."""
        wait, waited, empty = self._poll_interval, 0.0, 0
        while True:
            poll = self._poll(report)
            empty += poll.status == SUCCEEDED and not poll.urls
            if poll.status in {FAILED, UNKNOWN} or poll.urls or empty == EMPTY_POLLS:
                return poll
            if self._patience.seconds <= 0:
                return None
            logger.info(
                "Clarity is building report %s (%s), %.0f s so far; %d more after it",
                *(report.id, report.window, waited, self.left - 1),
            )
            pause = min(wait * random.uniform(0.8, 1.0), self._patience.seconds)  # noqa: S311
            self._clock.sleep(pause)
            self._patience.seconds -= pause
            waited += pause
            wait = min(1.5 * wait, LONGEST_POLL)

    def _poll(self, report: Report) -> Poll:
        """Ask how a report is doing. The guide and its examples spell the path differently."""
        for path in ("/v2/report-requests/", "/v2/report-request/"):
            call = Call("GET", path + quote(report.id, safe=""), query={"org": self._query["org"]})
            try:
                return self._connection.ask(call, _poll)
            except NotFoundError:
                continue
        return Poll(UNKNOWN, "Clarity no longer knows it", ())

    def _fetch(self, report: Report, poll: Poll) -> tuple[T, ...]:
        """Fetch a report's files; a link that has expired or a bad file gets a fresh link."""
        if not poll.urls:
            logger.warning("Report %s for %s is empty", report.id, report.window)
        for attempt in range(1, FETCHES + 1):
            try:
                return tuple(self._fetch_file(url, report.window) for url in poll.urls)
            except ClarityError as error:
                if attempt == FETCHES:
                    raise FileError(f"report {report.id} for {report.window}: {error}") from error
                logger.warning("Report %s: %s; fetching it again", report.id, error)
                poll = self._poll(report)
        raise AssertionError

    def _fetch_file(self, url: str, window: Window) -> T:
        try:
            return self._open_file(fetch_file(self._connection, url), window)
        except ValueError as error:
            raise FileError(str(error)) from error


def _report_id(reply: Reply) -> str:
    document = read_json(reply.body)
    id_ = document.get("reportId") if isinstance(document, dict) else None
    if not isinstance(id_, str) or not id_:
        raise TransientError("the reply has no report id")
    return id_


def _poll(reply: Reply) -> Poll:
    """Read a report's record. Statuses are not validated: an unknown one means still building."""
    document = read_json(reply.body)
    status = document.get("reportStatus") if isinstance(document, dict) else None
    if not isinstance(status, str):
        raise TransientError("the reply is not a report's record")
    urls = document.get("urls") or ()
    if status != SUCCEEDED or not isinstance(urls, list):
        urls = ()
    return Poll(status, one_line(str(document.get("message"))), tuple(map(str, urls)))
