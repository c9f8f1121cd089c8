"""The recent measurements: requests, log lines, fallback to the cache, clock skew, and state."""

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
from tests.support.recovery.harness import (
    CACHE,
    CONTINUATION,
    DATASOURCES,
    METRICS,
    QUERY,
    REPORT,
    STREAM,
    Frequency,
    RecoveryScenario,
    cache_query_message,
    log_lines,
    merge_states,
    tap_log_lines,
)
from tests.support.tap_process import received_requests, run_tap

if TYPE_CHECKING:
    from tests.support.tap_process import Key, Record

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OUTAGE = 5 * DAY


def cache_start(scenario: RecoveryScenario) -> str:
    """What the last run asked the cache for."""
    start: str = next(received_requests(scenario.sandbox, "POST", QUERY))["body"]["startTime"]
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


def test_empty_response_renews_the_token(scenario: RecoveryScenario) -> None:
    before = scenario.target.bookmark["continuation_token"]
    empty_run = scenario.run(20 * SECOND).check()
    assert empty_run.records(STREAM) == []
    assert scenario.target.bookmark["continuation_token"] != before
    # A day and ten seconds after the first run, only the renewed one is good.
    scenario.run(DAY - 10 * SECOND).check()
    assert scenario.requested_paths == [CONTINUATION, QUERY]
    scenario.check()


def test_hourly_runs_read_everything_once_except_for_one_query_per_day(
    scenario: RecoveryScenario,
) -> None:
    read_count = len(scenario.target.table)
    for hour in range(10, 33):
        written_count = len(scenario.run(HOUR).check().records(STREAM))
        assert scenario.requested_paths == [CONTINUATION, *[QUERY] * (hour == 24)]
        if hour == 24:
            assert cache_start(scenario) == "2026-03-10T05:00:00.000Z"
        else:
            read_count += written_count
        assert len(scenario.target.table) >= read_count
    repeated_count = len(scenario.target.table) - read_count
    assert 0 < repeated_count < 4 * 24
    scenario.check()


# Falling back to the cache


@pytest.mark.parametrize(
    "patch_token",
    [
        patch.object(sandbox_recent, "TOKEN_HEADER", "x-nothing"),
        patch.object(tokens, "encode", lambda *_: ""),
    ],
    ids=["no header", "an empty one"],
)
def test_response_without_a_token_loses_no_data(
    scenario: RecoveryScenario,
    patch_token: Any,  # noqa: ANN401
) -> None:
    with patch_token:
        run = scenario.run(HOUR).check()
    assert log_lines(run, "WARNING") == [
        "Clarity sent no continuation token; the next run asks its cache"
    ]
    assert scenario.target.bookmark["continuation_token"] is None
    run = scenario.run(HOUR).check()
    assert scenario.requested_paths == [QUERY]
    assert cache_start(scenario) == "2026-03-10T06:00:00.000Z"
    assert tap_log_lines(run) == [
        cache_query_message("there is no continuation token", "2026-03-10 06:00")
    ]
    scenario.check()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_rejected_token_falls_back_to_the_cache(status: int) -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, token_refusal=status) as sandbox:
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        scenario.target.bookmark.update(continuation_token="worn out")  # noqa: S106 - a token's place
        run = scenario.run(HOUR).check()
        assert scenario.requested_paths == [CONTINUATION, QUERY]
        assert [call["status"] for call in received_requests(sandbox, "POST")] == [status, 200]
        assert cache_start(scenario) == "2026-03-10T05:00:00.000Z"
        assert tap_log_lines(run) == [
            cache_query_message("Clarity has refused the continuation token", "2026-03-10 05:00")
        ]
        scenario.run(HOUR).check()
        assert scenario.requested_paths == [CONTINUATION]
        scenario.check()


