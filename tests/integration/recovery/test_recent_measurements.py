"""The recent measurements through the wire: what is asked and said, and that nothing is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api import recent as sandbox_recent
from tap_clarity.sandbox.api import tokens
from tap_clarity.sandbox.api.recent import FORMATS, RecentMeasurements
from tests.support.constants import NOW
from tests.support.recovery_harness import (
    CACHE,
    CONTINUATION,
    DATASOURCES,
    METRICS,
    QUERY,
    REPORT,
    STREAM,
    Frequency,
    Story,
    asks,
    lines,
    merged,
    said,
)
from tests.support.tap_process import calls, run_tap

if TYPE_CHECKING:
    from tests.support.tap_process import Key, Record

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = 5 * DAY


def cache_start(story: Story) -> str:
    """What the last run asked the cache for."""
    start: str = next(calls(story.sandbox, "POST", QUERY))["body"]["startTime"]
    return start


# Going on


def test_in_the_steady_state_a_run_is_one_request_after_the_list_of_datasources() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        first = run_tap(sandbox, streams=[STREAM]).check()
        assert [call["path"] for call in sandbox.requests] == [DATASOURCES, QUERY]
        sandbox.clock.advance(HOUR)
        sandbox.requests.clear()
        run_tap(sandbox, streams=[STREAM], state=first.state).check()
        listing, call = sandbox.requests
    assert (listing["method"], listing["path"]) == ("GET", DATASOURCES)
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
    assert story.asked == [CONTINUATION, QUERY]
    story.check()


def test_hourly_runs_read_everything_once_but_for_one_query_a_day(story: Story) -> None:
    read = len(story.target.table)
    for hour in range(10, 33):
        written = len(story.run(HOUR).check().records(STREAM))
        assert story.asked == [CONTINUATION, *[QUERY] * (hour == 24)]
        if hour == 24:
            assert cache_start(story) == "2026-03-10T05:00:00.000Z"
        else:
            read += written
        assert len(story.target.table) >= read
    repeated = len(story.target.table) - read
    assert 0 < repeated < 4 * 24
    story.check()


# Falling back to the cache


@pytest.mark.parametrize(
    "without",
    [
        patch.object(sandbox_recent, "TOKEN_HEADER", "x-nothing"),
        patch.object(tokens, "encode", lambda *_: ""),
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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_a_refused_token_falls_back_to_the_cache(status: int) -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, token_refusal=status) as sandbox:
        story = Story(sandbox)
        story.run().check()
        story.target.stand.update(continuation_token="worn out")  # noqa: S106 - a token's place
        run = story.run(HOUR).check()
        assert story.asked == [CONTINUATION, QUERY]
        assert [call["status"] for call in calls(sandbox, "POST")] == [status, 200]
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
    story.sandbox.faults.inject("status", status=403, times=None)
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
    assert cache_start(story) == "2026-03-08T10:35:00.000Z"
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


NEW_AT: dict[str, Any] = {
    "seed": 1,
    "datasources": 3,
    "now": NOW,
    "frozen": True,
    "anchor": "2026-03-10T02:00Z",
}
"""A datasource is first subscribed at 11:00, nine hours into the day of the anchor."""


@pytest.mark.parametrize("is_listed", [False, True], ids=["recent only", "with datasources"])
def test_a_new_datasource_has_the_cache_asked_again(*, is_listed: bool) -> None:
    with Sandbox(**NEW_AT) as sandbox:
        story = Story(sandbox, settings={"lists_datasources": is_listed})
        story.run().check()
        assert story.asked == [QUERY]
        story.run(HOUR).check()
        assert (story.has_read_list, story.asked) == (True, [CONTINUATION])
        story.run(timedelta(0), lists_datasources=False).check()
        run = story.run(6 * HOUR).check()
        assert (story.has_read_list, story.asked) == (True, [QUERY])
        assert cache_start(story) == "2026-03-08T16:35:00.000Z"
        assert "the list of datasources has changed" in said(run)[0]
        assert len({key[1] for key in story.target.table}) == 3
        story.check()
        story.run(HOUR).check()
        assert (story.has_read_list, story.asked) == (True, [CONTINUATION])
        # The other streams that are selected make no difference.
        story.run(HOUR, lists_datasources=not is_listed).check()
        assert (story.has_read_list, story.asked) == (True, [CONTINUATION])
        story.run(HOUR).check()
        assert (story.has_read_list, story.asked) == (True, [CONTINUATION])


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_list_of_datasources_that_cannot_be_read_is_no_failure(status: int) -> None:
    with Sandbox(**NEW_AT) as sandbox:
        story = Story(sandbox)
        story.run().check()
        known = story.target.stand["datasources"]
        sandbox.faults.inject("status", path=DATASOURCES, status=status, times=None)
        run = story.run(7 * HOUR).check()
        assert "the list of datasources cannot be read: GET /v2/datasources: " in run.errors
        assert next(calls(sandbox, "POST"))["path"] == CONTINUATION
        assert story.target.stand["datasources"] == known
        sandbox.faults.clear()
        run = story.run(MINUTE).check()
        assert "the list of datasources has changed" in said(run)[0]
        assert story.target.stand["datasources"] != known
        story.check()


def test_a_list_of_which_a_page_is_missing_is_no_list() -> None:
    """Its other datasources would seem to be gone, and be new in the next run."""
    with Sandbox(**NEW_AT) as sandbox:
        story = Story(sandbox)
        story.run().check()
        known = story.target.stand["datasources"]
        part = {"datasources": [{"datasourceId": "DSALT0001"}], "hasMore": True}
        sandbox.faults.inject("status", path=DATASOURCES, status=200, body=json.dumps(part))
        story.run(HOUR).check()
        assert story.asked == [CONTINUATION]
        assert story.target.stand["datasources"] == known


def test_named_datasources_are_not_looked_up(story: Story) -> None:
    (first, *_) = story.sandbox.world.visible(story.sandbox.clock.millis())
    settings = {"lists_datasources": True, "datasource_ids": [first.datasource_id]}
    story.run(HOUR, **settings).check()
    story.run(HOUR, **settings).check()
    assert CONTINUATION in story.asked
    assert QUERY not in story.asked
    story.run(HOUR, **settings | {"lists_datasources": False}).check()
    assert (story.has_read_list, story.asked) == (False, [CONTINUATION])


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
    emulator = RecentMeasurements(sandbox.world, forced_format="json-long")
    reply = emulator.query(asked, sandbox.clock.millis())
    document = json.loads(reply.whole_body()) | extra
    document["data"] = [each | extra for each in document["data"]]
    sandbox.faults.inject("status", path=QUERY, status=200, body=json.dumps(document))
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
        story.read_at[0] += minutes * MINUTE  # by its clock, the cache reaches back less, or more
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
    story.target.stand.update({"token_issued_at": "2026-03-12"})
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
        paths = [call["path"] for call in sandbox.requests]
        assert paths == [DATASOURCES, QUERY, DATASOURCES, CONTINUATION]


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
    assert cache_start(story) == "2026-03-13T10:35:00.000Z"
    assert merged(old, run.state) == run.state


@pytest.mark.parametrize(
    "junk",
    [
        {"continuation_token": 7},
        {"token_issued_at": "yesterday"},
        {"covered_until": ["2026-03-10"]},
        {"gaps": "all over"},
        {"reports": 7},
        {"requests": ["2026-03-10", -1]},
        {"fingerprint": {"a": 1}},
    ],
    ids=lambda junk: next(iter(junk)),
)
def test_junk_is_reported_and_taken_for_no_state(story: Story, junk: dict[str, Any]) -> None:
    story.target.stand.update(junk)
    run = story.run(HOUR).check()
    (line,) = lines(run, "WARNING")
    assert line.startswith("State of recent_measurements is unusable: ")
    assert line.endswith("; starting without state")
    assert story.asked == [QUERY]
    assert cache_start(story) == "2026-03-08T10:35:00.000Z"
    story.check()
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]


def test_junk_in_one_stream_is_no_matter_to_the_others() -> None:
    streams = [STREAM, "datasource_measurements"]
    settings: dict[str, Any] = {"start_date": "2026-03-09", "metric_select": f"only {METRICS}*"}
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        first = run_tap(sandbox, streams=streams, **settings).check()
        first.state["bookmarks"][STREAM]["gaps"] = 3
        sandbox.requests.clear()
        sandbox.clock.advance(HOUR)
        second = run_tap(sandbox, streams=streams, state=first.state, **settings).check()
    assert [call["path"] for call in sandbox.requests] == [DATASOURCES, QUERY]
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
