"""A report's life, from the request to its files.

    asked ──> building ──> succeeded ──> fetched and proven ──> read to the end
                 │  │                          └──> bad ──> fetched again ──> kept for the next run
                 │  └────> failed ──┐
                 └───────> unknown ─┴──> asked once more ──> error

Reports are delivered in the order in which they were asked for, while later ones are being built.
Whoever runs the desk is told of each step before the next one is taken, so that he can write down
what must survive a crash: a request costs one of the organisation's 30 a day.
"""

from __future__ import annotations

import logging
import math
import random
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar

from tap_clarity.api.errors import ClarityError, FileError, ReportFailedError
from tap_clarity.api.reports import (
    FAILED,
    SUCCEEDED,
    Poll,
    Report,
    poll_report,
    read_files,
    request_report,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tap_clarity.api.connection import Connection
    from tap_clarity.clock import Clock
    from tap_clarity.instants import Window

T = TypeVar("T")

LONGEST_POLL = 60.0
FETCHES = 3
ODD_POLLS = 3
"""An odd answer is believed when it has come so often."""

logger = logging.getLogger("tap-clarity.reports")


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
    """Clarity has built a report.

    Attributes:
        report: The one.
        rows: Of all its files, none if there is no data. All files are fetched and proven whole
            before the first row is given. Where a row is bad the files are fetched again, and all
            rows come again; if that does not help, FileError is raised and the report is kept.
    """

    report: Report
    rows: Iterator[T]


Event = Asking | Asked | Dropped | Ready[T]


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
        open_file: Callable[[BinaryIO, Window], Iterator[T]],
    ) -> None:
        """Open a desk.

        Args:
            connection: Where to ask.
            clock: What to wait by.
            patience: What is left of the run's waiting time; used up here.
            query: The request's body, all but the window.
            concurrency: How many reports may be building at once.
            poll_interval: First wait between two polls, in seconds.
            open_file: Gives the rows of a file, given its window; raises ValueError, at once or
                on demand, if they are not what was asked for.
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
        self._bad: list[Report] = []
        self._asked_again: set[Window] = set()
        self._allowance = 0
        self._failure: ClarityError | None = None
        self._progress = Progress()

    @property
    def building(self) -> list[Report]:
        """The reports that were asked for and not yet delivered, in order."""
        return [*self._bad, *self._building]

    def deliver(
        self, building: Iterable[Report], wanted: Iterable[Window], allowance: int
    ) -> Iterator[Event[T]]:
        """Take up the reports being built, ask for those wanted, and tell of every step.

        Ends early when the patience is used up, and leaves the rest to the next run. When a request
        fails no more are sent, but what is being built is delivered before the error is raised.

        Args:
            building: Reports of earlier runs, in order.
            wanted: Windows to ask for, in order.
            allowance: Most requests to send, those for failed reports included.

        Raises:
            QuotaUsedUpError: If Clarity accepts no more requests.
            AmbiguousError: If it is unknown whether Clarity accepted one.
            ClarityError: If it refuses one, a report fails for good, or Clarity cannot be reached.
        """
        self._building.extend(building)
        self._queue.extend(wanted)
        self._allowance = allowance
        for report in self._building:
            self._progress.take_up(report, self._clock.now())
        yield from self._ask_for_more()
        while self._building:
            report = self._building[0]
            poll = self._wait_for(report)
            if poll is None:
                self._leave_the_rest()
                break
            if poll.status == SUCCEEDED:
                self._progress.finish(report, self._clock.now())
                # While its rows are read, Clarity has time for another one.
                yield from self._ask_for_more(ready=1)
                yield Ready(report, self._rows(report, poll))
                self._building.popleft()
            else:
                self._building.popleft()
                yield Dropped(report)
                yield from self._ask_again(report, poll)
        if self._failure:
            raise self._failure

    def _ask_for_more(self, ready: int = 0) -> Iterator[Event[T]]:
        most = self._concurrency + ready
        # Bad ones count, so that they cannot pile up.
        while self._queue and self._allowance and len(self.building) < most:
            yield from self._ask(self._queue.popleft(), self._building.append)

    def _ask(self, window: Window, enlist: Callable[[Report], None]) -> Iterator[Event[T]]:
        self._allowance -= 1
        yield Asking(window)
        try:
            report = request_report(self._connection, self._query, window)
        except ClarityError as error:
            self._stop_asking(error)
            return
        enlist(report)
        self._progress.begin(report, self._clock.now())
        yield Asked(report)

    def _ask_again(self, report: Report, poll: Poll) -> Iterator[Event[T]]:
        """Ask once more, out of turn: reports are delivered in the order of their windows."""
        if report.window in self._asked_again:
            message = (
                f"report {report.id} for {report.window} has failed like the one before it: "
                f"{poll.message}; the next run asks again, and if that does not help, Clarity's "
                "support may"
            )
            self._stop_asking(ReportFailedError(message))
            return
        if not self._allowance:
            logger.warning(
                "Report %s for %s: %s; it is asked for anew when the quota allows it",
                *(report.id, report.window, poll.message),
            )
            return
        logger.warning("Report %s for %s: %s; asking anew", report.id, report.window, poll.message)
        self._asked_again.add(report.window)
        yield from self._ask(report.window, self._building.appendleft)

    def _stop_asking(self, error: ClarityError) -> None:
        self._allowance = 0
        self._failure = self._failure or error

    def _wait_for(self, report: Report) -> Poll | None:
        """Poll until the report is done; None when the patience is used up."""
        wait, odd = min(self._poll_interval, LONGEST_POLL), 0
        while True:
            poll = poll_report(self._connection, self._query["org"], report)
            odd += poll.is_odd
            if poll.status == FAILED or poll.urls or odd == ODD_POLLS:
                return poll
            pause = wait * random.uniform(0.8, 1.0)  # noqa: S311
            if not poll.is_odd:
                pause = min(pause, self._patience.seconds)
                if pause <= 0:
                    return None
            self._say_how_it_goes(report, poll)
            self._clock.sleep(pause)
            self._patience.seconds -= pause
            wait = min(1.5 * wait, LONGEST_POLL)

    def _say_how_it_goes(self, report: Report, poll: Poll) -> None:
        now, rounds = self._clock.now(), math.ceil(len(self._queue) / self._concurrency)
        logger.info(
            "%s report %s (%s): %s so far, %d more to come, %s",
            "Asking again about" if poll.is_odd else "Clarity is building",
            *(report.id, report.window, self._progress.waited(report, now)),
            len(self._building) + len(self._queue) - 1,
            self._progress.forecast(self._building[-1], rounds, now),
        )

    def _leave_the_rest(self) -> None:
        logger.warning(
            "report_wait_timeout is over: the next run takes up the reports that Clarity is "
            "building (%d), and asks for the others (%d)",
            *(len(self._building), len(self._queue)),
        )

    def _rows(self, report: Report, poll: Poll) -> Iterator[T]:
        """Give the rows of all files; if one is bad, get fresh links and give all rows again."""
        if not poll.urls:
            logger.warning(
                "Report %s for %s has no files: its window is closed as empty",
                *(report.id, report.window),
            )
            return
        for attempt in range(1, FETCHES + 1):
            try:
                yield from read_files(self._connection, report, poll.urls, self._open_file)
            except FileError as error:
                if attempt == FETCHES:
                    self._bad.append(report)
                    raise
                logger.warning("%s; fetching it again", error)
                poll = poll_report(self._connection, self._query["org"], report)
            else:
                return


class Progress:
    """How it goes with the reports of one desk, for people."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}
        self._own: set[str] = set()
        self._took: list[timedelta] = []

    def take_up(self, report: Report, now: datetime) -> None:
        """Note that a report of an earlier run is waited for."""
        self._since[report.id] = now

    def begin(self, report: Report, now: datetime) -> None:
        """Note that a report has been asked for."""
        self._since[report.id] = now
        self._own.add(report.id)

    def finish(self, report: Report, now: datetime) -> None:
        """Note that a report is built."""
        if report.id in self._own:
            self._took.append(now - self._since[report.id])

    def waited(self, report: Report, now: datetime) -> str:
        """Tell in words for how long a report has been waited for."""
        import pendulum  # noqa: PLC0415 - slow to load, and most commands wait for nothing

        seconds = round((now - self._since[report.id]).total_seconds())
        return pendulum.duration(seconds=max(seconds, 1)).in_words()

    def forecast(self, last: Report, rounds: int, now: datetime) -> str:
        """Tell when all will be done: `last`, and rounds of others that are asked for after it."""
        if not self._took:
            return "no estimate of the end yet"
        mean = sum(self._took, timedelta()) / len(self._took)
        end = max(now, self._since[last.id] + mean) + rounds * mean
        return f"the end at about {end:%Y-%m-%d %H:%M} UTC"