def test_rejected_key_is_distinguished_from_rejected_token(scenario: RecoveryScenario) -> None:
    run = run_tap(
        scenario.sandbox,
        streams=[STREAM],
        state=scenario.target.state,
        metric_select=f"only {METRICS}*",
        api_key="another",
    )
    assert [call["path"] for call in scenario.sandbox.requests][-2:] == [CONTINUATION, QUERY]
    assert run.status == 1
    (line,) = run.error_lines
    assert "check the setting api_key" in line
    assert "token" not in line
    assert "refused the continuation token" not in run.errors
    assert run.records(STREAM) == []
    assert run.state in ({}, scenario.target.state)


def test_key_without_permission_is_distinguished_from_rejected_token(
    scenario: RecoveryScenario,
) -> None:
    before = json.dumps(scenario.target.state)
    scenario.sandbox.faults.inject("status", status=403, times=None)
    run = scenario.run(HOUR)
    assert run.status == 1
    (line,) = tap_log_lines(run)
    assert line.startswith(f"recent_measurements: POST {QUERY}: the API key may not read this")
    assert json.dumps(scenario.target.state) == before
    scenario.sandbox.faults.clear()
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]
    scenario.check()


def test_changed_query_reads_the_whole_cache(scenario: RecoveryScenario) -> None:
    run = scenario.run(HOUR, qc_flags=True).check()
    assert scenario.requested_paths == [QUERY]
    assert cache_start(scenario) == "2026-03-08T10:35:00.000Z"
    assert "the settings of the query have changed" in tap_log_lines(run)[0]
    scenario.run(HOUR, qc_flags=True).check()
    assert scenario.requested_paths == [CONTINUATION]


@pytest.mark.parametrize(
    "settings",
    [
        {"output_frequency": "day"},
        {"qc_assessment": False},
        {"metric_select": "only no2*"},
        {"datasource_ids": ["one of them"]},
    ],
)
def test_token_of_another_query_is_not_used(
    scenario: RecoveryScenario, settings: dict[str, Any]
) -> None:
    if "datasource_ids" in settings:
        (first, *_) = scenario.sandbox.world.visible(scenario.sandbox.clock.millis())
        settings = {"datasource_ids": [first.datasource_id]}
    scenario.run(MINUTE, **settings).check()
    assert scenario.requested_paths == [QUERY]


def test_setting_unrelated_to_the_query_keeps_the_token(scenario: RecoveryScenario) -> None:
    scenario.run(MINUTE, report_daily_limit=3, recover_gaps=False, lookback_days=0).check()
    assert scenario.requested_paths == [CONTINUATION]


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
        scenario = RecoveryScenario(sandbox, settings={"select_datasources": is_listed})
        scenario.run().check()
        assert scenario.requested_paths == [QUERY]
        scenario.run(HOUR).check()
        assert (scenario.has_read_list, scenario.requested_paths) == (True, [CONTINUATION])
        scenario.run(timedelta(0), select_datasources=False).check()
        run = scenario.run(6 * HOUR).check()
        assert (scenario.has_read_list, scenario.requested_paths) == (True, [QUERY])
        assert cache_start(scenario) == "2026-03-08T16:35:00.000Z"
        assert "the list of datasources has changed" in tap_log_lines(run)[0]
        assert len({key[1] for key in scenario.target.table}) == 3
        scenario.check()
        scenario.run(HOUR).check()
        assert (scenario.has_read_list, scenario.requested_paths) == (True, [CONTINUATION])
        # The other streams that are selected make no difference.
        scenario.run(HOUR, select_datasources=not is_listed).check()
        assert (scenario.has_read_list, scenario.requested_paths) == (True, [CONTINUATION])
        scenario.run(HOUR).check()
        assert (scenario.has_read_list, scenario.requested_paths) == (True, [CONTINUATION])


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_list_of_datasources_that_cannot_be_read_is_no_failure(status: int) -> None:
    with Sandbox(**NEW_AT) as sandbox:
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        known = scenario.target.bookmark["datasources"]
        sandbox.faults.inject("status", path=DATASOURCES, status=status, times=None)
        run = scenario.run(7 * HOUR).check()
        assert "the list of datasources cannot be read: GET /v2/datasources: " in run.errors
        assert next(received_requests(sandbox, "POST"))["path"] == CONTINUATION
        assert scenario.target.bookmark["datasources"] == known
        sandbox.faults.clear()
        run = scenario.run(MINUTE).check()
        assert "the list of datasources has changed" in tap_log_lines(run)[0]
        assert scenario.target.bookmark["datasources"] != known
        scenario.check()


