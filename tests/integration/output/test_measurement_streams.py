"""Measurement streams: records equal the expected data in each frequency and layout."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.constants import NOW
from tests.support.recovery.harness import CACHE, Frequency
from tests.support.tap_process import expected_records, received_requests, run_tap, upsert

if TYPE_CHECKING:
    from tap_clarity.sandbox import Sandbox


@pytest.mark.parametrize("frequency", CACHE)
def test_recent_measurements_equal_expected_data(sandbox: Sandbox, frequency: Frequency) -> None:
    now = sandbox.clock.now()
    run = run_tap(
        sandbox, streams=["recent_measurements"], output_frequency=frequency, metric_select="all"
    ).check()
    expected = sandbox.expected.measurements(frequency, now - CACHE[frequency], now, now)
    assert run.upserted("recent_measurements") == expected_records(expected)
    assert len(run.records("recent_measurements")) == len(run.upserted("recent_measurements"))


@pytest.mark.parametrize("frequency", CACHE)
def test_report_measurements_equal_expected_data(sandbox: Sandbox, frequency: Frequency) -> None:
    start, end = "2026-02-22", "2026-02-24T06:00Z"
    run = run_tap(
        sandbox,
        streams=["datasource_measurements"],
        output_frequency=frequency,
        start_date=start,
        end_date=end,
        qc_flags=True,
        metric_select="all",
    ).check()
    expected = sandbox.expected.measurements(
        frequency,
        datetime(2026, 2, 22, tzinfo=UTC),
        datetime(2026, 2, 24, 6, tzinfo=UTC),
        sandbox.clock.now(),
    )
    assert run.upserted("datasource_measurements") == expected_records(expected, qc_flags=True)
    assert len(run.records("datasource_measurements")) == len(
        run.upserted("datasource_measurements")
    )


def test_second_run_requests_only_new_data(sandbox: Sandbox) -> None:
    streams = ["recent_measurements", "datasource_measurements"]
    start_time = sandbox.clock.now()
    settings: dict[str, Any] = {"start_date": "2026-03-09", "metric_select": "all"}
    first = run_tap(sandbox, streams=streams, **settings).check()
    sandbox.requests.clear()
    sandbox.clock.advance(4 * 3600)
    second = run_tap(sandbox, streams=streams, state=first.state, **settings).check()
    assert [r["path"] for r in sandbox.requests] == [
        "/v2/datasources",
        "/v2/recent-datasource-measurements-continuation",
    ]
    assert second.records("datasource_measurements") == []
    table = upsert(first.upserted("recent_measurements"), second, "recent_measurements")
    now = sandbox.clock.now()
    # What was read first and recalibrated since is the reports' business: leave that aside.
    expected = expected_records(
        sandbox.expected.measurements("hour", start_time - timedelta(hours=48), now, now)
    )
    assert table.keys() == expected.keys()


def test_new_slot_reads_the_lookback_again(sandbox: Sandbox) -> None:
    streams = ["datasource_measurements"]
    settings: dict[str, Any] = {"start_date": "2026-03-05", "metric_select": "all"}
    first = run_tap(sandbox, streams=streams, **settings).check()
    sandbox.clock.advance(24 * 3600)
    sandbox.requests.clear()
    second = run_tap(sandbox, streams=streams, state=first.state, **settings).check()
    (request,) = received_requests(sandbox, "POST", "/v2/report-requests")
    assert request["body"]["startTime"] == "2026-03-07T00:00:00.000Z"
    assert request["body"]["endTime"] == "2026-03-11T09:00:00.000Z"
    table = upsert(first.upserted("datasource_measurements"), second, "datasource_measurements")
    now = sandbox.clock.now()
    again, end = datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 3, 11, 9, tzinfo=UTC)
    expected = expected_records(sandbox.expected.measurements("hour", again, end, now))
    assert {key: table[key] for key in table if key[-1] >= "2026-03-07"} == expected
    assert min(key[-1] for key in table) == "2026-03-05T00:00:00.000Z"


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_sdk_writer_gives_the_same_output(sandbox: Sandbox, layout: str) -> None:
    streams = ["recent_measurements", "datasource_measurements"]
    settings: dict[str, Any] = {"start_date": "2026-03-08", "measurement_layout": layout}
    fast = run_tap(sandbox, streams=streams, **settings).check()
    sandbox.clock.set(NOW)
    settings |= {"stream_maps": {stream: {"org": "org"} for stream in streams}}
    reference = run_tap(sandbox, streams=streams, **settings).check()
    for stream in streams:
        assert reference.records(stream) == fast.records(stream)
        assert keys_of(reference.schemas(stream)) == keys_of(fast.schemas(stream))
        assert reference.metric("record_count", stream) == fast.metric("record_count", stream)
        assert fast.metric("record_count", stream) == len(fast.records(stream)) > 0
    assert reference.state["bookmarks"].keys() == fast.state["bookmarks"].keys()
    assert (
        reference.state["bookmarks"]["datasource_measurements"]
        == fast.state["bookmarks"]["datasource_measurements"]
    )


def keys_of(schemas: list[Any]) -> list[Any]:
    """The map costs the mapped property its description: leave those aside."""
    return [(schema["key_properties"], schema["schema"]["properties"].keys()) for schema in schemas]
