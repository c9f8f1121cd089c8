"""What Clarity's cache no longer has: reports fill it, and until then it is not forgotten."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.recovery_harness import (
    CONTINUATION,
    METRICS,
    QUERY,
    REPORT,
    STREAM,
    Story,
    asks,
    lines,
    said,
)
from tests.support.tap_process import calls, run_tap

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = 5 * DAY
HOLE = ["2026-03-10T05:00Z", "2026-03-13T10:00Z"]
"""After that outage: from 4 hours 15 minutes before the first run to the cache's safe edge."""
OPEN = "recent_measurements: Clarity's cache no longer has 2026-03-10 05:00 to 2026-03-13 10:00 UTC"


def test_a_hole_is_filled_by_one_report(story: Story) -> None:
    before = set(story.target.table)
    run = story.run(OUTAGE).check()
    assert story.asked == [QUERY, REPORT]
    (cache, report) = story.bodies
    assert cache["startTime"] == "2026-03-13T09:35:00.000Z"
    assert [report["startTime"], report["endTime"]] == [
        "2026-03-10T05:00:00.000Z",
        "2026-03-13T10:00:00.000Z",
    ]
    assert {name: report[name] for name in cache.keys() & report.keys() - {"startTime"}} == {
        name: cache[name] for name in cache.keys() & report.keys() - {"startTime"}
    }
    assert [line for line in said(run) if not line.startswith("Report ")] == [
        asks("the continuation token of 2026-03-10 09:20 UTC has expired", "2026-03-13 09:35"),
        f"{OPEN}: requesting reports",
        "recent_measurements: a report has filled 2026-03-10 05:00 to 2026-03-13 10:00 UTC",
    ]
    stand = story.target.stand
    assert (stand["gaps"], stand["reports"]) == ([], [])
    assert stand["requests"][:2] == ["2026-03-15", 1]
    story.check()
    schema = run.schemas(STREAM)[0]["schema"]["properties"].keys()
    healed = [record for record in run.records(STREAM) if record["time"] < "2026-03-13T09"]
    assert healed
    assert all(record.keys() == schema for record in healed)
    assert all(record["source_id"] for record in healed)
    assert set(story.target.table) > before


def test_the_requests_for_holes_are_counted_with_the_others(story: Story) -> None:
    story.run(OUTAGE).check()
    streams = [STREAM, "datasource_measurements"]
    run = run_tap(
        story.sandbox,
        streams=streams,
        state=story.target.state,
        start_date="2026-03-14",
        report_daily_limit=1,
    ).check()
    assert run.records("datasource_measurements") == []
    assert "report_daily_limit (1) puts off reports: 1" in run.errors


def test_a_hole_comes_before_what_the_other_streams_want(story: Story) -> None:
    story.sandbox.clock.advance(OUTAGE)
    story.sandbox.requests.clear()
    run_tap(
        story.sandbox,
        streams=[STREAM, "datasource_measurements"],
        state=story.target.state,
        metric_select=f"only {METRICS}*",
        start_date="2026-03-14",
        report_daily_limit=1,
    ).check()
    (body,) = story.bodies[1:]
    assert body["startTime"] == "2026-03-10T05:00:00.000Z"


def test_killed_at_any_message_the_next_run_goes_on() -> None:
    for dies_at in count(1):
        with Sandbox(seed=1, datasources=1, now=NOW, frozen=True) as sandbox:
            story = Story(sandbox)
            story.run().check()
            if story.run(OUTAGE, dies_at=dies_at).status == 0:
                break
            requests = story.asked.count(REPORT)
            is_known = bool(story.target.stand["reports"])
            story.run(30 * SECOND).check()
            assert not (is_known and REPORT in story.asked)
            assert requests + story.asked.count(REPORT) <= 2
            assert story.holes == []
            story.check()
    assert dies_at > len(["schema", "records", "reply", "count", "id", "records", "end"])


def test_a_report_that_takes_too_long_is_taken_up_by_the_next_run() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, report_seconds=7200) as sandbox:
        story = Story(sandbox, settings={"report_wait_timeout": 60})
        story.run().check()
        run = story.run(OUTAGE).check()
        assert story.holes == [HOLE]
        ((id_, *window, requested_at),) = story.target.stand["reports"]
        assert window == HOLE
        assert requested_at == "2026-03-15T09:20Z"
        waits = "recent_measurements: 2026-03-10 05:00 to 2026-03-13 10:00 UTC is still missing"
        assert any(line.startswith(waits) for line in said(run))
        run = story.run(HOUR).check()
        assert story.asked == [CONTINUATION]
        assert [*calls(sandbox, "GET", id_)]
        assert f"{OPEN}: requesting reports" in said(run)
        story.run(2 * HOUR).check()
        assert story.asked == [CONTINUATION]
        assert story.holes == story.target.stand["reports"] == []
        story.check()


