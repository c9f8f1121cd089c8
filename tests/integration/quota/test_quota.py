"""The report quota: over all streams, by UTC days, and after HTTP 429."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.reports.harness import STREAM, bookmark_of, requested_windows, warnings
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import received_requests, run_tap, upsert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Json, Key, Record, TapRun

REPORT_STREAMS = ("datasource_measurements", "node_measurements", "reference_site_measurements")
ONE_METRIC = "only pm2_5ConcMass1HourMean"
DAY, FIRST = timedelta(days=1), datetime(2023, 3, 10, tzinfo=UTC)
TOMORROW = "requests resume at 2026-03-11 00:00 UTC"
SIX_HOURS_LATER = "requests resume at 2026-03-10 15:20 UTC"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A tiny world whose reports are ready at once."""
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=0
    ) as running:
        yield running


def load(sandbox: Sandbox, state: Json = None, **settings: Any) -> TapRun:  # noqa: ANN401
    """Load ten days, one report a day."""
    defaults: dict[str, Any] = {
        "start_date": "2026-03-01",
        "report_window_days": 1,
        "lookback_days": 0,
        "metric_select": ONE_METRIC,
    }
    return run_in_process(sandbox, state=state, **defaults | settings)


def test_exhausted_quota_ends_the_run_with_status_0_and_logs_when_requests_resume(
    sandbox: Sandbox,
) -> None:
    first = load(sandbox, report_daily_limit=4).check()
    assert len(requested_windows(sandbox)) == 4
    assert warnings(first) == [f"report_daily_limit (4) puts off reports: 6; {TOMORROW}"]
    sandbox.clock.advance(timedelta(hours=5))
    again = load(sandbox, first.state, report_daily_limit=4).check()
    assert len(requested_windows(sandbox)) == 4
    assert warnings(again) == warnings(first)
    sandbox.clock.set("2026-03-11T00:00:00Z")
    load(sandbox, again.state, report_daily_limit=4).check()
    assert len(requested_windows(sandbox)) == 8


def test_an_unusable_state_still_holds_the_count_of_requests(sandbox: Sandbox) -> None:
    state = load(sandbox, report_daily_limit=4).check().state
    state["bookmarks"][STREAM]["rejected_ids"] = ["2026-04-01", "not\nan id"]
    again = load(sandbox, state, report_daily_limit=4).check()
    assert "unusable" in warnings(again)[0]
    assert len(requested_windows(sandbox)) == 4


def test_requests_count_on_the_day_on_which_they_are_sent() -> None:
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T23:59:30Z", frozen=True, report_seconds=60
    ) as sandbox:
        state: Json = None
        for _ in range(2):
            state = load(sandbox, state, report_daily_limit=4, report_concurrency=1).check().state
        days = Counter(
            post["at"][:10] for post in received_requests(sandbox, "POST", "report-requests")
        )
        assert days == {"2026-03-10": 1, "2026-03-11": 4}


def test_limit_is_shared_by_all_streams_with_new_data_first(sandbox: Sandbox) -> None:
    run = load(sandbox, streams=REPORT_STREAMS, report_daily_limit=5).check()
    kinds = Counter(
        post["body"]["report"] for post in received_requests(sandbox, "POST", "report-requests")
    )
    assert kinds == {
        "datasource-measurements": 3,
        "node-measurements": 1,
        "reference-site-measurements": 1,
    }
    new_data_windows = [
        window
        for window in requested_windows(sandbox)
        if window == "2026-03-10 to 2026-03-10 09:00"
    ]
    assert len(new_data_windows) == 3
    assert warnings(run) == [f"report_daily_limit (5) puts off reports: 25; {TOMORROW}"]


def test_requests_of_a_deselected_stream_still_count(sandbox: Sandbox) -> None:
    first = load(sandbox, streams=["node_measurements"], report_daily_limit=6).check()
    load(sandbox, first.state, report_daily_limit=6).check()
    assert len(requested_windows(sandbox)) == 6


