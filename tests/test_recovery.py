"""The recent measurements through the wire: what is asked and said, and that nothing is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tap_clarity.sandbox import Sandbox, signing
from tap_clarity.sandbox import recent as sandbox_recent
from tap_clarity.sandbox.recent import FORMATS, Recent
from tests.conftest import NOW
from tests.healing import (
    CACHE,
    CONTINUATION,
    DATASOURCES,
    METRICS,
    QUERY,
    REPORT,
    STREAM,
    Frequency,
    Story,
    lines,
    merged,
)
from tests.tapping import calls, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tapping import Key, Record, TapRun

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = 5 * DAY
HOLE = ["2026-03-10T05:00Z", "2026-03-13T10:00Z"]
"""After that outage: from 4 hours 15 minutes before the first run to the cache's safe edge."""
OPEN = "recent_measurements: Clarity's cache no longer has 2026-03-10 05:00 to 2026-03-13 10:00 UTC"


@pytest.fixture
def story() -> Iterator[Story]:
    """A small city whose measurements have been read once."""
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        story = Story(sandbox)
        story.run().check()
        yield story


def cache_start(story: Story) -> str:
    """What the last run asked the cache for."""
    start: str = next(calls(story.sandbox, "POST", QUERY))["body"]["startTime"]
    return start


# Going on


def test_in_the_steady_state_a_run_is_one_request() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        first = run_tap(sandbox, streams=[STREAM]).check()
        assert [call["path"] for call in sandbox.requests] == [QUERY]
        sandbox.clock.advance(HOUR)
        sandbox.requests.clear()
        run_tap(sandbox, streams=[STREAM], state=first.state).check()
        (call,) = sandbox.requests
    token = first.state["bookmarks"][STREAM]["continuation_token"]
    assert call["path"] == CONTINUATION
    assert call["body"] == {"org": sandbox.org, "continuationToken": token}


def test_an_empty_reply_renews_the_token(story: Story) -> None:
    before = story.target.stand["continuation_token"]
    quiet = story.run(20 * SECOND).check()
    assert quiet.records(STREAM) == []
    assert story.target.stand["continuation_token"] != before
    # A day and ten seconds after the first run, only the renewed one is good.
    story.run(DAY - 10 * SECOND).check()
    assert story.asked == [CONTINUATION]
    story.check()


def test_hourly_runs_read_everything_once(story: Story) -> None:
    first = len(story.target.table)
    written = sum(len(story.run(HOUR).check().records(STREAM)) for _ in range(30))
    assert len(story.target.table) == first + written
    story.check()


# Falling back to the cache


@pytest.mark.parametrize(
    "without",
    [
        patch.object(sandbox_recent, "TOKEN_HEADER", "x-nothing"),
        patch.object(signing, "pack", lambda *_: ""),
    ],
    ids=["no header", "an empty one"],
)
def test_a_reply_without_a_token_is_no_loss(story: Story, without: Any) -> None:  # noqa: ANN401
    with without:
        run = story.run(HOUR).check()
    assert lines(run, "WARNING") == [
        "Clarity sent no continuation token; the next run asks its cache"
    ]
    assert story.target.stand["continuation_token"] is None
    run = story.run(HOUR).check()
    assert story.asked == [QUERY]
    assert cache_start(story) == "2026-03-10T06:00:00.000Z"
    assert said(run) == [asks("there is no continuation token", "2026-03-10 06:00")]
    story.check()


def asks(why: str, start: str) -> str:
    return f"recent_measurements: {why}, so Clarity's cache is asked from {start} UTC on"


def said(run: TapRun) -> list[str]:
    """What the tap itself said in a run, above debug."""
    return [text for text in lines(run, "INFO", "WARNING", "ERROR") if not is_the_sdks(text)]


