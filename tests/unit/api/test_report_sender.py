"""Which requests are sent, in which order, and what becomes of those that are rejected."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.errors import (
    AccessDeniedError,
    AmbiguousError,
    ClarityError,
    QuotaExhaustedError,
    RequestRejectedError,
)
from tap_clarity.sandbox import Sandbox
from tests.support.reports.jobs_runner import JobsRunner, answer, complete, march
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REQUESTS = "/v2/report-requests"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        seed=1, datasources=9, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=100
    ) as running:
        yield running


def ids_of(sandbox: Sandbox) -> list[str]:
    resource = sandbox.expected.records("datasources", as_of=sandbox.clock.now())
    return sorted(each["datasource_id"] for each in resource)[:6]


def requested_ids(sandbox: Sandbox) -> list[tuple[list[str], int]]:
    return [
        (post["body"]["datasourceIds"], post["status"])
        for post in received_requests(sandbox, "POST", REQUESTS)
    ]


# Rejected requests.


@pytest.mark.parametrize(
    ("status", "error"), [(400, RequestRejectedError), (403, AccessDeniedError)]
)
def test_a_rejected_window_is_put_off_and_the_others_go_on(
    sandbox: Sandbox, status: int, error: type[ClarityError]
) -> None:
    sandbox.faults.inject("status", method="POST", path=REQUESTS, status=status)
    runner = JobsRunner(sandbox)
    steps = runner.run([1, 2])
    assert steps[:4] == ["requested 1", "rejected 1", "requested 2", "accepted 2"]
    assert steps[-1] == "completed 2"
    assert isinstance(runner.journal.errors[0], error)
    assert runner.error is None
    (failing,) = runner.journal.ledger.failing
    assert (failing.window, str(failing.retry_on)) == (march(1), "2026-03-11")


def test_three_rejections_stop_the_requests_of_a_stream(sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", method="POST", path=REQUESTS, status=400, times=None)
    runner = JobsRunner(sandbox)
    assert runner.run([1, 2, 3, 4]) == [
        *("requested 1", "rejected 1", "requested 2", "rejected 2", "requested 3", "rejected 3"),
    ]
    assert len(runner.requests()) == 3


def test_three_rejections_of_one_stream_do_not_stop_another(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, names=("a ", "b "))
    jobs = runner.jobs()
    lanes = [runner.lane([1, 2, 3, 4], name="a "), runner.lane([5], name="b ")]
    sandbox.faults.inject("status", method="POST", path=REQUESTS, status=400, times=3)
    jobs.add(lanes)
    for lane in lanes:
        for ready in jobs.run(lane):
            runner.read(ready)
    assert [day for day, _ in runner.requests()] == [1, 2, 3, 5]
    assert runner.steps[-1] == "b completed 5"


# Rejected ids.


def bad_ids(sandbox: Sandbox, *places: int, refusal: int = 403) -> tuple[list[str], list[str]]:
    ids = ids_of(sandbox)
    bad = [ids[place] for place in places]
    sandbox.switches.set(rejected_ids=",".join(bad), id_refusal=refusal)
    return ids, bad


@pytest.mark.parametrize("refusal", [400, 403])
@pytest.mark.parametrize("place", range(6))
def test_one_rejected_id_is_found_by_halving_and_left_out(
    sandbox: Sandbox, place: int, refusal: int
) -> None:
    ids, bad = bad_ids(sandbox, place, refusal=refusal)
    runner = JobsRunner(sandbox)
    steps = runner.run([1, 2], ids=ids)
    assert f"id rejected {bad[0]}" in steps
    assert not [step for step in steps if step.startswith("rejected")]
    assert {step for step in steps if "completed" in step} == {"completed 1", "completed 2"}
    # The window, all ids again for a step, two or three halves, the others, and both windows.
    posts = requested_ids(sandbox)
    assert len(posts) <= 8
    assert posts[-2:] == [([i for i in ids if i not in bad], 200)] * 2
    assert runner.journal.ledger.rejected_ids == tuple(bad)


@pytest.mark.parametrize("places", [(0, 1), (0, 5), (2, 3), (4, 5)])
def test_two_rejected_ids_are_found(sandbox: Sandbox, places: Sequence[int]) -> None:
    ids, bad = bad_ids(sandbox, *places)
    runner = JobsRunner(sandbox)
    steps = runner.run([1], ids=ids)
    assert sorted(runner.journal.ledger.rejected_ids) == bad
    assert steps[-1] == "completed 1"
    assert requested_ids(sandbox)[-1] == ([i for i in ids if i not in bad], 200)


def test_where_all_ids_are_rejected_none_is_left_out(sandbox: Sandbox) -> None:
    ids, _ = bad_ids(sandbox, *range(6))
    runner = JobsRunner(sandbox)
    steps = runner.run([1, 2], ids=ids)
    assert runner.journal.ledger.rejected_ids == ()
    assert [step for step in steps if "rejected" in step] == ["rejected 1", "rejected 2"]


def test_where_the_window_is_rejected_no_id_is_left_out(sandbox: Sandbox) -> None:
    """The step at its end is accepted with all ids: it is the window."""
    sandbox.faults.inject("status", method="POST", path=REQUESTS, status=400)
    runner = JobsRunner(sandbox)
    steps = runner.run([1], ids=ids_of(sandbox))
    assert steps == ["requested 1", "requested 1", "rejected 1"]
    assert runner.journal.ledger.rejected_ids == ()
    probe = [*received_requests(sandbox, "POST", REQUESTS)][1]["body"]
    assert (probe["startTime"], probe["endTime"]) == (
        "2026-03-01T23:00:00.000Z",
        "2026-03-02T00:00:00.000Z",
    )


def test_ids_are_not_looked_for_if_that_took_what_other_streams_need(sandbox: Sandbox) -> None:
    """One id of six takes six requests at most; three are left; one has been sent before."""
    ids, bad = bad_ids(sandbox, 3)
    runner = JobsRunner(sandbox, quota=9)
    assert runner.run([1], ids=ids) == ["requested 1", "rejected 1"]
    assert runner.journal.ledger.rejected_ids == ()
    another = JobsRunner(sandbox, quota=10 + len(runner.requests()))
    another.run([1], ids=ids)
    assert another.journal.ledger.rejected_ids == (bad[0],)


@pytest.mark.parametrize("place", [0, 1])
def test_of_two_ids_the_rejected_one_is_found(sandbox: Sandbox, place: int) -> None:
    ids = ids_of(sandbox)[:2]
    sandbox.switches.set(rejected_ids=ids[place])
    runner = JobsRunner(sandbox)
    assert runner.run([1], ids=ids)[-1] == "completed 1"
    assert runner.journal.ledger.rejected_ids == (ids[place],)


def test_what_is_found_counts_although_more_ids_are_rejected(sandbox: Sandbox) -> None:
    ids, bad = bad_ids(sandbox, 0, 1)
    runner = JobsRunner(sandbox, quota=13)
    steps = runner.run([1], ids=ids)
    assert runner.journal.ledger.rejected_ids == (bad[0],)
    assert steps[-1] == "rejected 1"
    again = JobsRunner(sandbox, quota=60)
    again.run([1], ids=[id_ for id_ in ids if id_ != bad[0]])
    assert again.journal.ledger.rejected_ids == (bad[1],)


def test_a_lookup_of_ids_that_gets_no_answer_decides_nothing(sandbox: Sandbox) -> None:
    """Whether it is the window or an id shows in the next run: neither is put off."""
    sandbox.faults.inject("status", method="POST", path=REQUESTS, status=400)
    sandbox.faults.inject("drop", method="POST", path=REQUESTS)
    runner = JobsRunner(sandbox)
    assert runner.run([1, 2], ids=ids_of(sandbox)) == ["requested 1", "requested 1"]
    assert isinstance(runner.error, AmbiguousError)
    assert runner.journal.ledger.failing == ()


# Requests that get no answer that decides.


REFUSALS: dict[str, dict[str, Any]] = {
    "ambiguous": {"kind": "drop"},
    "no id": {"kind": "status", "status": 200, "body": "{}"},
    "server": {"kind": "status", "status": 503},
}


@pytest.mark.parametrize("fault", REFUSALS.values(), ids=REFUSALS)
def test_after_an_ambiguous_request_no_more_are_sent_and_pending_reports_are_read(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    runner = JobsRunner(sandbox, seconds=0)
    runner.run([1])
    runner.budget.seconds = 3600
    sandbox.faults.inject(method="POST", path=REQUESTS, **fault)
    assert runner.run([2, 3]) == ["requested 2", *complete(1, runner.rows(1))]
    assert isinstance(runner.error, AmbiguousError)
    assert "\n" not in str(runner.error)
    assert runner.journal.ledger.failing == ()


def test_after_a_429_no_more_are_sent_and_pending_reports_are_read(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, seconds=0)
    runner.run([1])
    runner.budget.seconds = 3600
    sandbox.faults.inject("status", method="POST", path=REQUESTS, status=429)
    assert runner.run([2, 3]) == ["requested 2", "exhausted", *complete(1, runner.rows(1))]
    assert runner.error is None
    assert isinstance(runner.journal.errors[0], QuotaExhaustedError)
    assert runner.journal.ledger.usage.exhausted_at == datetime.fromisoformat(
        "2026-03-10T09:20:00Z"
    )
    assert runner.journal.ledger.failing == ()


def test_a_replacement_that_gets_no_answer_stops_requests_and_keeps_the_report(
    sandbox: Sandbox,
) -> None:
    sandbox.switches.turn_on("no-urls")
    runner = JobsRunner(sandbox)
    assert runner.run([1])[-1] == "kept 1"
    sandbox.faults.inject("drop", method="POST", path=REQUESTS)
    assert runner.run([]) == ["requested 1"]
    assert isinstance(runner.error, AmbiguousError)
    assert [report.empty_count for report in runner.journal.pending] == [1]


# Several streams.


@pytest.mark.usefixtures("without_jitter")
def test_new_data_of_the_second_stream_comes_before_the_backfill_of_the_first(
    sandbox: Sandbox,
) -> None:
    runner = JobsRunner(sandbox, names=("a ", "b "), concurrency=2)
    jobs = runner.jobs()
    first = runner.lane([9], [8], [1, 2], [7], name="a ")
    second = runner.lane([9], [8], [3], [6], name="b ")
    jobs.add([first, second])
    for ready in jobs.run(first):
        runner.read(ready)
    # All of the first are read, those of the second are parked until it is its turn.
    requests = [step for step in runner.steps if "requested" in step]
    assert requests[:7] == [
        *("a requested 9", "b requested 9", "a requested 8", "b requested 8"),
        *("a requested 1", "a requested 2", "b requested 3"),
    ]
    assert len([step for step in runner.steps if step.startswith("a completed")]) == 5
    assert not [step for step in runner.steps if step.startswith("b completed")]
    begin = sandbox.clock.now()
    days = []
    for ready in jobs.run(second):
        if ready.report.window.start.day in {8, 9}:
            assert sandbox.clock.now() == begin  # they were ready
        days.append(ready.report.window.start.day)
        runner.read(ready)
    assert days[:2] == [9, 8]
    assert sorted(days) == [3, 6, 8, 9]
    assert runner.error is None


def test_a_fault_of_one_stream_is_not_raised_in_the_turn_of_another(sandbox: Sandbox) -> None:
    runner = JobsRunner(sandbox, names=("a ", "b "))
    jobs = runner.jobs()
    first, second = runner.lane([9], name="a "), runner.lane([9], name="b ")
    jobs.add([first, second])
    sandbox.faults.inject("drop", method="POST", path=REQUESTS)
    with pytest.raises(AmbiguousError):
        list(jobs.run(first))
    assert list(jobs.run(second)) == []
    assert second.error is None


def test_a_report_that_fails_is_requested_before_all_that_waits(sandbox: Sandbox) -> None:
    answer(sandbox, reportStatus="failed")
    runner = JobsRunner(sandbox, concurrency=1)
    steps = runner.run([1, 2, 3])
    assert [step for step in steps if "requested" in step] == [
        *("requested 1", "requested 1", "requested 2", "requested 3"),
    ]