def test_limit_of_zero_requests_nothing(sandbox: Sandbox) -> None:
    run = load(sandbox, report_daily_limit=0).check()
    assert requested_windows(sandbox) == []
    assert warnings(run) == [
        "report_daily_limit (0) puts off reports: 10; requests resume when it is raised"
    ]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "61"}, {"Retry-After": "86400"}], ids=str)
def test_429_without_short_retry_after_means_exhausted_quota(
    sandbox: Sandbox, headers: dict[str, str]
) -> None:
    state = load(sandbox, report_daily_limit=1).check().state
    sandbox.faults.inject("status", method="POST", status=429, headers=headers, times=None)
    run = load(sandbox, state, streams=REPORT_STREAMS).check()
    posts = [*received_requests(sandbox, "POST", "report-requests")]
    assert [post["status"] for post in posts] == [200, 429]
    (line,) = warnings(run)
    assert re.fullmatch(
        rf"Clarity grants no more reports: POST .*HTTP 429.*; {SIX_HOURS_LATER}", line
    )
    sandbox.faults.clear()
    sandbox.clock.advance(timedelta(hours=6) - timedelta(seconds=1))
    later = load(sandbox, run.state, streams=REPORT_STREAMS).check()
    assert len([*received_requests(sandbox, "POST", "report-requests")]) == 2
    sandbox.clock.advance(1)
    load(sandbox, later.state, streams=REPORT_STREAMS).check()
    assert len([*received_requests(sandbox, "POST", "report-requests")]) > 2


def test_accepted_reports_are_delivered_after_the_quota_is_exhausted() -> None:
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, daily_quota=2
    ) as sandbox:
        run = load(sandbox).check()
        posts = [post["status"] for post in received_requests(sandbox, "POST", "report-requests")]
        assert posts == [200, 200, 429]
        assert bookmark_of(run)["reports"] == []
        assert bookmark_of(run)["covered"] == [
            ["2026-03-01", "2026-03-02"],
            ["2026-03-10", "2026-03-10T09:00Z"],
        ]
        assert bookmark_of(run)["requests"][:2] == ["2026-03-10", 3]
        sandbox.clock.set("2026-03-11T06:00:00Z")
        load(sandbox, run.state).check()
        assert requested_windows(sandbox)[2:] == [
            "2026-03-10 to 2026-03-11",
            "2026-03-11 to 2026-03-11 06:00",
        ]


@pytest.mark.parametrize("wait", ["0", "1", "60"])
def test_short_retry_after_is_waited_for(sandbox: Sandbox, wait: str) -> None:
    begin = sandbox.clock.now()
    sandbox.faults.inject("status", method="POST", status=429, headers={"Retry-After": wait})
    run = load(sandbox, start_date="2026-03-10").check()
    assert requested_windows(sandbox) == ["2026-03-10 to 2026-03-10 09:00"]
    assert bookmark_of(run)["requests"][1] == 1
    assert sandbox.clock.now() - begin >= timedelta(seconds=int(wait))


def test_persistent_short_retry_after_means_exhausted_quota(sandbox: Sandbox) -> None:
    sandbox.faults.inject(
        "status", method="POST", status=429, headers={"Retry-After": "50"}, times=None
    )
    run = load(sandbox).check()
    assert requested_windows(sandbox) == []
    assert "Clarity grants no more reports: " in warnings(run)[-1]
    assert bookmark_of(run)["requests"][1] == 1