def is_the_sdks(text: str) -> bool:
    return text.startswith(("METRIC", "Beginning", "Skipping", "Setting", "Deselecting"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refused_token_falls_back_to_the_cache(status: int) -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, token_refusal=status) as sandbox:
        story = Story(sandbox)
        story.run().check()
        story.target.stand.update(continuation_token="worn out")  # noqa: S106 - a token's place
        run = story.run(HOUR).check()
        assert story.asked == [CONTINUATION, QUERY]
        assert [call["status"] for call in sandbox.requests] == [status, 200]
        assert cache_start(story) == "2026-03-10T05:00:00.000Z"
        assert said(run) == [asks("Clarity has refused the continuation token", "2026-03-10 05:00")]
        story.run(HOUR).check()
        assert story.asked == [CONTINUATION]
        story.check()


def test_a_refused_key_is_told_from_a_refused_token(story: Story) -> None:
    run = run_tap(
        story.sandbox,
        streams=[STREAM],
        state=story.target.state,
        metric_select=f"only {METRICS}*",
        api_key="another",
    )
    assert [call["path"] for call in story.sandbox.requests][-2:] == [CONTINUATION, QUERY]
    assert run.status == 1
    (line,) = run.complaints
    assert "check the setting api_key" in line
    assert "token" not in line
    assert "refused the continuation token" not in run.errors
    assert run.records(STREAM) == []
    assert run.state in ({}, story.target.state)


def test_a_key_that_may_not_read_is_told_from_a_refused_token(story: Story) -> None:
    before = json.dumps(story.target.state)
    story.sandbox.faults.order("status", status=403, times=None)
    run = story.run(HOUR)
    assert run.status == 1
    (line,) = said(run)
    assert line.startswith(f"recent_measurements: POST {QUERY}: the API key may not read this")
    assert json.dumps(story.target.state) == before
    story.sandbox.faults.clear()
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]
    story.check()


def test_another_query_asks_for_the_whole_cache(story: Story) -> None:
    run = story.run(HOUR, qc_flags=True).check()
    assert story.asked == [QUERY]
    assert cache_start(story) == "2026-03-08T10:20:00.000Z"
    assert "the settings of the query have changed" in said(run)[0]
    story.run(HOUR, qc_flags=True).check()
    assert story.asked == [CONTINUATION]


@pytest.mark.parametrize(
    "settings",
    [
        {"output_frequency": "day"},
        {"qc_assessment": False},
        {"metric_select": "only no2*"},
        {"datasource_ids": ["one of them"]},
    ],
)
def test_a_token_belongs_to_its_query(story: Story, settings: dict[str, Any]) -> None:
    if "datasource_ids" in settings:
        (first, *_) = story.sandbox.world.visible(story.sandbox.clock.millis())
        settings = {"datasource_ids": [first.datasource_id]}
    story.run(MINUTE, **settings).check()
    assert story.asked == [QUERY]


def test_a_change_that_does_not_concern_the_query_keeps_the_token(story: Story) -> None:
    story.run(MINUTE, report_daily_limit=3, recover_gaps=False, lookback_days=0).check()
    assert story.asked == [CONTINUATION]


# New datasources


def test_a_new_datasource_has_the_cache_asked_again() -> None:
    # It is first subscribed at 11:00, nine hours into the day of the anchor.
    with Sandbox(
        seed=1, datasources=3, now=NOW, frozen=True, anchor="2026-03-10T02:00Z"
    ) as sandbox:
        story = Story(sandbox, settings={"lists_datasources": True})
        story.run().check()
        assert story.asked == [DATASOURCES, QUERY]
        story.run(HOUR).check()
        assert story.asked == [DATASOURCES, CONTINUATION]
        story.run(timedelta(0), lists_datasources=False).check()
        run = story.run(6 * HOUR).check()
        assert story.asked == [DATASOURCES, QUERY]
        assert cache_start(story) == "2026-03-08T16:20:00.000Z"
        assert "the list of datasources has changed" in said(run)[0]
        assert len({key[1] for key in story.target.table}) == 3
        story.check()
        story.run(HOUR).check()
        assert story.asked == [DATASOURCES, CONTINUATION]
        # Without the list, a run does not ask for it, and the token follows the subscriptions.
        story.run(HOUR, lists_datasources=False).check()
        assert story.asked == [CONTINUATION]
        story.run(HOUR).check()
        assert story.asked == [DATASOURCES, CONTINUATION]


def test_named_datasources_are_not_looked_up(story: Story) -> None:
    (first, *_) = story.sandbox.world.visible(story.sandbox.clock.millis())
    settings = {"lists_datasources": True, "datasource_ids": [first.datasource_id]}
    story.run(HOUR, **settings).check()
    story.run(HOUR, **settings).check()
    assert CONTINUATION in story.asked
    assert QUERY not in story.asked


# Holes


