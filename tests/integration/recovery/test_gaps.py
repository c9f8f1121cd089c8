"""Gaps that Clarity's cache cannot fill: reports fill them, and until then the state keeps them."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.recovery.harness import (
    CONTINUATION,
    METRICS,
    QUERY,
    REPORT,
    STREAM,
    RecoveryScenario,
    cache_query_message,
    log_lines,
    tap_log_lines,
)
from tests.support.tap_process import received_requests, run_tap

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = 5 * DAY
GAP = ["2026-03-10T05:00Z", "2026-03-13T10:00Z"]
"""After that outage: from 4 hours 15 minutes before the first run to the cache's safe edge."""
GAP_MESSAGE = (
    "recent_measurements: Clarity's cache no longer has 2026-03-10 05:00 to 2026-03-13 10:00 UTC"
)


def test_gap_is_filled_by_one_report(scenario: RecoveryScenario) -> None:
    before = set(scenario.target.table)
    run = scenario.run(OUTAGE).check()
    assert scenario.requested_paths == [QUERY, REPORT]
    (cache, report) = scenario.request_bodies
    assert cache["startTime"] == "2026-03-13T09:35:00.000Z"
    assert [report["startTime"], report["endTime"]] == [
        "2026-03-10T05:00:00.000Z",
        "2026-03-13T10:00:00.000Z",
    ]
    assert {name: report[name] for name in cache.keys() & report.keys() - {"startTime"}} == {
        name: cache[name] for name in cache.keys() & report.keys() - {"startTime"}
    }
    assert [line for line in tap_log_lines(run) if not line.startswith("Report ")] == [
        cache_query_message(
            "the continuation token of 2026-03-10 09:20 UTC has expired", "2026-03-13 09:35"
        ),
        f"{GAP_MESSAGE}: requesting reports",
        "recent_measurements: a report has filled 2026-03-10 05:00 to 2026-03-13 10:00 UTC",
    ]
    bookmark = scenario.target.bookmark
    assert (bookmark["gaps"], bookmark["reports"]) == ([], [])
    assert bookmark["requests"][:2] == ["2026-03-15", 1]
    scenario.check()
    schema = run.schemas(STREAM)[0]["schema"]["properties"].keys()
    filled = [record for record in run.records(STREAM) if record["time"] < "2026-03-13T09"]
    assert filled
    assert all(record.keys() == schema for record in filled)
    assert all(record["source_id"] for record in filled)
    assert set(scenario.target.table) > before


def test_requests_for_gaps_count_toward_the_daily_limit(scenario: RecoveryScenario) -> None:
    scenario.run(OUTAGE).check()
    streams = [STREAM, "datasource_measurements"]
    run = run_tap(
        scenario.sandbox,
        streams=streams,
        state=scenario.target.state,
        start_date="2026-03-14",
        report_daily_limit=1,
    ).check()
    assert run.records("datasource_measurements") == []
    assert "report_daily_limit (1) puts off reports: 1" in run.errors


def test_gap_is_requested_before_windows_of_other_streams(scenario: RecoveryScenario) -> None:
    scenario.sandbox.clock.advance(OUTAGE)
    scenario.sandbox.requests.clear()
    run_tap(
        scenario.sandbox,
        streams=[STREAM, "datasource_measurements"],
        state=scenario.target.state,
        metric_select=f"only {METRICS}*",
        start_date="2026-03-14",
        report_daily_limit=1,
    ).check()
    (body,) = scenario.request_bodies[1:]
    assert body["startTime"] == "2026-03-10T05:00:00.000Z"


def test_run_resumes_after_a_kill_at_any_message() -> None:
    for killed_at_message in count(1):
        with Sandbox(seed=1, datasources=1, now=NOW, frozen=True) as sandbox:
            scenario = RecoveryScenario(sandbox)
            scenario.run().check()
            if scenario.run(OUTAGE, killed_at_message=killed_at_message).status == 0:
                break
            requests = scenario.requested_paths.count(REPORT)
            is_known = bool(scenario.target.bookmark["reports"])
            scenario.run(30 * SECOND).check()
            assert not (is_known and REPORT in scenario.requested_paths)
            assert requests + scenario.requested_paths.count(REPORT) <= 2
            assert scenario.gaps == []
            scenario.check()
    assert killed_at_message > len(["schema", "records", "reply", "count", "id", "records", "end"])


def test_slow_report_is_resumed_by_the_next_run() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, report_seconds=7200) as sandbox:
        scenario = RecoveryScenario(sandbox, settings={"report_wait_timeout": 60})
        scenario.run().check()
        run = scenario.run(OUTAGE).check()
        assert scenario.gaps == [GAP]
        ((id_, *window, requested_at),) = scenario.target.bookmark["reports"]
        assert window == GAP
        assert requested_at == "2026-03-15T09:20Z"
        waits = "recent_measurements: 2026-03-10 05:00 to 2026-03-13 10:00 UTC is still missing"
        assert any(line.startswith(waits) for line in tap_log_lines(run))
        run = scenario.run(HOUR).check()
        assert scenario.requested_paths == [CONTINUATION]
        assert [*received_requests(sandbox, "GET", id_)]
        assert f"{GAP_MESSAGE}: requesting reports" in tap_log_lines(run)
        scenario.run(2 * HOUR).check()
        assert scenario.requested_paths == [CONTINUATION]
        assert scenario.gaps == scenario.target.bookmark["reports"] == []
        scenario.check()


