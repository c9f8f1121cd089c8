"""A report's life at the desk: polled with patience, asked again once, delivered in order."""

from __future__ import annotations

import gzip
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from tap_clarity.api.connection import Connection
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    FileError,
    QuotaUsedUpError,
    ReportFailedError,
    RequestRefusedError,
    UnavailableError,
)
from tap_clarity.api.report_desk import (
    Asked,
    Asking,
    Dropped,
    Event,
    Patience,
    Ready,
    ReportDesk,
)
from tap_clarity.api.reports import Report
from tap_clarity.instants import Window
from tap_clarity.sandbox import Sandbox
from tests.reporting import SandboxClock, asked
from tests.tapping import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

POLLS = "/v2/report-request*"
METRIC = "pm2_5ConcMass1HourMean"
SECOND = timedelta(seconds=1)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        seed=1, datasources=1, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=100
    ) as running:
        yield running


class Office:
    """A desk, and what it told while it delivered."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        concurrency: int = 3,
        poll_interval: float = 10,
        patience: Patience | None = None,
    ) -> None:
        clock = SandboxClock(sandbox)
        self.sandbox = sandbox
        self.told: list[str] = []
        self.error: ClarityError | None = None
        self.desk = ReportDesk(
            Connection(
                api_url=sandbox.url,
                api_key=sandbox.api_key,
                user_agent="test",
                read_timeout=5,
                clock=clock,
            ),
            clock,
            patience or Patience(3600),
            query={
                "org": sandbox.org,
                "report": "datasource-measurements",
                "allDatasources": True,
                "outputFrequency": "hour",
                "metricSelect": f"only {METRIC}",
            },
            concurrency=concurrency,
            poll_interval=poll_interval,
            open_file=rows_of,
        )

    def deliver(
        self, days: Sequence[int], building: Sequence[Report] = (), allowance: int = 25
    ) -> list[str]:
        """Ask for a report for each day of March, and tell what happened."""
        try:
            for event in self.desk.deliver(building, map(march, days), allowance):
                self.told.append(self._in_words(event))
        except ClarityError as error:
            self.error = error
        return self.told

    def _in_words(self, event: Event[str]) -> str:
        match event:
            case Asking(window):
                return f"asking {window.start.day}"
            case Asked(report):
                return f"asked {report.window.start.day}"
            case Dropped(report):
                return f"dropped {report.window.start.day}"
            case Ready(report, rows):
                try:
                    return f"read {report.window.start.day}{self._unless_all(rows, report.window)}"
                except FileError as error:
                    self.error = error
                    return f"bad {report.window.start.day}"

    def _unless_all(self, rows: Iterator[str], window: Window) -> str:
        now = self.sandbox.clock.now()
        truth = self.sandbox.world.truth("hour", window.start, window.end, now)
        read, true = len([*rows]), sum(measurement.metric == METRIC for measurement in truth)
        return "" if read == true else f": {read} of {true} rows"


def march(day: int) -> Window:
    return Window(datetime(2026, 3, day, tzinfo=UTC), datetime(2026, 3, day + 1, tzinfo=UTC))


def rows_of(body: BinaryIO, window: Window) -> Iterator[str]:
    header, *rows = gzip.decompress(body.read()).decode().splitlines()
    if "time" not in header and "startOfPeriod" not in header:
        raise ValueError("no time")
    for number, row in enumerate(rows, start=2):
        if f"{window.start:%Y-%m-%d}" not in row:
            message = f"row {number}: outside the window"
            raise ValueError(message)
        yield row


def answer(sandbox: Sandbox, times: int | None = 1, **record: Any) -> None:  # noqa: ANN401
    """Let the next polls be answered with this record."""
    sandbox.faults.order(
        "status", path=POLLS, method="GET", times=times, status=200, body=json.dumps(record)
    )


def assert_waited(seconds: int, sandbox: Sandbox, since: datetime) -> None:
    # The sandbox's clock goes by whole milliseconds.
    assert (sandbox.clock.now() - since) / SECOND == pytest.approx(seconds, abs=0.1)


def polled_at(sandbox: Sandbox) -> list[datetime]:
    polls = calls(sandbox, "GET", "/v2/report-request")
    return [datetime.fromisoformat(poll["at"]) for poll in polls]


def test_reports_are_built_side_by_side_and_delivered_in_order(sandbox: Sandbox) -> None:
    office = Office(sandbox, concurrency=2)
    assert office.deliver([1, 2, 3, 4]) == [
        *("asking 1", "asked 1", "asking 2", "asked 2"),
        *("asking 3", "asked 3", "read 1"),
        *("asking 4", "asked 4", "read 2"),
        *("read 3", "read 4"),
    ]
    assert office.desk.building == []


def test_reports_of_earlier_runs_come_first_and_are_not_asked_for(sandbox: Sandbox) -> None:
    first = Office(sandbox, patience=Patience(0))
    first.deliver([1, 2])
    told = Office(sandbox).deliver([3], building=first.desk.building)
    assert told[-3:] == ["read 1", "read 2", "read 3"]
    assert len(asked(sandbox)) == 3


@pytest.mark.parametrize(
    ("interval", "waits"),
    [(10, [10, 15, 22.5, 33.75, 50.625, 60, 60]), (0.5, [0.5, 0.75, 1.125]), (300, [60, 60])],
)
def test_waits_between_polls_grow_to_a_minute_with_jitter(
    sandbox: Sandbox, interval: float, waits: list[float]
) -> None:
    answer(sandbox, times=len(waits), reportStatus="in-progress", message="Processing")
    Office(sandbox, poll_interval=interval).deliver([1])
    times = polled_at(sandbox)
    waited = [(after - before) / SECOND for before, after in pairwise(times)][: len(waits)]
    assert all(0.799 * most <= real <= most for real, most in zip(waited, waits, strict=True))
    assert waited != waits


def test_each_wait_is_told_with_window_time_number_left_and_end(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    Office(sandbox, concurrency=1).deliver([1, 2, 3])
    told = [record.getMessage() for record in caplog.records if "building" in record.message]
    assert len(told) == len(polled_at(sandbox)) - 3  # and no wait is longer than a minute
    pattern = (
        r"Clarity is building report JB\w+ \(2026-03-(0\d) 00:00 to 2026-03-0\d 00:00\): "
        r"(.*) so far, (\d) more to come, (.*)"
    )
    lines = [re.fullmatch(pattern, line) for line in told]
    assert all(lines)
    day, so_far, left, end = lines[0].groups() if lines[0] else ()
    assert (day, so_far, left, end) == ("01", "1 second", "2", "no estimate of the end yet")
    # One took 100 to 141 s: the poll of then, plus one wait. All three take three times that.
    day, so_far, left, end = next(line.groups() for line in lines if line and line[1] == "02")
    assert (day, so_far, left) == ("02", "1 second", "1")
    assert re.fullmatch(r"the end at about 2026-03-10 09:2[5-7] UTC", end)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "times": 3},
        {"kind": "status", "status": 429, "headers": {"Retry-After": "20"}, "times": 2},
        {"kind": "drop", "times": 2},
        {"kind": "cut", "times": 2},
        {"kind": "html"},
        {"kind": "garbage"},
        {"kind": "status", "status": 200, "body": "[]"},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_faults_of_a_poll_that_pass_are_forgiven(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.faults.order(path=POLLS, method="GET", **fault)
    assert Office(sandbox).deliver([1]) == ["asking 1", "asked 1", "read 1"]


def test_faults_of_a_poll_that_last_end_the_stream_and_keep_the_report(sandbox: Sandbox) -> None:
    sandbox.faults.order("status", path=POLLS, method="GET", times=None)
    office = Office(sandbox)
    assert office.deliver([1]) == ["asking 1", "asked 1"]
    assert isinstance(office.error, UnavailableError)
    assert [report.window for report in office.desk.building] == [march(1)]


def test_patience_is_shared_and_what_is_left_is_said(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    answer(sandbox, times=None, reportStatus="in-progress")
    patience, begin = Patience(300), sandbox.clock.now()
    first = Office(sandbox, patience=patience, concurrency=2)
    assert first.deliver([1, 2, 3]) == ["asking 1", "asked 1", "asking 2", "asked 2"]
    assert_waited(300, sandbox, begin)
    second = Office(sandbox, patience=patience)
    assert second.deliver([4]) == ["asking 4", "asked 4"]
    assert_waited(300, sandbox, begin)
    assert first.error is second.error is None
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "report_wait_timeout is over: the next run takes up the reports that Clarity is building "
        f"({building}), and asks for the others ({others})"
        for building, others in ((2, 1), (1, 0))
    ]


def test_a_failed_report_is_asked_for_once_more_and_keeps_its_turn(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.order("failed-report", method="POST", message="Out of memory")
    assert Office(sandbox, concurrency=2).deliver([1, 2]) == [
        *("asking 1", "asked 1", "asking 2", "asked 2"),
        *("dropped 1", "asking 1", "asked 1"),
        *("read 1", "read 2"),
    ]
    assert "2026-03-02 00:00: Clarity says 'Out of memory'; asking anew" in caplog.text


def test_a_report_that_fails_again_is_an_error_after_the_others(sandbox: Sandbox) -> None:
    answer(sandbox, times=2, reportStatus="failed", message=["Out of memory", "for good"])
    office = Office(sandbox, concurrency=2)
    assert office.deliver([1, 2, 3]) == [
        *("asking 1", "asked 1", "asking 2", "asked 2"),
        *("dropped 1", "asking 1", "asked 1", "dropped 1"),
        "read 2",
    ]
    assert isinstance(office.error, ReportFailedError)
    assert "Clarity says 'Out of memory; for good'" in str(office.error)
    assert "2026-03-01 00:00 to 2026-03-02 00:00" in str(office.error)
    assert office.desk.building == []


def test_a_failed_report_is_not_asked_for_beyond_the_allowance(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    answer(sandbox, reportStatus="failed")
    office = Office(sandbox)
    assert office.deliver([1], allowance=1) == ["asking 1", "asked 1", "dropped 1"]
    assert office.error is None
    assert "Clarity says ''; it is asked for anew when the quota allows it" in caplog.text


def test_an_unknown_report_is_dropped_and_asked_for_anew(sandbox: Sandbox) -> None:
    forgotten = Report("JB00000000", march(1))
    assert Office(sandbox).deliver([], building=[forgotten]) == [
        *("dropped 1", "asking 1", "asked 1", "read 1"),
    ]


def test_a_report_that_is_unknown_for_a_moment_is_not_dropped(sandbox: Sandbox) -> None:
    sandbox.faults.order("status", path=POLLS, method="GET", status=404, times=4)
    assert Office(sandbox).deliver([1]) == ["asking 1", "asked 1", "read 1"]
    assert len(asked(sandbox)) == 1


def test_a_report_that_stays_unknown_is_asked_for_once_more_only(sandbox: Sandbox) -> None:
    sandbox.faults.order("status", path=POLLS, method="GET", status=404, times=None)
    office = Office(sandbox)
    office.deliver([1])
    assert len(asked(sandbox)) == 2
    assert isinstance(office.error, ReportFailedError)
    assert "Clarity no longer knows it" in str(office.error)


@pytest.mark.parametrize("record", [{"urls": []}, {"urls": None}, {}], ids=str)
def test_success_without_files_is_polled_again(sandbox: Sandbox, record: dict[str, Any]) -> None:
    answer(sandbox, times=2, reportStatus="succeeded", **record)
    assert Office(sandbox).deliver([1]) == ["asking 1", "asked 1", "read 1"]


def test_success_without_files_is_at_last_an_empty_report(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    answer(sandbox, times=None, reportStatus="succeeded", urls=[])
    office = Office(sandbox, patience=Patience(0))
    assert office.deliver([1]) == ["asking 1", "asked 1", "read 1: 0 of 23 rows"]
    assert len(polled_at(sandbox)) == 3
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert re.fullmatch(
        r"Report JB\w+ for 2026-03-01 00:00 to 2026-03-02 00:00 has no files: .*", warning
    )


def test_both_ways_to_poll_are_known(sandbox: Sandbox) -> None:
    sandbox.switches.turn_on("singular-poll-path")
    assert Office(sandbox).deliver([1])[-1] == "read 1"


def test_no_more_are_asked_for_than_allowed(sandbox: Sandbox) -> None:
    told = Office(sandbox).deliver([1, 2], allowance=1)
    assert told == ["asking 1", "asked 1", "read 1"]


REFUSALS = {
    "quota": ({"kind": "status", "status": 429}, QuotaUsedUpError),
    "ambiguous": ({"kind": "drop"}, AmbiguousError),
    "no id": ({"kind": "status", "status": 200, "body": "{}"}, AmbiguousError),
    "server": ({"kind": "status", "status": 503}, AmbiguousError),
    "refused": ({"kind": "status", "status": 400}, RequestRefusedError),
}


@pytest.mark.parametrize(("fault", "error"), REFUSALS.values(), ids=REFUSALS)
def test_after_a_request_goes_wrong_no_more_are_sent_but_what_is_built_is_delivered(
    sandbox: Sandbox, fault: dict[str, Any], error: type[ClarityError]
) -> None:
    first = Office(sandbox, patience=Patience(0))
    first.deliver([1])
    sandbox.faults.order(method="POST", path="/v2/report-requests", **fault)
    office = Office(sandbox)
    told = office.deliver([2, 3], building=first.desk.building)
    assert told == ["asking 2", "read 1"]
    assert isinstance(office.error, error)
    assert "\n" not in str(office.error)


def test_a_bad_file_does_not_hold_up_the_other_reports(sandbox: Sandbox) -> None:
    sandbox.faults.order("row-outside", path="/files/*", times=3)
    office = Office(sandbox, concurrency=1)
    assert office.deliver([1, 2, 3]) == [
        *("asking 1", "asked 1", "asking 2", "asked 2", "bad 1", "read 2"),
    ]
    # It keeps its place at the desk, so that bad reports cannot pile up; day 3 has to wait.
    assert [report.window for report in office.desk.building] == [march(1)]
    assert re.fullmatch(
        r"report JB\w+ for 2026-03-01 00:00 to 2026-03-02 00:00, file 1 of 1: row 13: "
        "outside the window",
        str(office.error),
    )


def test_a_fresh_poll_without_files_is_not_taken_for_an_empty_report(sandbox: Sandbox) -> None:
    office = Office(sandbox)
    sandbox.faults.order("expired-link", path="/files/*", times=None)
    told = []
    for event in office.desk.deliver([], [march(1)], 1):
        if isinstance(event, Ready):
            answer(sandbox, times=None, reportStatus="succeeded", urls=[])
            with pytest.raises(FileError, match="no longer says where its files are"):
                list(event.rows)
        told.append(type(event).__name__)
    assert told == ["Asking", "Asked", "Ready"]
    assert [report.window for report in office.desk.building] == [march(1)]