def test_a_hole_is_filled_by_one_report(story: Story) -> None:
    before = set(story.target.table)
    run = story.run(OUTAGE).check()
    assert story.asked == [QUERY, REPORT]
    (cache, report) = story.bodies
    assert cache["startTime"] == "2026-03-13T09:20:00.000Z"
    assert [report["startTime"], report["endTime"]] == [
        "2026-03-10T05:00:00.000Z",
        "2026-03-13T10:00:00.000Z",
    ]
    assert {name: report[name] for name in cache.keys() & report.keys() - {"startTime"}} == {
        name: cache[name] for name in cache.keys() & report.keys() - {"startTime"}
    }
    assert [line for line in said(run) if "Clarity is building" not in line] == [
        asks("the continuation token of 2026-03-10 09:20 UTC has expired", "2026-03-13 09:20"),
        f"{OPEN}: reports are to fill it",
        "recent_measurements: a report has filled 2026-03-10 05:00 to 2026-03-13 10:00 UTC",
    ]
    stand = story.target.stand
    assert (stand["holes"], stand["reports"]) == ([], [])
    assert (stand["requests_on"], stand["requests"]) == ("2026-03-15", 1)
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
        ((id_, *window),) = story.target.stand["reports"]
        assert window == HOLE
        waits = "recent_measurements: 2026-03-10 05:00 to 2026-03-13 10:00 UTC is still missing"
        assert any(line.startswith(waits) for line in said(run))
        run = story.run(HOUR).check()
        assert story.asked == [CONTINUATION]
        assert [*calls(sandbox, "GET", id_)]
        assert f"{OPEN}: reports are to fill it" in said(run)
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
        (0, 25, "Clarity grants no more reports today: "),
        (30, 0, "report_daily_limit (0) puts off reports: 1; they wait until it is raised"),
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
            assert f"{OPEN}: reports are to fill it" in said(run)
            assert any(says in line for line in said(run))
    with Sandbox(seed=1, datasources=3, now=sandbox.clock.now(), frozen=True) as richer:
        later = Story(richer, target=story.target)
        later.run(DAY - HOUR).check()
        assert later.asked == [CONTINUATION, REPORT]
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
    assert story.asked == [CONTINUATION, REPORT]
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
    story.target.stand["holes"].append(["2026-03-13T10:00Z", "2026-03-14T00:00Z"])
    story.run(HOUR, recover_gaps=False).check()
    assert story.holes == [[HOLE[0], "2026-03-14T00:00Z"]]


def test_a_failed_report_leaves_its_hole_and_says_so(story: Story) -> None:
    story.sandbox.faults.order("failed-report", path=REPORT, times=2, message="out of order")
    run = story.run(OUTAGE)
    assert run.status == 1
    assert story.asked == [QUERY, REPORT, REPORT]
    assert story.holes == [HOLE]
    story.run(HOUR).check()
    assert story.holes == []
    story.check()


# Formats


@pytest.mark.parametrize("frequency", CACHE)
def test_json_long_gives_the_same_records_without_the_source(frequency: Frequency) -> None:
    found = []
    for form in FORMATS:
        with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, recent_format=form) as sandbox:
            story = Story(sandbox, frequency)
            story.run().check()
            (asked,) = story.bodies
            assert asked["format"] == "csv-wide"
            found.append(story.target.table)
    json_long, csv_wide = found
    assert json_long == without_source(csv_wide)


def without_source(table: dict[Key, Record]) -> dict[Key, Record]:
    assert table
    return {key: row | {"source_id": None, "source_type": None} for key, row in table.items()}


def test_json_long_without_news_has_no_locations() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, recent_format="json-long") as sandbox:
        story = Story(sandbox)
        story.run().check()
        run = story.run(20 * SECOND).check()
        assert story.asked == [CONTINUATION]
        assert run.records(STREAM) == []
        run = story.run(2 * HOUR).check()
        assert story.asked == [CONTINUATION]
        assert run.records(STREAM)


def test_a_field_that_nobody_knows_is_no_matter(story: Story) -> None:
    extra = {"humour": "dry", "nested": {"a": [1]}}
    sandbox = story.sandbox
    (asked,) = story.bodies
    reply = Recent(sandbox.world, answer_format="json-long").query(asked, sandbox.clock.millis())
    document = json.loads(reply.whole_body()) | extra
    document["data"] = [each | extra for each in document["data"]]
    sandbox.faults.order("status", path=QUERY, status=200, body=json.dumps(document))
    strange = Story(sandbox)
    strange.run().check()
    assert strange.target.table == without_source(story.target.table)


# The clock


@pytest.mark.parametrize("minutes", [-14, 14])
@pytest.mark.parametrize(
    ("frequency", "outage"),
    [
        # Around the last hour for which the cache still has all, and beyond.
        ("minute", 25),
        ("hour", 43),
        ("hour", 44),
        ("hour", 50),
        ("day", 158),
        ("day", 159),
        ("day", 241),
    ],
)
def test_a_clock_that_is_some_minutes_off_loses_nothing(
    frequency: Frequency, outage: int, minutes: int
) -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox:
        story = Story(sandbox, frequency, settings={"clock_error": minutes * MINUTE})
        story.run().check()
        story.read_at[0] += max(minutes, 0) * MINUTE  # by its clock, the cache reaches back less
        story.run(outage * HOUR).check()
        assert len([path for path in story.asked if path != REPORT]) == 1
        story.check()