def test_pending_report_of_another_query_is_ignored(scenario: RecoveryScenario) -> None:
    scenario.run(OUTAGE, report_wait_timeout=0).check()
    ((old_id, *_),) = scenario.target.bookmark["reports"]
    scenario.run(MINUTE, qc_flags=True).check()
    assert scenario.requested_paths == [QUERY, REPORT]
    assert scenario.request_bodies[1]["qcFlags"] is True
    assert not [*received_requests(scenario.sandbox, "GET", old_id)]
    assert scenario.gaps == scenario.target.bookmark["reports"] == []


@pytest.mark.parametrize(
    ("quota", "limit", "expected_message"),
    [
        (0, 25, "Clarity grants no more reports: "),
        (30, 0, "report_daily_limit (0) puts off reports: 1; requests resume when it is raised"),
    ],
)
def test_gap_stays_open_while_the_quota_is_exhausted(
    quota: int, limit: int, expected_message: str
) -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, daily_quota=quota) as sandbox:
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        for pause in (OUTAGE, 20 * HOUR):
            run = scenario.run(pause, report_daily_limit=limit).check()
            assert scenario.gaps == [GAP]
            assert f"{GAP_MESSAGE}: requesting reports" in tap_log_lines(run)
            assert any(expected_message in line for line in tap_log_lines(run))
    with Sandbox(seed=1, datasources=3, now=sandbox.clock.now(), frozen=True) as next_sandbox:
        next_scenario = RecoveryScenario(next_sandbox, target=scenario.target)
        next_scenario.run(DAY - HOUR).check()
        assert next_scenario.requested_paths == [CONTINUATION, QUERY, REPORT]
        assert next_scenario.gaps == []


def test_with_recover_gaps_off_gaps_are_only_recorded_and_warned_about(
    scenario: RecoveryScenario,
) -> None:
    for pause in (OUTAGE, HOUR):
        run = scenario.run(pause, recover_gaps=False).check()
        assert REPORT not in scenario.requested_paths
        assert log_lines(run, "WARNING") == [f"{GAP_MESSAGE}: recover_gaps is off, so it stays"]
        assert scenario.gaps == [GAP]
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION, REPORT]
    assert scenario.gaps == []
    scenario.check()


def test_gaps_too_far_apart_for_one_report_stay_separate(scenario: RecoveryScenario) -> None:
    for pause in (OUTAGE, OUTAGE, OUTAGE):
        scenario.run(pause, recover_gaps=False).check()
    gaps = [GAP, ["2026-03-15T05:00Z", "2026-03-18T10:00Z"]]
    gaps += [["2026-03-20T05:00Z", "2026-03-23T10:00Z"]]
    assert scenario.gaps == gaps
    scenario.run(HOUR, report_window_days=7).check()
    assert [(body["startTime"], body["endTime"]) for body in scenario.request_bodies[1:]] == [
        ("2026-03-10T05:00:00.000Z", "2026-03-13T10:00:00.000Z"),
        ("2026-03-15T05:00:00.000Z", "2026-03-18T10:00:00.000Z"),
        ("2026-03-20T05:00:00.000Z", "2026-03-23T10:00:00.000Z"),
    ]
    assert scenario.gaps == []
    scenario.check()


def test_gaps_beyond_the_quota_of_today_are_filled_tomorrow(scenario: RecoveryScenario) -> None:
    for pause in (OUTAGE, OUTAGE, OUTAGE):
        scenario.run(pause, recover_gaps=False).check()
    last = scenario.gaps[-1]
    run = scenario.run(HOUR, report_window_days=7, report_daily_limit=2).check()
    assert scenario.requested_paths == [CONTINUATION, REPORT, REPORT]
    assert scenario.gaps == [last]
    assert "report_daily_limit (2) puts off reports: 1" in run.errors
    scenario.run(HOUR, report_window_days=7, report_daily_limit=2).check()
    assert scenario.requested_paths == [CONTINUATION]
    scenario.run(20 * HOUR, report_window_days=7, report_daily_limit=2).check()
    assert scenario.requested_paths == [CONTINUATION, QUERY, REPORT]
    assert scenario.gaps == []
    scenario.check()


def test_gaps_within_one_report_window_share_a_report(scenario: RecoveryScenario) -> None:
    for pause in (OUTAGE, OUTAGE):
        scenario.run(pause, recover_gaps=False).check()
    scenario.run(HOUR).check()
    (body,) = scenario.request_bodies[1:]
    assert (body["startTime"], body["endTime"]) == (
        "2026-03-10T05:00:00.000Z",
        "2026-03-18T10:00:00.000Z",
    )
    assert scenario.gaps == []
    scenario.check()


def test_adjacent_gaps_are_merged(scenario: RecoveryScenario) -> None:
    scenario.run(OUTAGE, recover_gaps=False).check()
    scenario.target.bookmark["gaps"].append(["2026-03-13T10:00Z", "2026-03-14"])
    scenario.run(HOUR, recover_gaps=False).check()
    assert scenario.gaps == [[GAP[0], "2026-03-14"]]


def test_failed_report_keeps_its_gap_and_logs_it(scenario: RecoveryScenario) -> None:
    scenario.sandbox.faults.inject("failed-report", path=REPORT, times=2, message="out of order")
    run = scenario.run(OUTAGE)
    assert run.status == 1
    assert scenario.requested_paths == [QUERY, REPORT, REPORT]
    assert scenario.gaps == [GAP]
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]
    assert scenario.gaps == [GAP]
    scenario.run(DAY - HOUR - MINUTE).check()
    assert REPORT in scenario.requested_paths
    assert scenario.gaps == []
    scenario.check()
