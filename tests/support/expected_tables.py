"""The expected tables of all streams, from the data of the sandbox."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

from tap_clarity.core.timestamps import format_timestamp
from tap_clarity.measurements.schema import wide_columns
from tests.support.meltano.project import REPORT_TAKES
from tests.support.stream_schemas import columns, keys
from tests.support.tap_process import expected_records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Key, Record

DAILY: dict[str, Any] = {
    "output_frequency": "day",
    "start_date": "2026-03-08",
    "metric_select": "all",
    "qc_flags": True,
}
"""The settings of the runs of all streams in the long layout: little data of every kind."""
HOURLY: dict[str, Any] = DAILY | {
    "output_frequency": "hour",
    "start_date": "2026-03-10T04:00Z",
    "end_date": "2026-03-10T06:00Z",
    "measurement_layout": "wide",
}
"""The settings of the runs with the most columns."""
RESOURCES = (
    "datasources",
    "datasource_details",
    "subscriptions",
    "nodes",
    "node_status_summaries",
    "node_statuses",
    "node_alarms",
    "accessory_modules",
)
_START = datetime(2026, 3, 8, tzinfo=UTC)
_CACHE = timedelta(days=10)
_ATTRIBUTES = ("raw", "value", "status", "qc_assessment", "qc_flags")


def daily(sandbox: Sandbox) -> dict[str, dict[Key, Record]]:
    """Tell the tables of all streams after a run of DAILY that is about to begin, by key."""
    return _resources(sandbox) | _measurements(sandbox)


def hourly_wide(sandbox: Sandbox) -> list[Record]:
    """Tell the datasource measurements of HOURLY."""
    start, end = (datetime.fromisoformat(HOURLY[name]) for name in ("start_date", "end_date"))
    measurements = sandbox.expected.measurements(
        "hour", start, end, sandbox.clock.now() + REPORT_TAKES
    )
    wide = columns("datasource_measurements", "wide", "hour")
    return _widened(expected_records(measurements, qc_flags=True).values(), wide)


def dictionary() -> list[Record]:
    """Tell the table `metrics`."""
    table = resources.files("tap_clarity.measurements") / "metrics.csv"
    with table.open(encoding="utf-8") as lines:
        rows = [
            {name: value or None for name, value in row.items()} for row in csv.DictReader(lines)
        ]
    return [
        row | {"cloud_calibrated": json.loads(row["cloud_calibrated"] or "null")} for row in rows
    ]


def resource(sandbox: Sandbox, stream: str) -> list[Record]:
    """Tell the table of metadata; what has no column is kept beside."""
    known = dict.fromkeys(columns(stream))
    return [
        _conformed(sent_object, known)
        for sent_object in sandbox.expected.records(stream, sandbox.clock.now())
    ]


def in_utc(value: str | None) -> str | None:
    """Write a time of a warehouse as the tap writes it."""
    return None if value is None else format_timestamp(datetime.fromisoformat(value))


def _resources(sandbox: Sandbox) -> dict[str, dict[Key, Record]]:
    tables = {"metrics": dictionary()} | {stream: resource(sandbox, stream) for stream in RESOURCES}
    return {
        stream: {tuple(row[key] for key in keys(stream)): row for row in rows}
        for stream, rows in tables.items()
    }


def _conformed(sent_object: Record, known: Record) -> Record:
    additional = {name: value for name, value in sent_object.items() if name not in known}
    known_fields = {name: value for name, value in sent_object.items() if name in known}
    return known | known_fields | {"additional_fields": additional or None}


def _measurements(sandbox: Sandbox) -> dict[str, dict[Key, Record]]:
    expected, now = sandbox.expected, sandbox.clock.now()
    report_time, midnight = now + REPORT_TAKES, now.replace(hour=0, minute=0)
    recent = expected.measurements("day", now - _CACHE, now, now)
    report = expected.measurements("day", _START, midnight, report_time)
    nodes = expected.measurements_of_sources(
        "day", _START, midnight, report_time, expected.node_ids(now)
    )
    sites = expected.measurements_of_sources(
        "day", _START, midnight, report_time, expected.reference_site_ids(now)
    )
    return {
        "recent_measurements": expected_records(recent, qc_flags=True),
        "datasource_measurements": expected_records(report, qc_flags=True),
        "node_measurements": expected_records(nodes, "node_id", qc_flags=True),
        "reference_site_measurements": expected_records(sites, "reference_site_id", qc_flags=True),
    }


def _widened(records: Iterable[Record], wide: Iterable[str]) -> list[Record]:
    stems = wide_columns("hour")
    rows: dict[Key, Record] = {}
    for record in records:
        shared = {name: record[name] for name in record if name not in (*_ATTRIBUTES, "metric")}
        row = rows.setdefault(tuple(shared.values()), dict.fromkeys(wide) | shared)
        reading = {name: record[name] for name in _ATTRIBUTES}
        if stem := stems.get(record["metric"]):
            row |= {f"{stem}_{name}": value for name, value in reading.items()}
        else:
            row["other_metrics"] = (row["other_metrics"] or {}) | {record["metric"]: reading}
    return [*rows.values()]
