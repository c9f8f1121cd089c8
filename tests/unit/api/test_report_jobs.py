"""The life of report jobs: what is recorded and when, which report comes first, what ends it."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.client import ClarityClient
from tap_clarity.sandbox import Sandbox
from tests.support.reports.jobs_runner import JobsRunner, answer, complete, march, polled_at
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_clarity.api.report_jobs import ReadyReport
    from tap_clarity.api.report_responses import ReportRecord
    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.report_steps import Report

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        seed=1, datasources=1, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=100
    ) as running:
        yield running


def assert_waited(seconds: int, sandbox: Sandbox, since: datetime) -> None:
    # The sandbox's clock goes by whole milliseconds.
    assert (sandbox.clock.now() - since) / SECOND == pytest.approx(seconds, abs=0.1)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


# The order of what is recorded and what is sent.


@pytest.mark.usefixtures("without_jitter")
def test_reports_are_built_side_by_side_and_the_newest_is_handed_over_first(
    sandbox: Sandbox,
) -> None:
    runner = JobsRunner(sandbox, concurrency=2)
    steps = runner.run([1, 2, 3, 4])
    assert steps[:9] == [
        *("requested 1", "accepted 1", "requested 2", "accepted 2"),
        # A place is free: it is taken before the rows of the report are read.
        *("requested 3", "accepted 3"),
        *complete(2, runner.rows(2)),
    ]
    assert steps[9:11] == ["requested 4", "accepted 4"]
    assert steps[11:14] == complete(1, runner.rows(1))
    assert steps[14:] == [*complete(4, runner.rows(4)), *complete(3, runner.rows(3))]
    assert runner.error is None
    assert runner.journal.pending == ()


def test_each_step_is_recorded_before_the_next_one_is_taken(sandbox: Sandbox) -> None:
    """What the journal has recorded when the service gets each request."""
    runner = JobsRunner(sandbox)
    seen: list[tuple[str, str, list[str]]] = []

    class Watching(ClarityClient):
        def request_report(self, query: Mapping[str, Any], window: Window) -> str:
            seen.append(("request", "", [*runner.steps]))
            return super().request_report(query, window)

        def poll_report(self, report: Report) -> ReportRecord:
            seen.append(("poll", report.id, [*runner.steps]))
            return super().poll_report(report)

    jobs, lane = runner.jobs(Watching(runner.transport(), sandbox.org)), runner.lane([1])
    jobs.add([lane])
    for ready in jobs.run(lane):
        assert [report.id for report in runner.journal.pending] == [ready.report.id]
        for _ in ready:
            assert "completed 1" not in runner.steps
    assert (seen[0][0], seen[0][2]) == ("request", ["requested 1"])
    assert {kind for kind, _, _ in seen[1:]} == {"poll"}
    assert all(steps == ["requested 1", "accepted 1"] for _, _, steps in seen[1:])
    assert runner.steps == ["requested 1", "accepted 1", "completed 1"]


def test_reports_of_earlier_runs_are_polled_and_not_requested_again(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, seconds=0)
    assert runner.run([1, 2])[-1] == "accepted 2"
    runner.budget.seconds = 3600
    steps = runner.run([3])
    assert steps[:2] == ["requested 3", "accepted 3"]
    assert {step for step in steps if step.startswith("completed")} == {
        *("completed 1", "completed 2", "completed 3")
    }
    assert len(runner.requests()) == 3


def _stop_after_one(ready: ReadyReport[str]) -> int:
    next(iter(ready))
    return 1


def test_a_consumer_that_stops_in_the_middle_completes_nothing(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox)
    assert runner.run([1], read=_stop_after_one)[-2:] == ["reading 1", "unread 1"]
    assert [report.window for report in runner.journal.pending] == [march(1)]
    assert runner.run()[-1] == "completed 1"


def test_a_consumer_that_fails_completes_nothing(sandbox: Sandbox) -> None:
    def fail(ready: ReadyReport[str]) -> int:
        rows = list(ready)
        assert ready.is_read
        raise OSError(len(rows), "the output is closed")

    runner = JobsRunner(sandbox)
    with pytest.raises(OSError, match="the output is closed"):
        runner.run([1], read=fail)
    assert runner.steps == ["requested 1", "accepted 1", "reading 1"]
    assert len(runner.journal.pending) == 1


# Waiting.


@pytest.mark.parametrize(
    ("interval", "waits"),
    [(10, [10, 15, 22.5, 33.75, 50.625, 60, 60]), (0.5, [0.5, 0.75, 1.125]), (300, [60, 60])],
)
def test_waits_between_polls_grow_to_a_minute_with_jitter(
    sandbox: Sandbox, interval: float, waits: list[float]
) -> None:
    answer(sandbox, times=len(waits), reportStatus="in-progress", message="Processing")
    JobsRunner(sandbox, poll_interval=interval).run([1])
    times = polled_at(sandbox)
    waited = [(after - before) / SECOND for before, after in pairwise(times)][: len(waits)]
    assert all(0.799 * most <= real <= most for real, most in zip(waited, waits, strict=True))
    assert waited != waits


def test_each_wait_is_logged_with_window_time_number_left_and_end(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    JobsRunner(sandbox, concurrency=1).run([1, 2, 3])
    logged = [each.getMessage() for each in caplog.records if "in progress" in each.getMessage()]
    assert len(logged) == len(polled_at(sandbox)) - 3  # and no wait is longer than a minute
    pattern = (
        r"Report JB\w+ \(2026-03-(0\d) 00:00 to 2026-03-0\d 00:00\): in progress for (.*); "
        r"(\d) other reports to come, (.*)"
    )
    lines = [re.fullmatch(pattern, line) for line in logged]
    assert all(lines)
    day, age, left, end = lines[0].groups() if lines[0] else ()
    assert (day, age, left, end) == ("01", "1 second", "2", "no estimate of the end yet")
    # One took 100 to 141 s: the poll of then, plus one wait. All three take three times that.
    day, age, left, end = next(line.groups() for line in lines if line and line[1] == "02")
    assert (day, age, left) == ("02", "1 second", "1")
    assert re.fullmatch(r"estimated end 2026-03-10 09:2[5-7] UTC", end)


def test_the_waiting_time_is_shared_and_what_is_left_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    answer(sandbox, times=None, reportStatus="in-progress")
    runner, begin = JobsRunner(sandbox, seconds=300, concurrency=2), sandbox.clock.now()
    assert runner.run([1, 2, 3]) == ["requested 1", "accepted 1", "requested 2", "accepted 2"]
    assert_waited(300, sandbox, begin)
    second = JobsRunner(sandbox)
    second.budget = runner.budget
    assert second.run([4]) == ["requested 4", "accepted 4"]
    assert_waited(300, sandbox, begin)
    assert runner.error is second.error is None
    assert warnings(caplog) == [
        f"report_wait_timeout is used up: the next run resumes the pending reports ({pending}) "
        f"and requests the other windows ({others})"
        for pending, others in ((2, 1), (1, 0))
    ]


# Reports that end late, never, or in an unknown status.


def test_a_report_that_never_ends_blocks_no_other_and_fails_after_six_hours(
    sandbox: Sandbox,
) -> None:
    sandbox.faults.inject("never-ending-report", path="/v2/report-requests", method="POST")
    runner = JobsRunner(sandbox, concurrency=1, seconds=300)
    assert runner.run([1, 2]) == ["requested 1", "accepted 1"]
    # It is an hour old: another one is requested beside it, and it uses no waiting time.
    sandbox.clock.advance(timedelta(hours=1))
    runner.budget.seconds = 300
    begin = sandbox.clock.now()
    steps = runner.run([2, 3])
    assert [step for step in steps if "completed" in step] == ["completed 2", "completed 3"]
    assert sandbox.clock.now() - begin < 300 * SECOND
    begin = sandbox.clock.now()
    assert runner.run([]) == []
    assert sandbox.clock.now() == begin
    sandbox.clock.advance(timedelta(hours=5))
    runner.budget.seconds = 300
    assert runner.run([]) == [
        *("failed 1", "requested 1", "accepted 1"),
        *complete(1, runner.rows(1)),
    ]


def test_a_report_of_this_run_takes_no_place_once_it_is_an_hour_old(sandbox: Sandbox) -> None:
    sandbox.faults.inject("never-ending-report", path="/v2/report-requests", method="POST")
    runner = JobsRunner(sandbox, concurrency=1, seconds=5000)
    begin = sandbox.clock.now()
    assert runner.run([1, 2])[:4] == ["requested 1", "accepted 1", "requested 2", "accepted 2"]
    first, second = received_requests(sandbox, "POST", "/v2/report-requests")
    assert datetime.fromisoformat(first["at"]) - begin < timedelta(seconds=1)
    assert HOUR <= datetime.fromisoformat(second["at"]) - begin <= HOUR + timedelta(minutes=1)
    assert "completed 2" in runner.steps


@pytest.mark.parametrize("age", [timedelta(minutes=50), timedelta(minutes=61)])
def test_stuck_reports_take_no_place_once_they_are_an_hour_old(
    sandbox: Sandbox, age: timedelta
) -> None:
    sandbox.faults.inject("never-ending-report", path="/v2/report-requests", times=2, method="POST")
    runner = JobsRunner(sandbox, concurrency=2, seconds=0)
    runner.run([1, 2])
    sandbox.clock.advance(age)
    steps = runner.run([3])
    assert steps == ([] if age < HOUR else ["requested 3", "accepted 3"])


@pytest.mark.parametrize(
    "quirks",
    [{"status-letter-case"}, {"status-synonyms"}, {"status-letter-case", "status-synonyms"}],
)
def test_statuses_of_any_case_and_synonyms(sandbox: Sandbox, quirks: set[str]) -> None:
    for quirk in quirks:
        sandbox.switches.turn_on(quirk)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == ["requested 1", "accepted 1", *complete(1, runner.rows(1))]


@pytest.mark.parametrize("word", ["cancelled", "EXPIRED", "see ticket 7"])
def test_a_status_that_is_unknown_ends_the_report_and_its_window_is_requested_once_more(
    sandbox: Sandbox, word: str
) -> None:
    sandbox.faults.inject("report-status", path="/v2/report-requests", method="POST", word=word)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [
        *("requested 1", "accepted 1", "failed 1", "requested 1", "accepted 1"),
        *complete(1, runner.rows(1)),
    ]
    assert word in runner.journal.reasons[0]


def test_a_report_that_fails_twice_waits_for_another_day_and_the_others_go_on(
    sandbox: Sandbox,
) -> None:
    answer(sandbox, times=2, reportStatus="failed", message=["Out of memory", "for good"])
    runner = JobsRunner(sandbox, concurrency=1)
    assert runner.run([1, 2]) == [
        *("requested 1", "accepted 1", "failed 1"),
        *("requested 1", "accepted 1", "failed 1"),
        *("requested 2", "accepted 2"),
        *complete(2, runner.rows(2)),
    ]
    assert runner.journal.reasons == ["Clarity says 'Out of memory; for good'"] * 2
    (failing,) = runner.journal.ledger.failing
    assert (failing.window, failing.attempts) == (march(1), 2)
    assert runner.error is None


def test_a_failed_report_is_not_requested_beyond_the_quota(sandbox: Sandbox) -> None:
    answer(sandbox, reportStatus="failed")
    runner = JobsRunner(sandbox, quota=1)
    assert runner.run([1]) == ["requested 1", "accepted 1", "failed 1"]
    assert runner.error is None


def test_no_more_are_requested_than_the_quota_allows(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, quota=1)
    assert runner.run([1, 2]) == ["requested 1", "accepted 1", *complete(1, runner.rows(1))]
