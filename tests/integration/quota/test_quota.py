"""Report requests are rationed: over all streams, by UTC days, and by Clarity's own word."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.report_harness import STREAM, asked, run_inside, stand, warnings
from tests.support.tap_process import calls, run_tap, upsert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Json, Key, Record, TapRun

THREE = ("datasource_measurements", "node_measurements", "reference_site_measurements")
ONE_METRIC = "only pm2_5ConcMass1HourMean"
DAY, FIRST = timedelta(days=1), datetime(2023, 3, 10, tzinfo=UTC)
TOMORROW = "requests resume at 2026-03-11 00:00 UTC"
TONIGHT = "requests resume at 2026-03-10 15:20 UTC"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A tiny world whose reports are ready at once."""
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=0
    ) as running:
        yield running


def load(sandbox: Sandbox, state: Json = None, **settings: Any) -> TapRun:  # noqa: ANN401
    """Load ten days, one report a day."""
    usual: dict[str, Any] = {
        "start_date": "2026-03-01",
        "report_window_days": 1,
        "lookback_days": 0,
        "metric_select": ONE_METRIC,
    }
    return run_inside(sandbox, state=state, **usual | settings)


def test_at_the_limit_it_ends_well_and_says_when_it_goes_on(sandbox: Sandbox) -> None:
    first = load(sandbox, report_daily_limit=4).check()
    assert len(asked(sandbox)) == 4
    assert warnings(first) == [f"report_daily_limit (4) puts off reports: 6; {TOMORROW}"]
    sandbox.clock.advance(timedelta(hours=5))
    again = load(sandbox, first.state, report_daily_limit=4).check()
    assert len(asked(sandbox)) == 4
    assert warnings(again) == warnings(first)
    sandbox.clock.set("2026-03-11T00:00:00Z")
    load(sandbox, again.state, report_daily_limit=4).check()
    assert len(asked(sandbox)) == 8


def test_an_unusable_state_still_holds_the_count_of_requests(sandbox: Sandbox) -> None:
    state = load(sandbox, report_daily_limit=4).check().state
    state["bookmarks"][STREAM]["rejected_ids"] = ["2026-04-01", "not\nan id"]
    again = load(sandbox, state, report_daily_limit=4).check()
    assert "unusable" in warnings(again)[0]
    assert len(asked(sandbox)) == 4


def test_requests_count_on_the_day_on_which_they_are_sent() -> None:
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T23:59:30Z", frozen=True, report_seconds=60
    ) as sandbox:
        state: Json = None
        for _ in range(2):
            state = load(sandbox, state, report_daily_limit=4, report_concurrency=1).check().state
        days = Counter(post["at"][:10] for post in calls(sandbox, "POST", "report-requests"))
        assert days == {"2026-03-10": 1, "2026-03-11": 4}


def test_the_limit_holds_for_all_streams_together_heads_first(sandbox: Sandbox) -> None:
    run = load(sandbox, streams=THREE, report_daily_limit=5).check()
    kinds = Counter(post["body"]["report"] for post in calls(sandbox, "POST", "report-requests"))
    assert kinds == {
        "datasource-measurements": 3,
        "node-measurements": 1,
        "reference-site-measurements": 1,
    }
    heads = [window for window in asked(sandbox) if window == "2026-03-10 to 2026-03-10 09:00"]
    assert len(heads) == 3
    assert warnings(run) == [f"report_daily_limit (5) puts off reports: 25; {TOMORROW}"]


def test_what_a_stream_has_spent_counts_when_it_is_deselected(sandbox: Sandbox) -> None:
    first = load(sandbox, streams=["node_measurements"], report_daily_limit=6).check()
    load(sandbox, first.state, report_daily_limit=6).check()
    assert len(asked(sandbox)) == 6


def test_a_limit_of_zero_asks_for_nothing(sandbox: Sandbox) -> None:
    run = load(sandbox, report_daily_limit=0).check()
    assert asked(sandbox) == []
    assert warnings(run) == [
        "report_daily_limit (0) puts off reports: 10; requests resume when it is raised"
    ]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "61"}, {"Retry-After": "86400"}], ids=str)
def test_clarity_says_that_the_quota_is_used_up(sandbox: Sandbox, headers: dict[str, str]) -> None:
    state = load(sandbox, report_daily_limit=1).check().state
    sandbox.faults.inject("status", method="POST", status=429, headers=headers, times=None)
    run = load(sandbox, state, streams=THREE).check()
    posts = [*calls(sandbox, "POST", "report-requests")]
    assert [post["status"] for post in posts] == [200, 429]
    (line,) = warnings(run)
    assert re.fullmatch(rf"Clarity grants no more reports: POST .*HTTP 429.*; {TONIGHT}", line)
    sandbox.faults.clear()
    sandbox.clock.advance(timedelta(hours=6) - timedelta(seconds=1))
    later = load(sandbox, run.state, streams=THREE).check()
    assert len([*calls(sandbox, "POST", "report-requests")]) == 2
    sandbox.clock.advance(1)
    load(sandbox, later.state, streams=THREE).check()
    assert len([*calls(sandbox, "POST", "report-requests")]) > 2


def test_what_clarity_has_granted_is_delivered_when_the_quota_ends() -> None:
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, daily_quota=2
    ) as sandbox:
        run = load(sandbox).check()
        posts = [post["status"] for post in calls(sandbox, "POST", "report-requests")]
        assert posts == [200, 200, 429]
        assert stand(run)["reports"] == []
        assert stand(run)["covered"] == [
            ["2026-03-01", "2026-03-02"],
            ["2026-03-10", "2026-03-10T09:00Z"],
        ]
        assert stand(run)["requests"][:2] == ["2026-03-10", 3]
        sandbox.clock.set("2026-03-11T06:00:00Z")
        load(sandbox, run.state).check()
        assert asked(sandbox)[2:] == [
            "2026-03-10 to 2026-03-11",
            "2026-03-11 to 2026-03-11 06:00",
        ]