@pytest.mark.parametrize("days", [5, -5])
def test_a_clock_that_jumps_and_comes_back_loses_nothing(story: Story, days: int) -> None:
    run = story.run(HOUR, clock_error=days * DAY).check()
    assert "The clock of this machine is off by 5 days, 0:00:00: going by Clarity's" in said(run)
    # By Clarity's clock the token is still good.
    assert [path for path in story.asked if path != QUERY] == [CONTINUATION]
    assert len(story.asked) <= 2
    assert story.target.stand["covered_until"] == "2026-03-10T10:20Z"
    story.check()
    # The token is lost, too, and the outage is longer than the cache is deep.
    story.target.stand["continuation_token"] = None
    story.run(4 * DAY).check()
    story.check()
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]


def test_a_token_from_the_future_goes_on(story: Story) -> None:
    story.target.stand.update({"token_issued_at": "2026-03-12T00:00Z"})
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]
    assert story.target.stand["covered_until"] == "2026-03-10T10:20Z"
    story.check()


def test_a_clock_some_minutes_off_costs_no_request_more() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        env = {"TEST_CLOCK_SKEW": "-600"}
        first = run_tap(sandbox, streams=[STREAM], env=env).check()
        sandbox.clock.advance(HOUR)
        run_tap(sandbox, streams=[STREAM], env=env, state=first.state).check()
        assert [call["path"] for call in sandbox.requests] == [QUERY, CONTINUATION]


def test_without_a_date_the_local_clock_has_to_do(story: Story) -> None:
    with patch("tap_clarity.api.recent.parsedate_to_datetime", side_effect=ValueError):
        story.run(HOUR, clock_error=10 * MINUTE).check()
    assert story.target.stand["covered_until"] == "2026-03-10T10:30Z"
    story.check()


# State


def test_what_is_cleared_is_null_and_what_was_is_not_left_behind(story: Story) -> None:
    story.run(OUTAGE, report_wait_timeout=0).check()
    before = story.target.stand
    with patch.object(sandbox_recent, "TOKEN_HEADER", "x-nothing"):
        run = story.run(HOUR).check()
    after = run.state["bookmarks"][STREAM]
    assert after.keys() == before.keys()
    assert after["continuation_token"] is None
    assert merged(before, after) == after


def test_a_full_refresh_leaves_nothing_of_the_old_state_behind(story: Story) -> None:
    story.run(OUTAGE, report_wait_timeout=0).check()
    old = story.target.state
    assert old["bookmarks"][STREAM]["reports"]
    story.target.state = {}
    run = story.run(HOUR).check()
    assert story.asked == [QUERY]
    assert cache_start(story) == "2026-03-13T10:20:00.000Z"
    assert merged(old, run.state) == run.state


@pytest.mark.parametrize(
    "junk",
    [
        {"continuation_token": 7},
        {"token_issued_at": "yesterday"},
        {"covered_until": ["2026-03-10"]},
        {"holes": "all over"},
        {"reports": 7},
        {"requests_on": "someday"},
        {"requests": -1},
        {"fingerprint": {"a": 1}},
    ],
    ids=lambda junk: next(iter(junk)),
)
def test_junk_is_reported_and_taken_for_no_state(story: Story, junk: dict[str, Any]) -> None:
    story.target.stand.update(junk)
    run = story.run(HOUR).check()
    (line,) = lines(run, "WARNING")
    assert line.startswith("The state of recent_measurements is unusable (")
    assert line.endswith("): starting afresh")
    assert story.asked == [QUERY]
    assert cache_start(story) == "2026-03-08T10:20:00.000Z"
    story.check()
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]


def test_junk_in_one_stream_is_no_matter_to_the_others() -> None:
    streams = [STREAM, "datasource_measurements"]
    settings: dict[str, Any] = {"start_date": "2026-03-09", "metric_select": f"only {METRICS}*"}
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        first = run_tap(sandbox, streams=streams, **settings).check()
        first.state["bookmarks"][STREAM]["holes"] = 3
        sandbox.requests.clear()
        sandbox.clock.advance(HOUR)
        second = run_tap(sandbox, streams=streams, state=first.state, **settings).check()
    assert [call["path"] for call in sandbox.requests] == [QUERY]
    assert second.errors.count("is unusable") == 1
    assert (
        second.state["bookmarks"]["datasource_measurements"]
        == first.state["bookmarks"]["datasource_measurements"]
    )


def test_a_state_of_a_later_version_is_used_as_far_as_it_is_known(story: Story) -> None:
    story.target.stand.update({"version": 2, "mood": {"good": True}})
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]
    story.check()