def test_a_list_of_which_a_page_is_missing_is_no_list() -> None:
    """Its other datasources would seem to be gone, and be new in the next run."""
    with Sandbox(**NEW_AT) as sandbox:
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        known = scenario.target.bookmark["datasources"]
        part = {"datasources": [{"datasourceId": "DSALT0001"}], "hasMore": True}
        sandbox.faults.inject("status", path=DATASOURCES, status=200, body=json.dumps(part))
        scenario.run(HOUR).check()
        assert scenario.requested_paths == [CONTINUATION]
        assert scenario.target.bookmark["datasources"] == known


def test_named_datasources_are_not_looked_up(scenario: RecoveryScenario) -> None:
    (first, *_) = scenario.sandbox.world.visible(scenario.sandbox.clock.millis())
    settings = {"select_datasources": True, "datasource_ids": [first.datasource_id]}
    scenario.run(HOUR, **settings).check()
    scenario.run(HOUR, **settings).check()
    assert CONTINUATION in scenario.requested_paths
    assert QUERY not in scenario.requested_paths
    scenario.run(HOUR, **settings | {"select_datasources": False}).check()
    assert (scenario.has_read_list, scenario.requested_paths) == (False, [CONTINUATION])


# Formats


@pytest.mark.parametrize("frequency", CACHE)
def test_json_long_gives_the_same_records_without_the_source(frequency: Frequency) -> None:
    found = []
    for answer_format in FORMATS:
        with Sandbox(
            seed=1, datasources=3, now=NOW, frozen=True, recent_format=answer_format
        ) as sandbox:
            scenario = RecoveryScenario(sandbox, frequency)
            scenario.run().check()
            (query,) = scenario.request_bodies
            assert query["format"] == "csv-wide"
            found.append(scenario.target.table)
    json_long, csv_wide = found
    assert json_long == without_source(csv_wide)


def without_source(table: dict[Key, Record]) -> dict[Key, Record]:
    assert table
    return {key: row | {"source_id": None, "source_type": None} for key, row in table.items()}


def test_empty_json_long_response_has_no_locations() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, recent_format="json-long") as sandbox:
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        run = scenario.run(20 * SECOND).check()
        assert scenario.requested_paths == [CONTINUATION]
        assert run.records(STREAM) == []
        run = scenario.run(2 * HOUR).check()
        assert scenario.requested_paths == [CONTINUATION]
        assert run.records(STREAM)


def test_unknown_field_is_ignored(scenario: RecoveryScenario) -> None:
    extra = {"humour": "dry", "nested": {"a": [1]}}
    sandbox = scenario.sandbox
    (query,) = scenario.request_bodies
    emulator = RecentMeasurements(sandbox.world, forced_format="json-long")
    response = emulator.query(query, sandbox.clock.millis())
    document = json.loads(response.whole_body()) | extra
    document["data"] = [each | extra for each in document["data"]]
    sandbox.faults.inject("status", path=QUERY, status=200, body=json.dumps(document))
    other = RecoveryScenario(sandbox)
    other.run().check()
    assert other.target.table == without_source(scenario.target.table)


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
def test_clock_skew_of_minutes_loses_no_data(
    frequency: Frequency, outage: int, minutes: int
) -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox:
        scenario = RecoveryScenario(sandbox, frequency, settings={"clock_error": minutes * MINUTE})
        scenario.run().check()
        scenario.read_at[0] += (
            minutes * MINUTE
        )  # by its clock, the cache reaches back less, or more
        scenario.run(outage * HOUR).check()
        assert len([path for path in scenario.requested_paths if path != REPORT]) == 1
        scenario.check()


