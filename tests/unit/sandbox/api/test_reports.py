"""Reports: their life cycle, kinds, and data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api import report_builder
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
    default_values,
    fetch,
    values_of_csv,
)

if TYPE_CHECKING:
    from tap_clarity.sandbox.world.metrics import Frequency


FREQUENCIES: tuple[Frequency, ...] = ("minute", "hour", "day")
DAY = ("2026-11-19", "2026-11-20")


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_report_contains_the_expected_data(client: Client, frequency: Frequency) -> None:
    start, end = "2026-11-17", "2026-11-21"
    expected = default_values(client.sandbox.expected.measurements(frequency, start, end, NOW))
    text = client.report(frequency, start, end, qcAssessment=True, qcFlags=True)
    assert values_of_csv(text) == expected
    keys = [(line.split(",")[4], line.split(",")[0]) for line in text.splitlines()[1:]]
    assert keys == sorted(set(keys))


def test_the_columns_of_an_hourly_report(client: Client) -> None:
    header = client.report("hour", "2026-11-19", "2026-11-20").splitlines()[0].split(",")
    known = [name for name in header if not name.startswith("uvIndex")]
    assert len(known) == 110
    assert known[:9] == [
        *("datasourceId", "sourceId", "sourceType", "outputFrequency"),
        *("startOfPeriod", "endOfPeriod", "locationLatitude", "locationLongitude"),
        "atmPressure1HourMean.raw",
    ]
    with_qc = client.report("minute", "2026-11-20", "2026-11-21", qcAssessment=True, qcFlags=True)
    known = [n for n in with_qc.splitlines()[0].split(",") if not n.startswith("uvIndex")]
    assert len(known) == 122


def test_reports_are_pending_at_first_and_links_expire() -> None:
    with Sandbox(datasources=3, now=NOW, frozen=True, report_seconds=30, url_seconds=60) as sandbox:
        client = Client(sandbox)
        record = client.request_report("hour", "2026-11-19", "2026-12-01").json
        assert (record["reportStatus"], record["urls"]) == ("in-progress", [])
        assert "org" not in record["query"]
        assert len(record["query"]["datasourceIds"]) == 3
        sandbox.clock.advance(29.999)
        assert client.poll(record["reportId"])["reportStatus"] == "in-progress"
        sandbox.clock.advance(0.001)
        url = client.poll(record["reportId"])["urls"][0]
        assert fetch(url).status == 200
        sandbox.clock.advance(60)
        gone = fetch(url)
        assert gone.status == 403
        assert b"AccessDenied" in gone.body
        assert fetch(client.poll(record["reportId"])["urls"][0]).status == 200
        assert fetch(url.replace("Signature=", "Signature=0")).status == 403


def test_a_large_report_is_in_progress_until_it_is_written(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_builder, "_WAIT_SECONDS", 0)
    record = client.request_report("minute", "2026-11-10", "2026-11-20").json
    assert record["reportStatus"] == "in-progress"
    monkeypatch.setattr(report_builder, "_WAIT_SECONDS", 10)
    assert client.poll(record["reportId"])["reportStatus"] == "succeeded"


def _check_source_report(client: Client, text: str, first: str, ids: list[str]) -> None:
    """Compare a file whose first column is a source with the expected data of these sources."""
    assert text.startswith(f"{first},sourceId,")
    expected = list(client.sandbox.expected.measurements_of_sources("hour", *DAY, NOW, ids))
    sources = {each.datasource_id: each.source_id for each in expected}
    values = {
        (sources[key[0]], *key[1:]): values for key, values in default_values(expected).items()
    }
    assert values_of_csv(text.replace(first, "datasourceId", 1)) == values
    keys = [(line.split(",")[4], line.split(",")[0]) for line in text.splitlines()[1:]]
    assert keys == sorted(set(keys))


def test_a_node_report(client: Client) -> None:
    ids = client.sandbox.expected.node_ids(NOW)
    text = client.report("hour", *DAY, report="node-measurements", nodeIds=ids)
    _check_source_report(client, text, "nodeId", ids)


def test_a_reference_site_report(client: Client) -> None:
    ids = client.sandbox.expected.reference_site_ids(NOW)
    text = client.report("hour", *DAY, report="reference-site-measurements", refSiteIds=ids)
    _check_source_report(client, text, "refSiteId", ids)
    assert "REFERENCE_SITE" in text


@pytest.mark.parametrize("kind", ["node-measurements", "reference-site-measurements"])
def test_ids_are_required_and_must_belong_to_the_organization(client: Client, kind: str) -> None:
    assert client.request_report("hour", *DAY, report=kind).status == 400
    name = "nodeIds" if kind.startswith("node") else "refSiteIds"
    assert client.request_report("hour", *DAY, report=kind, **{name: ["AXXXXXXX"]}).status == 403
    assert client.request_report("hour", *DAY, report=None).status == 400


def test_english_and_legacy_labels(client: Client) -> None:
    english = client.report("hour", *DAY, metricLabelStyle="english", metricSelect="only pm2_5*")
    header = english.splitlines()[0]
    assert header.startswith("Datasource Id,Source Id,Source Type,Output Frequency,Start of Period")
    assert '"PM 2.5 mass concentration, 1-hour mean raw"' in header
    legacy = client.report("hour", *DAY, metricLabelStyle="legacy").splitlines()[0].split(",")
    assert len(set(legacy)) == len(legacy)
    assert {
        *("pm2_5ConcMass.raw", "pm2_5ConcMass_24HourRollingMean.raw", "pm2_5ConcMass_NowCast.raw"),
        *("pm2_5NowCastAqi.value", "no2UsEpaAqi.value", "pm10WaDwerAqi.raw", "relHumid.raw"),
    } <= set(legacy)
    nodes = client.sandbox.expected.node_ids(NOW)
    text = client.report(
        "hour", *DAY, report="node-measurements", nodeIds=nodes, metricLabelStyle="english"
    )
    assert text.startswith("nodeId,Source Id,")
    assert client.request_report("hour", *DAY, metricLabelStyle="french").status == 400
