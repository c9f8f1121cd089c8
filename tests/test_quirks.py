"""Whatever Clarity's pages, examples and answers disagree on, the tap holds the truth."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.quirks import ALL, Quirk
from tests.conftest import NOW
from tests.tapping import expected_records, run_tap

if TYPE_CHECKING:
    from tests.tapping import Json, Key, Record

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
START = datetime.fromisoformat("2026-03-08T00:00Z")
END = datetime.fromisoformat("2026-03-10T09:00Z")


@pytest.mark.parametrize("quirk", ["", *(quirk.label for quirk in Quirk), ALL])
def test_all_streams_are_the_truth(quirk: str) -> None:
    quirks = {quirk} - {""}
    with Sandbox(seed=3, datasources=7, now=NOW, frozen=True, quirks=quirks) as sandbox:
        begin = sandbox.clock.now()
        run = run_tap(
            sandbox,
            streams=[*METADATA, *MEASUREMENTS],
            start_date=START.isoformat(),
            metric_select="all",
            qc_flags=True,
        ).check()
        for stream, keys in METADATA.items():
            expected = sandbox.world.resource(stream, begin)
            assert by_key(run.records(stream), keys) == by_key(expected, keys), stream
        for stream, records in true_measurements(sandbox, begin).items():
            assert run.upserted(stream) == records, stream


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


def true_measurements(sandbox: Sandbox, begin: datetime) -> dict[str, dict[Key, Record]]:
    world, now = sandbox.world, sandbox.clock.now()
    cached = world.truth("hour", begin - timedelta(hours=48), begin, begin)
    reported = world.truth("hour", START, END, now)
    of_nodes = world.truth_of_sources("hour", START, END, now, world.node_ids(now))
    of_sites = world.truth_of_sources("hour", START, END, now, world.reference_site_ids(now))
    return {
        "recent_measurements": expected_records(cached, qc_flags=True),
        "datasource_measurements": expected_records(reported, qc_flags=True),
        "node_measurements": expected_records(of_nodes, "node_id", qc_flags=True),
        "reference_site_measurements": expected_records(
            of_sites, "reference_site_id", qc_flags=True
        ),
    }