@pytest.mark.parametrize("days", [5, -5])
def test_clock_jump_and_return_loses_no_data(scenario: RecoveryScenario, days: int) -> None:
    run = scenario.run(HOUR, clock_error=days * DAY).check()
    assert (
        "The clock of this machine is off by 5 days, 0:00:00: going by Clarity's"
        in tap_log_lines(run)
    )
    # By Clarity's clock the token is still good.
    assert [path for path in scenario.requested_paths if path != QUERY] == [CONTINUATION]
    assert len(scenario.requested_paths) <= 2
    assert scenario.target.bookmark["covered_until"] == "2026-03-10T10:20Z"
    scenario.check()
    # The token is lost, too, and the outage is longer than the cache is deep.
    scenario.target.bookmark["continuation_token"] = None
    scenario.run(4 * DAY).check()
    scenario.check()
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]


def test_token_issued_in_the_future_is_continued(scenario: RecoveryScenario) -> None:
    scenario.target.bookmark.update({"token_issued_at": "2026-03-12"})
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]
    assert scenario.target.bookmark["covered_until"] == "2026-03-10T10:20Z"
    scenario.check()


def test_clock_skew_of_minutes_needs_no_additional_request() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        env = {"TEST_CLOCK_SKEW": "-600"}
        first = run_tap(sandbox, streams=[STREAM], env=env).check()
        sandbox.clock.advance(HOUR)
        run_tap(sandbox, streams=[STREAM], env=env, state=first.state).check()
        paths = [call["path"] for call in sandbox.requests]
        assert paths == [DATASOURCES, QUERY, DATASOURCES, CONTINUATION]


def test_without_date_header_the_local_clock_is_used(scenario: RecoveryScenario) -> None:
    with patch("tap_clarity.api.recent_responses.parsedate_to_datetime", side_effect=ValueError):
        scenario.run(HOUR, clock_error=10 * MINUTE).check()
    assert scenario.target.bookmark["covered_until"] == "2026-03-10T10:30Z"
    scenario.check()


# State


def test_cleared_state_keys_are_null_after_a_merge(scenario: RecoveryScenario) -> None:
    scenario.run(OUTAGE, report_wait_timeout=0).check()
    before = scenario.target.bookmark
    with patch.object(sandbox_recent, "TOKEN_HEADER", "x-nothing"):
        run = scenario.run(HOUR).check()
    after = run.state["bookmarks"][STREAM]
    assert after.keys() == before.keys()
    assert after["continuation_token"] is None
    assert merge_states(before, after) == after


def test_full_refresh_removes_the_old_state(scenario: RecoveryScenario) -> None:
    scenario.run(OUTAGE, report_wait_timeout=0).check()
    old = scenario.target.state
    assert old["bookmarks"][STREAM]["reports"]
    scenario.target.state = {}
    run = scenario.run(HOUR).check()
    assert scenario.requested_paths == [QUERY]
    assert cache_start(scenario) == "2026-03-13T10:35:00.000Z"
    assert merge_states(old, run.state) == run.state


@pytest.mark.parametrize(
    "malformed",
    [
        {"continuation_token": 7},
        {"token_issued_at": "yesterday"},
        {"covered_until": ["2026-03-10"]},
        {"gaps": "all over"},
        {"reports": 7},
        {"requests": ["2026-03-10", -1]},
        {"fingerprint": {"a": 1}},
    ],
    ids=lambda malformed: next(iter(malformed)),
)
def test_malformed_state_is_reported_and_ignored(
    scenario: RecoveryScenario, malformed: dict[str, Any]
) -> None:
    scenario.target.bookmark.update(malformed)
    run = scenario.run(HOUR).check()
    (line,) = log_lines(run, "WARNING")
    assert line.startswith("State of recent_measurements is unusable: ")
    assert line.endswith("; starting without state")
    assert scenario.requested_paths == [QUERY]
    assert cache_start(scenario) == "2026-03-08T10:35:00.000Z"
    scenario.check()
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]


def test_malformed_state_of_one_stream_does_not_affect_the_others() -> None:
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


def test_unknown_keys_of_a_newer_state_are_ignored(scenario: RecoveryScenario) -> None:
    scenario.target.bookmark.update({"version": 2, "mood": {"good": True}})
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]
    scenario.check()