AMBIGUOUS = (
    {"kind": "stall", "seconds": 3},
    {"kind": "drop"},
    {"kind": "cut", "at": 0.2},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 200, "body": "[]"},
    {"kind": "html"},
)


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=lambda fault: " ".join(map(str, fault.values())))
def test_ambiguous_request_is_counted_and_not_repeated_in_the_run(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.faults.inject(method="POST", path="/v2/report-requests", **fault)
    first = load(sandbox, start_date="2026-03-10", report_daily_limit=2, request_timeout=1)
    assert first.status == 1
    (line,) = first.error_lines
    assert "Clarity may have acted on it all the same" in line
    assert bookmark_of(first)["requests"] == ["2026-03-10", 1]
    assert len([*received_requests(sandbox, "POST", "report-requests")]) == 1
    second = load(sandbox, first.state, start_date="2026-03-10", report_daily_limit=2).check()
    assert second.upserted(STREAM)
    third = load(sandbox, second.state, start_date="2026-03-09", report_daily_limit=2).check()
    assert len([*received_requests(sandbox, "POST", "report-requests")]) == 2
    assert "puts off reports: 1" in warnings(third)[0]


def test_failed_reports_are_not_requested_again_beyond_the_limit(sandbox: Sandbox) -> None:
    sandbox.faults.inject("failed-report", method="POST", times=None)
    load(sandbox, report_daily_limit=3)
    assert len([*received_requests(sandbox, "POST", "report-requests")]) <= 3


def test_three_year_backfill_ends_on_the_planned_day() -> None:
    with Sandbox(
        seed=1, datasources=1, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=60
    ) as sandbox:
        settings: dict[str, Any] = {
            "start_date": "2023-03-10",
            "report_daily_limit": 5,
            "metric_select": ONE_METRIC,
        }
        plan = run_tap(sandbox, "--plan", streams=[STREAM], **settings).check().output.decode()
        (planned_end,) = re.findall(r"The backfill ends on (\S+) \(UTC\)", plan)
        table: dict[Key, Record] = {}
        state: Json = None
        while covered_starts(state) != ["2023-03-10"]:
            now = sandbox.clock.now()
            run = run_in_process(sandbox, state=state, **settings).check()
            state = run.state
            upsert(table, run, STREAM)
            newest = max(row["time"] for row in table.values())
            assert newest >= f"{now - timedelta(hours=6):%Y-%m-%dT%H}"
            assert f"{now:%Y-%m-%d}" <= planned_end
            ended = f"{now:%Y-%m-%d}"
            sandbox.clock.set(now + DAY)
        assert ended == planned_end == "2026-03-18"
        days = Counter(
            post["at"][:10] for post in received_requests(sandbox, "POST", "report-requests")
        )
        assert max(days.values()) == 5
        assert sum(days.values()) == 36 + 8
        loaded_times = {key[-1][:16] for key in table}
        for post in received_requests(sandbox, "POST", "report-requests"):
            window_start = datetime.fromisoformat(post["body"]["startTime"])
            period = max(window_start - DAY, FIRST), window_start + DAY
            expected = sandbox.expected.measurements("hour", *period, sandbox.clock.now())
            times = {f"{m.time:%Y-%m-%dT%H:%M}" for m in expected if m.metric in ONE_METRIC}
            begin, end = (f"{instant:%Y-%m-%dT%H:%M}" for instant in period)
            assert {time for time in loaded_times if begin <= time < end} == times


def covered_starts(state: Json) -> Json:
    """Give the starts of what is covered, if anything is."""
    covered = state["bookmarks"][STREAM]["covered"] if state else []
    return [start for start, _ in covered]


def test_state_of_a_thousand_datasources_and_ten_reports_is_below_2_kb() -> None:
    with Sandbox(
        seed=1, datasources=1000, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=600
    ) as sandbox:
        run = run_in_process(
            sandbox,
            streams=["datasources", "recent_measurements", *REPORT_STREAMS],
            output_frequency="day",
            report_window_days=1,
            report_concurrency=10,
            report_wait_timeout=0,
            report_daily_limit=10,
            metric_select="only pm2_5ConcMass24HourMean",
        ).check()
        pending_count = sum(len(bookmark_of(run, stream)["reports"]) for stream in REPORT_STREAMS)
        assert pending_count == 10
        token = bookmark_of(run, "recent_measurements")["continuation_token"]
        assert len(json.dumps(run.state)) - len(token) <= 2048
