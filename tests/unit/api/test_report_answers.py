"""Answers about reports that decide little: without files, not known, rejected, clipped."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.errors import AccessDeniedError, FileError, UnavailableError
from tap_clarity.sandbox import Sandbox
from tests.support.reports.jobs_runner import POLLS, JobsRunner, answer, complete, march, polled_at
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTED = ["requested 1", "accepted 1"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        seed=1, datasources=1, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=100
    ) as running:
        yield running


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
        {"kind": "status", "status": 200, "body": '{"reportStatus": 3}'},
    ],
    ids=lambda fault: " ".join(map(str, fault.values())),
)
def test_transient_faults_of_a_poll_are_retried(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.faults.inject(path=POLLS, method="GET", **fault)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, *complete(1, runner.rows(1))]


def test_faults_of_a_poll_that_last_end_the_run_and_keep_the_report(sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", path=POLLS, method="GET", times=None)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == REQUESTED
    assert isinstance(runner.error, UnavailableError)
    assert [report.window for report in runner.journal.pending] == [march(1)]


# Without files.


@pytest.mark.parametrize("record", [{"urls": []}, {"urls": None}, {}, {"urls": "none"}], ids=str)
def test_success_without_files_is_polled_again(sandbox: Sandbox, record: dict[str, Any]) -> None:
    answer(sandbox, times=2, reportStatus="succeeded", **record)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, *complete(1, runner.rows(1))]


@pytest.mark.parametrize("form", ["missing", "list", "null", "text"])
def test_success_without_files_is_kept_then_replaced_then_empty(
    sandbox: Sandbox, form: str
) -> None:
    sandbox.switches.set(no_urls_as=form)
    sandbox.switches.turn_on("no-urls")
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, "kept 1"]
    (first,) = runner.journal.pending
    # Another report of the window, in place of the first one and only when it is accepted.
    assert runner.run([]) == ["requested 1", "replaced 1", "empty 1"]
    assert len(runner.requests()) == 2
    assert runner.journal.ledger.pending == ()
    ids = [
        path for request in received_requests(sandbox, "GET", "/v2/") for path in [request["path"]]
    ]
    assert sum(first.id in path for path in ids) < len(ids)


def test_the_report_that_replaces_one_without_files_is_read(sandbox: Sandbox) -> None:
    sandbox.switches.turn_on("no-urls-in-first-report")
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, "kept 1"]
    assert runner.run([]) == ["requested 1", "replaced 1", *complete(1, runner.rows(1))]


def test_a_report_whose_files_come_in_the_next_run_is_not_replaced(sandbox: Sandbox) -> None:
    sandbox.switches.turn_on("no-urls")
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, "kept 1"]
    sandbox.switches.turn_off("no-urls")
    assert runner.run([]) == complete(1, runner.rows(1))
    assert len(runner.requests()) == 1


def test_the_same_report_again_is_no_second_report(sandbox: Sandbox) -> None:
    sandbox.switches.turn_on("no-urls")
    runner = JobsRunner(sandbox)
    runner.run([1])
    (first,) = runner.journal.pending
    same = json.dumps({"reportId": first.id, "reportStatus": "succeeded"})
    sandbox.faults.inject(
        "status", method="POST", path="/v2/report-requests", status=200, body=same, times=None
    )
    assert runner.run([]) == ["requested 1", "failed 1"]
    assert runner.journal.served == []
    assert [each.window for each in runner.journal.ledger.failing] == [march(1)]


def test_an_id_of_another_pending_report_is_not_accepted(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, seconds=0)
    runner.run([1])
    (first,) = runner.journal.pending
    same = json.dumps({"reportId": first.id, "reportStatus": "in-progress"})
    sandbox.faults.inject(
        "status", method="POST", path="/v2/report-requests", status=200, body=same, times=None
    )
    runner.run([2])
    assert [report.window for report in runner.journal.pending] == [march(1)]
    assert "the id of another report" in str(runner.error)


def test_a_report_without_files_is_replaced_although_no_more_may_be_pending(
    sandbox: Sandbox,
) -> None:
    sandbox.switches.turn_on("no-urls-in-first-report")
    runner = JobsRunner(sandbox)
    runner.run([1, 2])
    runner.places = 2
    assert {"replaced 1", "replaced 2", "completed 1", "completed 2"} <= {*runner.run([3])}
    assert [report.window for report in runner.journal.pending] == [march(3)]


def test_without_quota_a_report_without_files_is_neither_replaced_nor_closed(
    sandbox: Sandbox,
) -> None:
    sandbox.switches.turn_on("no-urls")
    runner = JobsRunner(sandbox, quota=1)
    assert runner.run([1]) == [*REQUESTED, "kept 1"]
    assert runner.run([]) == runner.run([]) == []
    assert [report.window for report in runner.journal.pending] == [march(1)]


def test_a_rejected_replacement_fails_the_report_and_closes_nothing(sandbox: Sandbox) -> None:
    sandbox.switches.turn_on("no-urls")
    runner = JobsRunner(sandbox)
    runner.run([1])
    sandbox.faults.inject("status", path="/v2/report-requests", method="POST", status=400)
    assert runner.run([]) == ["requested 1", "failed 1"]
    assert [each.window for each in runner.journal.ledger.failing] == [march(1)]


# Not known.


def test_an_unknown_report_is_dropped_and_its_window_requested_once_more(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, seconds=0)
    runner.run([1])
    sandbox.faults.inject("forgotten-report", path=POLLS, method="GET")
    runner.budget.seconds = 3600
    assert runner.run([]) == ["failed 1", *REQUESTED, *complete(1, runner.rows(1))]
    assert runner.journal.reasons == ["Clarity no longer knows it"]


def test_a_report_that_is_unknown_for_a_moment_is_not_dropped(sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", path=POLLS, method="GET", status=404, times=4)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, *complete(1, runner.rows(1))]
    assert len(runner.requests()) == 1


def test_a_report_that_stays_unknown_is_requested_once_more_only(sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", path=POLLS, method="GET", status=404, times=None)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, "failed 1", *REQUESTED, "failed 1"]
    assert len(runner.requests()) == 2


# Two poll paths.


@pytest.mark.parametrize("status", [400, 403, 404, 405])
@pytest.mark.parametrize("quirk", ["plural-poll-refused", "singular-poll-refused"])
def test_the_poll_path_that_works_is_found_and_remembered(
    sandbox: Sandbox, quirk: str, status: int
) -> None:
    sandbox.switches.set(poll_refusal=status)
    sandbox.switches.turn_on(quirk)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, *complete(1, runner.rows(1))]
    statuses = [call["status"] for call in received_requests(sandbox, "GET", "/v2/report-request")]
    assert statuses.count(status) == (quirk == "plural-poll-refused")
    assert statuses[-1] == 200


def test_where_both_poll_paths_are_rejected_reports_are_kept_and_the_run_fails(
    sandbox: Sandbox,
) -> None:
    sandbox.switches.turn_on("plural-poll-refused")
    sandbox.switches.turn_on("singular-poll-refused")
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == REQUESTED
    assert isinstance(runner.error, AccessDeniedError)
    assert [report.window for report in runner.journal.pending] == [march(1)]
    sandbox.clock.advance(timedelta(hours=6))
    assert runner.run([])[:1] == ["failed 1"]


# Files.


def test_a_file_that_is_bad_once_is_downloaded_again(sandbox: Sandbox) -> None:
    sandbox.faults.inject("row-outside", path="/files/*", times=2)
    runner = JobsRunner(sandbox)
    # All rows come again: they are upserted by their keys.
    steps = runner.run([1])
    assert (steps[2], steps[-1]) == ("reading 1", "completed 1")
    assert len([*received_requests(sandbox, "GET", "/files/")]) == 3


def test_bad_files_block_no_other_report_and_are_requested_again_after_two_runs(
    sandbox: Sandbox,
) -> None:
    sandbox.faults.inject("row-outside", path="/files/*", times=3)
    runner = JobsRunner(sandbox, concurrency=1)
    steps = runner.run([1, 2])
    assert steps[-3:] == complete(2, runner.rows(2))
    assert "unusable 1" in steps
    (error,) = runner.journal.errors
    assert isinstance(error, FileError)
    assert "for 2026-03-01 00:00 to 2026-03-02 00:00, file 1 of 1: row " in str(error)
    assert [report.bad_runs for report in runner.journal.pending] == [1]
    assert len(runner.requests()) == 2
    sandbox.faults.inject("row-outside", path="/files/*", times=3)
    again = runner.run([])
    assert again[-5:] == [*REQUESTED, *complete(1, runner.rows(1))]
    assert "unusable 1" in again
    assert runner.journal.ledger.failing == ()


@pytest.mark.parametrize("status", [403, 404])
def test_purged_files_are_requested_again_after_two_runs(sandbox: Sandbox, status: int) -> None:
    runner = JobsRunner(sandbox, seconds=0)
    runner.run([1])
    sandbox.faults.inject("purged-files", path=POLLS, method="GET", status=status)
    sandbox.clock.advance(timedelta(minutes=10))
    assert runner.run([]) == ["reading 1", "unread 1", "unusable 1"]
    runner.budget.seconds = 3600
    # The outcome belongs to the report, so that it is purged in the second run, too.
    steps = runner.run([])
    assert steps[0] == "reading 1"
    assert steps[-5:] == [*REQUESTED, *complete(1, runner.rows(1))]


def test_a_retry_whose_files_are_bad_is_not_requested_twice_in_a_run(sandbox: Sandbox) -> None:
    """Its window is among the failing ones, and its report is kept for the next run."""
    answer(sandbox, reportStatus="failed")
    sandbox.faults.inject("row-outside", path="/files/*", times=3)
    runner = JobsRunner(sandbox)
    steps = runner.run([1])
    assert steps[:5] == [*REQUESTED, "failed 1", *REQUESTED]
    assert steps[-1] == "unusable 1"
    assert len(runner.requests()) == 2


def test_a_fresh_poll_without_files_is_not_taken_for_an_empty_report(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox)
    sandbox.faults.inject("expired-link", path="/files/*", times=None)
    jobs, lane = runner.jobs(), runner.lane([1])
    jobs.add([lane])
    for ready in jobs.run(lane):
        answer(sandbox, times=None, reportStatus="succeeded", urls=[])
        assert list(ready) == []
        assert "no longer says where its files are" in str(ready.error)
    assert runner.steps == [*REQUESTED, "unusable 1"]
    assert [report.window for report in runner.journal.pending] == [march(1)]


# The echo.


def test_a_clipped_report_covers_the_window_of_its_echo(sandbox: Sandbox) -> None:
    sandbox.switches.set(retention_days=8.5)
    sandbox.switches.turn_on("clipped-start")
    runner = JobsRunner(sandbox)
    jobs, lane = runner.jobs(), runner.lane()
    lane.windows = [[march(1, 3)]]
    jobs.add([lane])
    rows = [row for ready in jobs.run(lane) for row in ready]
    assert runner.steps[-1] == "completed 1"
    (served,) = runner.journal.served
    assert (served.start.isoformat(), served.end) == ("2026-03-01T21:20:00+00:00", march(3).end)
    assert 0 < len(rows) < sum(runner.rows(day) for day in (1, 2, 3))


def test_a_report_that_serves_nothing_of_its_window_fails(sandbox: Sandbox) -> None:
    sandbox.switches.set(retention_days=2)
    sandbox.switches.turn_on("clipped-start")
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, "failed 1", *REQUESTED, "failed 1"]


@pytest.mark.parametrize("quirk", ["other-frequency-echo", "other-frequency-served"])
def test_a_report_of_another_frequency_fails_and_covers_nothing(
    sandbox: Sandbox, quirk: str
) -> None:
    sandbox.switches.turn_on(quirk)
    runner = JobsRunner(sandbox)
    assert runner.run([1]) == [*REQUESTED, "failed 1", *REQUESTED, "failed 1"]
    assert not [*received_requests(sandbox, "GET", "/files/")]


def test_a_report_without_echo_covers_its_window(sandbox: Sandbox) -> None:
    sandbox.switches.turn_on("no-echo")
    runner = JobsRunner(sandbox)
    assert runner.run([1])[-1] == "completed 1"
    assert runner.journal.served == [march(1)]
    assert len(polled_at(sandbox)) > 1


def test_one_inconclusive_poll_does_not_end_the_wait_timeout() -> None:
    with Sandbox(
        seed=1, datasources=1, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=20_000
    ) as sandbox:
        answer(sandbox, times=1, reportStatus="succeeded", urls=[])
        runner = JobsRunner(sandbox, seconds=300)
        assert runner.run([1]) == REQUESTED
        waited = sandbox.clock.now() - datetime(2026, 3, 10, 9, 20, tzinfo=UTC)
        assert timedelta(seconds=250) < waited < timedelta(seconds=400)
