"""Each quirk where Clarity's documentation is inconsistent: records equal the expected data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.behavior.quirks import ALL, Quirk
from tests.support.constants import NOW
from tests.support.documented.discrepancies import JSON_QUIRKS, TAP_BEHAVIOR
from tests.support.recovery.harness import CACHE
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import expected_records, received_requests, run_tap, upsert

if TYPE_CHECKING:
    from tests.support.recovery.harness import Frequency
    from tests.support.tap_process import Json, Key, Record

METADATA = {
    "datasources": ("datasource_id",),
    "datasource_details": ("datasource_id",),
    "subscriptions": ("subscription_id",),
    "nodes": ("node_id",),
    "node_status_summaries": ("node_id",),
    "node_statuses": ("node_id",),
    "node_alarms": ("node_id", "alarm_type", "started_at"),
    "accessory_modules": ("module_id",),
}
MEASUREMENTS = (
    "recent_measurements",
    "datasource_measurements",
    "node_measurements",
    "reference_site_measurements",
)
START = datetime.fromisoformat("2026-03-09T00:00Z")
END = datetime.fromisoformat("2026-03-10T09:00Z")


@pytest.mark.parametrize("quirk", ["", *(quirk.label for quirk in Quirk), ALL])
def test_all_streams_equal_expected_data_with_each_quirk(quirk: str) -> None:
    quirks = {quirk} - {""}
    with Sandbox(seed=3, datasources=7, now=NOW, frozen=True, quirks=quirks) as sandbox:
        start_time = sandbox.clock.now()
        run = run_tap(
            sandbox,
            streams=[*METADATA, *MEASUREMENTS],
            start_date=START.isoformat(),
            metric_select="all",
            qc_flags=True,
        ).check()
        for stream, keys in METADATA.items():
            expected = sandbox.expected.records(stream, start_time)
            assert by_key(run.records(stream), keys) == by_key(expected, keys), stream
        for stream, records in expected_measurements(sandbox, start_time).items():
            assert run.upserted(stream) == records, stream


@pytest.mark.parametrize(
    ("quirk", "frequency"),
    [
        *((quirk.label, "hour") for quirk in JSON_QUIRKS),
        *((quirk, frequency) for quirk in ("", ALL) for frequency in CACHE),
    ],
)
def test_recent_measurements_equal_expected_data_if_clarity_sends_json(
    quirk: str, frequency: Frequency
) -> None:
    """The tap asks for CSV, but reads what comes; some disagreements are about JSON only."""
    quirks = {quirk} - {""}
    with Sandbox(
        seed=3, datasources=2, now=NOW, frozen=True, quirks=quirks, recent_format="json-long"
    ) as sandbox:
        start = sandbox.clock.now() - CACHE[frequency]
        loaded: dict[Key, Record] = {}
        expected: dict[Key, Record] = {}
        state: Json = None
        for seconds in (0, 7200, 0):  # the last answer is empty
            sandbox.clock.advance(seconds)
            run = run_in_process(
                sandbox,
                streams=["recent_measurements"],
                state=state,
                output_frequency=frequency,
                qc_flags=True,
            )
            assert (run.status, run.error_lines) == (0, []), run.errors
            upsert(loaded, run, "recent_measurements")
            state = run.state
            now = sandbox.clock.now()
            # What has been told before is not told again if it is recalibrated.
            measurements = sandbox.expected.measurements(frequency, start, now, now)
            expected = expected_records(measurements, qc_flags=True) | expected
    assert not run.records("recent_measurements")
    has_sources = quirk in {ALL, Quirk.SWAPPED_COLUMNS.label} and frequency != "minute"
    without_source = {} if has_sources else {"source_id": None, "source_type": None}
    assert loaded == {key: record | without_source for key, record in expected.items()}


@pytest.mark.parametrize("quirk", [Quirk.FILE_FORMAT_KEY.label, ALL])
def test_reports_equal_expected_data_if_parquet_has_another_format_key(quirk: str) -> None:
    with Sandbox(seed=3, datasources=2, now=NOW, frozen=True, quirks={quirk}) as sandbox:
        run = run_in_process(
            sandbox,
            streams=["datasource_measurements"],
            start_date=START.isoformat(),
            end_date=END.isoformat(),
            report_file_format="parquet",
        )
        assert (run.status, run.error_lines) == (0, []), run.errors
        (file,) = {each["path"] for each in received_requests(sandbox, "GET", "/files/")}
        assert file.endswith(".csv.gz")
        measurements = sandbox.expected.measurements("hour", START, END, sandbox.clock.now())
        assert run.upserted("datasource_measurements") == expected_records(measurements)


def test_page_describes_how_the_tap_handles_each_discrepancy() -> None:
    assert TAP_BEHAVIOR.keys() == set(Quirk)
    assert [quirk.number for quirk in Quirk] == list(range(1, 26))


def by_key(records: Json, keys: tuple[str, ...]) -> dict[Key, Record]:
    """Index records by their keys, without what the tap adds or leaves null."""
    return {
        tuple(record[key] for key in keys): {
            name: value
            for name, value in record.items()
            if value is not None and name != "additional_fields"
        }
        for record in records
    }


def expected_measurements(sandbox: Sandbox, start_time: datetime) -> dict[str, dict[Key, Record]]:
    expected, now = sandbox.expected, sandbox.clock.now()
    cached = expected.measurements("hour", start_time - timedelta(hours=48), start_time, start_time)
    reported = expected.measurements("hour", START, END, now)
    of_nodes = expected.measurements_of_sources("hour", START, END, now, expected.node_ids(now))
    of_sites = expected.measurements_of_sources(
        "hour", START, END, now, expected.reference_site_ids(now)
    )
    return {
        "recent_measurements": expected_records(cached, qc_flags=True),
        "datasource_measurements": expected_records(reported, qc_flags=True),
        "node_measurements": expected_records(of_nodes, "node_id", qc_flags=True),
        "reference_site_measurements": expected_records(
            of_sites, "reference_site_id", qc_flags=True
        ),
    }