@pytest.mark.parametrize("wait", ["0", "1", "60"])
def test_a_short_retry_after_is_waited_for(sandbox: Sandbox, wait: str) -> None:
    begin = sandbox.clock.now()
    sandbox.faults.inject("status", method="POST", status=429, headers={"Retry-After": wait})
    run = load(sandbox, start_date="2026-03-10").check()
    assert asked(sandbox) == ["2026-03-10 to 2026-03-10 09:00"]
    assert stand(run)["requests"][1] == 1
    assert sandbox.clock.now() - begin >= timedelta(seconds=int(wait))


def test_a_short_retry_after_without_end_means_that_the_quota_is_used_up(sandbox: Sandbox) -> None:
    sandbox.faults.inject(
        "status", method="POST", status=429, headers={"Retry-After": "50"}, times=None
    )
    run = load(sandbox).check()
    assert asked(sandbox) == []
    assert "Clarity grants no more reports: " in warnings(run)[-1]
    assert stand(run)["requests"][1] == 1


AMBIGUOUS = (
    {"kind": "stall", "seconds": 3},
    {"kind": "drop"},
    {"kind": "cut", "at": 0.2},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 200, "body": "[]"},
    {"kind": "html"},
)


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=lambda fault: " ".join(map(str, fault.values())))
def test_an_ambiguous_request_is_counted_and_not_repeated_in_that_run(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.faults.inject(method="POST", path="/v2/report-requests", **fault)
    first = load(sandbox, start_date="2026-03-10", report_daily_limit=2, request_timeout=1)
    assert first.status == 1
    (line,) = first.complaints
    assert "Clarity may have acted on it all the same" in line
    assert stand(first)["requests"] == ["2026-03-10", 1]
    assert len([*calls(sandbox, "POST", "report-requests")]) == 1
    second = load(sandbox, first.state, start_date="2026-03-10", report_daily_limit=2).check()
    assert second.upserted(STREAM)
    third = load(sandbox, second.state, start_date="2026-03-09", report_daily_limit=2).check()
    assert len([*calls(sandbox, "POST", "report-requests")]) == 2
    assert "puts off reports: 1" in warnings(third)[0]


def test_failed_reports_are_not_asked_for_again_beyond_the_limit(sandbox: Sandbox) -> None:
    sandbox.faults.inject("failed-report", method="POST", times=None)
    load(sandbox, report_daily_limit=3)
    assert len([*calls(sandbox, "POST", "report-requests")]) <= 3


def test_a_backfill_of_three_years_ends_on_the_day_that_the_plan_says() -> None:
    with Sandbox(
        seed=1, datasources=1, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=60
    ) as sandbox:
        settings: dict[str, Any] = {
            "start_date": "2023-03-10",
            "report_daily_limit": 5,
            "metric_select": ONE_METRIC,
        }
        plan = run_tap(sandbox, "--plan", streams=[STREAM], **settings).check().output.decode()
        (promised,) = re.findall(r"The backfill ends on (\S+) \(UTC\)", plan)
        table: dict[Key, Record] = {}
        state: Json = None
        while stand_or_none(state) != ["2023-03-10"]:
            now = sandbox.clock.now()
            run = run_inside(sandbox, state=state, **settings).check()
            state = run.state
            upsert(table, run, STREAM)
            newest = max(row["time"] for row in table.values())
            assert newest >= f"{now - timedelta(hours=6):%Y-%m-%dT%H}"
            assert f"{now:%Y-%m-%d}" <= promised
            ended = f"{now:%Y-%m-%d}"
            sandbox.clock.set(now + DAY)
        assert ended == promised == "2026-03-18"
        days = Counter(post["at"][:10] for post in calls(sandbox, "POST", "report-requests"))
        assert max(days.values()) == 5
        assert sum(days.values()) == 36 + 8
        got = {key[-1][:16] for key in table}
        for post in calls(sandbox, "POST", "report-requests"):
            seam = datetime.fromisoformat(post["body"]["startTime"])
            around = max(seam - DAY, FIRST), seam + DAY
            true = sandbox.expected.measurements("hour", *around, sandbox.clock.now())
            times = {f"{m.time:%Y-%m-%dT%H:%M}" for m in true if m.metric in ONE_METRIC}
            begin, end = (f"{instant:%Y-%m-%dT%H:%M}" for instant in around)
            assert {time for time in got if begin <= time < end} == times


def stand_or_none(state: Json) -> Json:
    """Give the starts of what is covered, if anything is."""
    covered = state["bookmarks"][STREAM]["covered"] if state else []
    return [start for start, _ in covered]


def test_the_state_of_a_thousand_datasources_and_ten_reports_fits_into_two_kilobytes() -> None:
    with Sandbox(
        seed=1, datasources=1000, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=600
    ) as sandbox:
        run = run_inside(
            sandbox,
            streams=["datasources", "recent_measurements", *THREE],
            output_frequency="day",
            report_window_days=1,
            report_concurrency=10,
            report_wait_timeout=0,
            report_daily_limit=10,
            metric_select="only pm2_5ConcMass24HourMean",
        ).check()
        building = sum(len(stand(run, stream)["reports"]) for stream in THREE)
        assert building == 10
        token = stand(run, "recent_measurements")["continuation_token"]
        assert len(json.dumps(run.state)) - len(token) <= 2048