def test_a_report_of_another_query_is_left_alone(story: Story) -> None:
    story.run(OUTAGE, report_wait_timeout=0).check()
    ((old, *_),) = story.target.stand["reports"]
    story.run(MINUTE, qc_flags=True).check()
    assert story.asked == [QUERY, REPORT]
    assert story.bodies[1]["qcFlags"] is True
    assert not [*calls(story.sandbox, "GET", old)]
    assert story.holes == story.target.stand["reports"] == []


@pytest.mark.parametrize(
    ("quota", "limit", "says"),
    [
        (0, 25, "Clarity grants no more reports: "),
        (30, 0, "report_daily_limit (0) puts off reports: 1; requests resume when it is raised"),
    ],
)
def test_without_quota_a_hole_stays_open_until_there_is_some(
    quota: int, limit: int, says: str
) -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, daily_quota=quota) as sandbox:
        story = Story(sandbox)
        story.run().check()
        for pause in (OUTAGE, 20 * HOUR):
            run = story.run(pause, report_daily_limit=limit).check()
            assert story.holes == [HOLE]
            assert f"{OPEN}: requesting reports" in said(run)
            assert any(says in line for line in said(run))
    with Sandbox(seed=1, datasources=3, now=sandbox.clock.now(), frozen=True) as richer:
        later = Story(richer, target=story.target)
        later.run(DAY - HOUR).check()
        assert later.asked == [CONTINUATION, QUERY, REPORT]
        assert later.holes == []


def test_recover_gaps_off_only_records_and_warns(story: Story) -> None:
    for pause in (OUTAGE, HOUR):
        run = story.run(pause, recover_gaps=False).check()
        assert REPORT not in story.asked
        assert lines(run, "WARNING") == [f"{OPEN}: recover_gaps is off, so it stays"]
        assert story.holes == [HOLE]
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION, REPORT]
    assert story.holes == []
    story.check()


def test_holes_that_do_not_fit_into_one_report_stay_apart(story: Story) -> None:
    for pause in (OUTAGE, OUTAGE, OUTAGE):
        story.run(pause, recover_gaps=False).check()
    holes = [HOLE, ["2026-03-15T05:00Z", "2026-03-18T10:00Z"]]
    holes += [["2026-03-20T05:00Z", "2026-03-23T10:00Z"]]
    assert story.holes == holes
    story.run(HOUR, report_window_days=7).check()
    assert [(body["startTime"], body["endTime"]) for body in story.bodies[1:]] == [
        ("2026-03-10T05:00:00.000Z", "2026-03-13T10:00:00.000Z"),
        ("2026-03-15T05:00:00.000Z", "2026-03-18T10:00:00.000Z"),
        ("2026-03-20T05:00:00.000Z", "2026-03-23T10:00:00.000Z"),
    ]
    assert story.holes == []
    story.check()


def test_what_today_s_quota_does_not_fill_is_filled_tomorrow(story: Story) -> None:
    for pause in (OUTAGE, OUTAGE, OUTAGE):
        story.run(pause, recover_gaps=False).check()
    last = story.holes[-1]
    run = story.run(HOUR, report_window_days=7, report_daily_limit=2).check()
    assert story.asked == [CONTINUATION, REPORT, REPORT]
    assert story.holes == [last]
    assert "report_daily_limit (2) puts off reports: 1" in run.errors
    story.run(HOUR, report_window_days=7, report_daily_limit=2).check()
    assert story.asked == [CONTINUATION]
    story.run(20 * HOUR, report_window_days=7, report_daily_limit=2).check()
    assert story.asked == [CONTINUATION, QUERY, REPORT]
    assert story.holes == []
    story.check()


def test_holes_share_a_report_where_they_fit(story: Story) -> None:
    for pause in (OUTAGE, OUTAGE):
        story.run(pause, recover_gaps=False).check()
    story.run(HOUR).check()
    (body,) = story.bodies[1:]
    assert (body["startTime"], body["endTime"]) == (
        "2026-03-10T05:00:00.000Z",
        "2026-03-18T10:00:00.000Z",
    )
    assert story.holes == []
    story.check()


def test_holes_that_touch_become_one(story: Story) -> None:
    story.run(OUTAGE, recover_gaps=False).check()
    story.target.stand["gaps"].append(["2026-03-13T10:00Z", "2026-03-14"])
    story.run(HOUR, recover_gaps=False).check()
    assert story.holes == [[HOLE[0], "2026-03-14"]]


def test_a_failed_report_leaves_its_hole_and_says_so(story: Story) -> None:
    story.sandbox.faults.inject("failed-report", path=REPORT, times=2, message="out of order")
    run = story.run(OUTAGE)
    assert run.status == 1
    assert story.asked == [QUERY, REPORT, REPORT]
    assert story.holes == [HOLE]
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]
    assert story.holes == [HOLE]
    story.run(DAY - HOUR - MINUTE).check()
    assert REPORT in story.asked
    assert story.holes == []
    story.check()
