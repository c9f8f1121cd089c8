"""Streams run in order, and a failing stream does not affect the others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.errors import KeyRejectedError
from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import expected_records, received_requests, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.tap_process import Key, Record, TapRun

METRIC = "pm2_5ConcMass1HourMean"
START, END = "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"
METADATA = {
    "datasources": "datasource_id",
    "datasource_details": "datasource_id",
    "subscriptions": "subscription_id",
    "nodes": "node_id",
    "node_status_summaries": "node_id",
    "node_statuses": "node_id",
    "accessory_modules": "module_id",
}
MEASUREMENTS = (
    "recent_measurements",
    "datasource_measurements",
    "node_measurements",
    "reference_site_measurements",
)
STREAMS = (
    *("datasources", "datasource_details", "subscriptions", "nodes", "node_status_summaries"),
    *("node_statuses", "node_alarms", "accessory_modules", "metrics", *MEASUREMENTS),
)
PARENTS = {"datasource_details": "datasources", "node_statuses": "nodes", "node_alarms": "nodes"}
PATHS = {
    "datasources": "/v2/datasources",
    "datasource_details": "/v2/datasources/*",
    "subscriptions": "/v2/subscriptions",
    "nodes": "/v2/devices/nodes",
    "node_status_summaries": "/v2/devices/nodes/status-summary",
    "node_statuses": "/v2/devices/nodes/*/status",
    "node_alarms": "/v2/devices/nodes/*/alarms",
    "accessory_modules": "/v2/devices/accessory-modules",
    "recent_measurements": "/v2/recent-*",
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=3, datasources=7, now=NOW, frozen=True, report_seconds=0) as running:
        yield running


def settings_for(sandbox: Sandbox) -> dict[str, Any]:
    """Name all ids, so that no stream needs what another one looks up."""
    now = sandbox.clock.now()
    return {
        "start_date": START,
        "end_date": END,
        "metric_select": f"only {METRIC}",
        "node_ids": sandbox.expected.node_ids(now),
        "reference_site_ids": sandbox.expected.reference_site_ids(now),
    }


def check_records(sandbox: Sandbox, run: TapRun, streams: Iterable[str]) -> None:
    """Compare what streams have written with the world."""
    start_time = datetime.fromisoformat(NOW)
    for stream in streams:
        if stream in METADATA:
            ids = [record[METADATA[stream]] for record in run.records(stream)]
            expected = sandbox.expected.records(stream, start_time)
            assert ids == [each[METADATA[stream]] for each in expected], stream
        elif stream in MEASUREMENTS:
            assert run.upserted(stream) == expected_measurements(sandbox, stream), stream
        else:
            assert run.records(stream), stream


def expected_measurements(sandbox: Sandbox, stream: str) -> dict[Key, Record]:
    data, now = sandbox.expected, sandbox.clock.now()
    if stream == "recent_measurements":
        expected = data.measurements("hour", now - timedelta(hours=48), now, now)
    elif stream == "datasource_measurements":
        expected = data.measurements("hour", START, END, now)
    else:
        ids = data.node_ids if stream == "node_measurements" else data.reference_site_ids
        expected = data.measurements_of_sources("hour", START, END, now, ids(now))
    id_field = {
        "node_measurements": "node_id",
        "reference_site_measurements": "reference_site_id",
    }.get(stream, "datasource_id")
    return expected_records((each for each in expected if each.metric == METRIC), id_field)


def test_metadata_come_first_then_recent_measurements_then_reports(sandbox: Sandbox) -> None:
    run = run_tap(sandbox, streams=STREAMS, **settings_for(sandbox)).check()
    check_records(sandbox, run, STREAMS)
    paths = [request["path"] for request in sandbox.requests]
    assert paths[0] == "/v2/datasources"
    stages = [stage_number(path) for path in paths]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1, 2}
    schemas = dict.fromkeys(m["stream"] for m in run.messages if m["type"] == "SCHEMA")
    assert next(iter(schemas)) == "datasources"
    assert [name for name in schemas if name not in PARENTS] == [
        name for name in STREAMS if name not in PARENTS
    ]


def stage_number(path: str) -> int:
    if path.startswith(("/v2/datasources", "/v2/devices", "/v2/subscriptions")):
        return 0
    return 1 if path.startswith("/v2/recent") else 2


def test_lists_needed_by_several_streams_are_requested_once(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox) | {"node_ids": None, "reference_site_ids": None}
    run = run_tap(sandbox, streams=STREAMS, **settings).check()
    check_records(sandbox, run, MEASUREMENTS)
    paths = [request["path"] for request in sandbox.requests]
    assert paths.count("/v2/datasources") == paths.count("/v2/devices/nodes") == 1


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("stream", PATHS)
def test_failure_of_one_stream_does_not_affect_the_others(
    sandbox: Sandbox, stream: str, status: int
) -> None:
    sandbox.faults.inject("status", path=PATHS[stream], times=None, status=status)
    run = run_in_process(sandbox, streams=STREAMS, **settings_for(sandbox))
    assert run.status == 1
    (error_line,) = run.error_lines
    assert error_line.startswith(f"{stream}: ")
    assert f"HTTP {status}" in error_line
    failed_streams = {stream, *(child for child, parent in PARENTS.items() if parent == stream)}
    check_records(sandbox, run, (name for name in STREAMS if name not in failed_streams))
    for name in failed_streams:
        assert not run.records(name)


@pytest.mark.parametrize(
    ("stream", "setting", "value"),
    [
        ("node_measurements", "node_ids", ["A0000000"]),
        ("reference_site_measurements", "reference_site_ids", ["R0000000"]),
    ],
)
def test_rejected_report_does_not_affect_the_others(
    sandbox: Sandbox, stream: str, setting: str, value: list[str]
) -> None:
    run = run_in_process(sandbox, streams=STREAMS, **settings_for(sandbox) | {setting: value})
    assert run.status == 1
    (error_line,) = run.error_lines
    assert error_line.startswith(f"{stream}: report request for ")
    assert " was rejected: POST /v2/report-requests: " in error_line
    assert "the ids in the settings (HTTP 403" in error_line
    check_records(sandbox, run, (name for name in STREAMS if name != stream))
    assert not run.records(stream)


def test_rejected_first_report_does_not_affect_later_ones(sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", path="/v2/report-requests", status=400)
    run = run_in_process(sandbox, streams=STREAMS, **settings_for(sandbox))
    assert run.status == 1
    (error_line,) = run.error_lines
    assert error_line.startswith("datasource_measurements: report request for ")
    check_records(sandbox, run, (name for name in STREAMS if name != "datasource_measurements"))


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("stream", ["datasource_details", "node_statuses"])
def test_rejected_parent_does_not_affect_the_others(
    sandbox: Sandbox, stream: str, status: int
) -> None:
    key = METADATA[stream]
    ids = [each[key] for each in sandbox.expected.records(stream, sandbox.clock.now())]
    sandbox.faults.inject("status", path=PATHS[stream].replace("*", ids[2]), status=status)
    run = run_in_process(sandbox, streams=[PARENTS[stream], stream])
    assert run.status == 1
    (error_line,) = run.error_lines
    assert error_line.startswith(f"{stream}: GET {PATHS[stream].replace('*', ids[2])}: ")
    assert [record[key] for record in run.records(stream)] == [*ids[:2], *ids[3:]]


@pytest.mark.parametrize(("given", "status"), [({"api_key": "x"}, 401), ({"org": "x"}, 403)])
def test_wrong_key_or_org_ends_the_run_with_one_line(
    sandbox: Sandbox, given: dict[str, str], status: int
) -> None:
    start_time = sandbox.clock.now()
    run = run_tap(sandbox, streams=STREAMS, **settings_for(sandbox) | given)
    assert run.status == 1
    (error_line,) = run.error_lines
    assert error_line.startswith("GET /v2/datasources: ")
    assert f"(HTTP {status}, " in error_line
    assert len(sandbox.requests) == 1
    assert sandbox.clock.now() == start_time
    assert not [message for message in run.messages if message["type"] == "RECORD"]


def test_key_revoked_during_a_run_loses_no_data_read_before(
    sandbox: Sandbox,
) -> None:
    streams = ["datasources", "recent_measurements", "datasource_measurements"]
    sandbox.faults.inject("status", path="/v2/report-requests", times=None, status=401)
    first = run_tap(sandbox, streams=streams, **settings_for(sandbox))
    assert first.status == 1
    (error_line,) = first.error_lines
    assert error_line.startswith("POST /v2/report-requests: ")
    check_records(sandbox, first, streams[:2])
    sandbox.faults.clear()
    sandbox.requests.clear()
    second = run_tap(sandbox, streams=streams, state=first.state, **settings_for(sandbox)).check()
    check_records(sandbox, second, ["datasources", "datasource_measurements"])
    assert [request["path"] for request in received_requests(sandbox, "POST")] == [
        "/v2/recent-datasource-measurements-continuation",
        "/v2/report-requests",
    ]


def test_no_request_is_sent_after_the_key_was_rejected(sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", path="/v2/datasources/*", times=None, status=401)
    with pytest.raises(KeyRejectedError):
        run_in_process(sandbox, streams=STREAMS)
    assert {request["path"].count("/") for request in sandbox.requests} == {2, 3}
    assert not list(received_requests(sandbox, "POST"))
