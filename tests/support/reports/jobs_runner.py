"""Report jobs against the emulator with its clock, and a journal that records their events."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.errors import ClarityError
from tap_clarity.api.report_jobs import ReportJobs
from tap_clarity.api.report_sender import Lane
from tap_clarity.api.report_waits import WaitBudget
from tap_clarity.api.transport import Transport
from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.core.timestamps import EPOCH, Window
from tap_clarity.planning.report_ledger import ReportLedger
from tests.support.tap_in_process import SandboxClock
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_clarity.api.report_jobs import ReadyReport
    from tap_clarity.planning.report_steps import Report
    from tap_clarity.sandbox import Sandbox

METRIC = "pm2_5ConcMass1HourMean"
POLLS = "/v2/report-request*"


def march(day: int, last: int = 0) -> Window:
    """Give a day of March, or the days up to a last one."""
    return Window(
        datetime(2026, 3, day, tzinfo=UTC), datetime(2026, 3, (last or day) + 1, tzinfo=UTC)
    )


def rows_of(body: BinaryIO, window: Window) -> Iterator[str]:
    header, *rows = gzip.decompress(body.read()).decode().splitlines()
    if "time" not in header and "startOfPeriod" not in header:
        raise ValueError("no time")
    for number, row in enumerate(rows, start=2):
        time, *_ = re.findall(r"\d{4}-\d\d-\d\dT[^,]*", row)
        if datetime.fromisoformat(time) not in window:
            message = f"row {number}: outside the window"
            raise ValueError(message)
        yield row


@dataclass
class RecordingJournal:
    """Records what happens to the reports of one stream, and keeps them in a ledger."""

    sandbox: Sandbox
    steps: list[str]
    ledger: ReportLedger = field(default_factory=ReportLedger)
    errors: list[ClarityError] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    served: list[Window] = field(default_factory=list)
    name: str = ""

    @property
    def pending(self) -> Sequence[Report]:
        return self.ledger.pending

    def retries_now(self, window: Window) -> bool:
        return self.ledger.retries_on(window, self._now.date())

    def requested(self, window: Window) -> None:
        self._add("requested", window)
        self.ledger = self.ledger.request(self._now.date())

    def accepted(self, report: Report, replaced: Report | None) -> None:
        self._add("replaced" if replaced else "accepted", report.window)
        self.ledger = self.ledger.accept(report, replaced, self._now)

    def rejected(self, window: Window, error: ClarityError) -> None:
        self._add("rejected", window)
        self.errors.append(error)
        self.ledger = self.ledger.reject(window, self._now.date())

    def exhausted(self, error: ClarityError) -> None:
        self.steps.append(f"{self.name}exhausted")
        self.errors.append(error)
        self.ledger = self.ledger.exhaust(self._now, EPOCH)

    def id_rejected(self, id_: str, error: ClarityError) -> None:
        self.steps.append(f"{self.name}id rejected {id_}")
        self.errors.append(error)
        self.ledger = self.ledger.leave_out(id_, self._now.date())

    def kept(self, report: Report, reason: str) -> None:
        self._add("kept", report.window)
        self.reasons.append(reason)
        self.ledger = self.ledger.keep(report._replace(empty_count=report.empty_count + 1))

    def unusable(self, report: Report, error: ClarityError) -> None:
        self._add("unusable", report.window)
        self.errors.append(error)
        if report.bad_runs:
            self.ledger = self.ledger.fail(report, self._now.date())
        else:
            self.ledger = self.ledger.keep(report._replace(bad_runs=1))

    def failed(self, report: Report, reason: str) -> None:
        self._add("failed", report.window)
        self.reasons.append(reason)
        self.ledger = self.ledger.fail(report, self._now.date())

    def completed(self, report: Report, served: Window, *, is_empty: bool) -> None:
        self._add("empty" if is_empty else "completed", served)
        self.served.append(served)
        self.ledger = self.ledger.complete(report, served, is_empty=is_empty)

    @property
    def _now(self) -> datetime:
        return self.sandbox.clock.now()

    def _add(self, what: str, window: Window) -> None:
        self.steps.append(f"{self.name}{what} {window.start.day}")


class JobsRunner:
    """Runs of report jobs, one after the other, over the same journal."""

    def __init__(  # noqa: PLR0913
        self,
        sandbox: Sandbox,
        *,
        concurrency: int = 3,
        poll_interval: float = 10,
        seconds: float = 3600,
        quota: int = 25,
        names: Sequence[str] = ("",),
    ) -> None:
        self.sandbox = sandbox
        self.steps: list[str] = []
        self.journals = {name: RecordingJournal(sandbox, self.steps, name=name) for name in names}
        self.error: ClarityError | None = None
        self.budget = WaitBudget(seconds)
        self.quota = quota
        self.places = 10
        self._concurrency = concurrency
        self._poll_interval = poll_interval

    @property
    def journal(self) -> RecordingJournal:
        return next(iter(self.journals.values()))

    @property
    def clock(self) -> SandboxClock:
        return SandboxClock(self.sandbox)

    def transport(self) -> Transport:
        return Transport(
            api_url=self.sandbox.url,
            api_key=self.sandbox.api_key,
            user_agent="test",
            read_timeout=5,
            clock=self.clock,
        )

    def jobs(self, client: ClarityClient | None = None) -> ReportJobs[str]:
        return ReportJobs(
            client or ClarityClient(self.transport(), self.sandbox.org),
            self.clock,
            self.budget,
            self._left,
            lambda: self.places - sum(len(each.pending) for each in self.journals.values()),
            concurrency=self._concurrency,
            poll_interval=self._poll_interval,
        )

    def lane(self, *windows: Sequence[int], name: str = "", ids: Sequence[str] = ()) -> Lane[str]:
        """Describe a stream's jobs: the days of March by priority."""
        query: dict[str, Any] = {
            "org": self.sandbox.org,
            "report": "datasource-measurements",
            "outputFrequency": "hour",
            "metricSelect": f"only {METRIC}",
        }
        return Lane(
            journal=self.journals[name],
            query=query,
            ids_field="datasourceIds" if ids else None,
            ids=[*ids],
            frequency=FREQUENCIES["hour"],
            open_file=rows_of,
            windows=[[march(day) for day in days] for days in windows],
        )

    def run(
        self,
        *windows: Sequence[int],
        ids: Sequence[str] = (),
        read: Callable[[ReadyReport[str]], int] | None = None,
    ) -> list[str]:
        """Run the jobs of one stream; give what was recorded in this run."""
        begin, self.error = len(self.steps), None
        jobs, lane = self.jobs(), self.lane(*windows, ids=ids)
        jobs.add([lane])
        try:
            for ready in jobs.run(lane):
                day = ready.report.window.start.day
                self.steps.append(f"reading {day}")
                count = (read or self.read)(ready)
                self.steps.append(f"read {count} of {day}" if ready.is_read else f"unread {day}")
        except ClarityError as error:
            self.error = error
        return self.steps[begin:]

    def read(self, ready: ReadyReport[str]) -> int:
        return sum(1 for _ in ready)

    def rows(self, day: int) -> int:
        """Count the rows that a day truly has."""
        window, now = march(day), self.sandbox.clock.now()
        truth = self.sandbox.expected.measurements("hour", window.start, window.end, now)
        return sum(measurement.metric == METRIC for measurement in truth)

    def requests(self) -> list[tuple[int, int]]:
        """Give day and status of all report requests."""
        return [
            (datetime.fromisoformat(post["body"]["startTime"]).day, post["status"])
            for post in received_requests(self.sandbox, "POST", "/v2/report-requests")
        ]

    def _left(self) -> int:
        return self.quota - len(self.requests())


def polled_at(sandbox: Sandbox) -> list[datetime]:
    polls = received_requests(sandbox, "GET", "/v2/report-request")
    return [datetime.fromisoformat(poll["at"]) for poll in polls]


def answer(sandbox: Sandbox, times: int | None = 1, **record: Any) -> None:  # noqa: ANN401
    """Let the next polls be answered with this record."""
    sandbox.faults.inject(
        "status", path=POLLS, method="GET", times=times, status=200, body=json.dumps(record)
    )


def complete(day: int, rows: int) -> list[str]:
    return [f"reading {day}", f"read {rows} of {day}", f"completed {day}"]
