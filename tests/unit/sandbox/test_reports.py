"""Reports in all kinds, styles and formats."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Literal

import pyarrow.parquet as pq
import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api import report_files as files
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, facts_of_csv, facts_of_truth, fetch

if TYPE_CHECKING:
    from tests.support.sandbox_client import Facts, Key

DAY = ("2026-11-19", "2026-11-20")


def _urls(client: Client, **body: object) -> list[str]:
    report_id = client.order("hour", *DAY, **body).json["reportId"]
    urls: list[str] = client.poll(report_id)["urls"]
    return urls


def _truth(client: Client) -> dict[Key, Facts]:
    told = facts_of_truth(client.sandbox.world.truth("hour", *DAY, NOW))
    return {key: facts for key, facts in told.items() if "pm10ConcMassNowcast" not in key[2]}


def _of_sources(client: Client, text: str, first: str, ids: list[str]) -> None:
    """Compare a file whose first column is a source with the truth about those sources."""
    assert text.startswith(f"{first},sourceId,")
    told = list(client.sandbox.world.truth_of_sources("hour", *DAY, NOW, ids))
    sources = {each.datasource_id: each.source_id for each in told}
    facts = {
        (sources[key[0]], *key[1:]): facts
        for key, facts in facts_of_truth(told).items()
        if "pm10ConcMassNowcast" not in key[2]
    }
    assert facts_of_csv(text.replace(first, "datasourceId", 1)) == facts
    keys = [(line.split(",")[4], line.split(",")[0]) for line in text.splitlines()[1:]]
    assert keys == sorted(set(keys))


def test_a_node_report(client: Client) -> None:
    ids = client.sandbox.world.node_ids(NOW)
    text = client.report("hour", *DAY, report="node-measurements", nodeIds=ids)
    _of_sources(client, text, "nodeId", ids)


def test_a_reference_site_report(client: Client) -> None:
    ids = client.sandbox.world.reference_site_ids(NOW)
    text = client.report("hour", *DAY, report="reference-site-measurements", refSiteIds=ids)
    _of_sources(client, text, "refSiteId", ids)
    assert "REFERENCE_SITE" in text


def test_truth_of_sources_over_http(client: Client) -> None:
    ids = ",".join(client.sandbox.world.reference_site_ids(NOW))
    query = {"frequency": "hour", "start": DAY[0], "end": DAY[1], "source_ids": ids}
    lines = client.get("/_sandbox/truth", **query).lines
    assert {line["source_type"] for line in lines} == {"REFERENCE_SITE"}


@pytest.mark.parametrize("kind", ["node-measurements", "reference-site-measurements"])
def test_ids_are_required_and_must_be_ones_own(client: Client, kind: str) -> None:
    assert client.order("hour", *DAY, report=kind).status == 400
    name = "nodeIds" if kind.startswith("node") else "refSiteIds"
    assert client.order("hour", *DAY, report=kind, **{name: ["AXXXXXXX"]}).status == 403
    assert client.order("hour", *DAY, report=None).status == 400


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
    nodes = client.sandbox.world.node_ids(NOW)
    text = client.report(
        "hour", *DAY, report="node-measurements", nodeIds=nodes, metricLabelStyle="english"
    )
    assert text.startswith("nodeId,Source Id,")
    assert client.order("hour", *DAY, metricLabelStyle="french").status == 400


@pytest.mark.parametrize("quirks", [set(), {"reversed-order"}])
def test_several_files_cover_the_range_once(quirks: set[str]) -> None:
    with Sandbox(
        seed=7,
        datasources=8,
        now=NOW,
        frozen=True,
        report_seconds=0,
        files_per_report=3,
        quirks=quirks,
    ) as sandbox:
        client = Client(sandbox)
        urls = _urls(client)
        assert len(urls) == 3
        found: dict[Key, Facts] = {}
        for url in urls:
            part = facts_of_csv(fetch(url).body.decode())
            assert part
            assert not part.keys() & found.keys()
            found |= part
        assert found == _truth(client)


@pytest.mark.parametrize("as_", ["declared", "bare", "none"])
def test_gzip_is_declared_or_bare_or_absent(as_: Literal["declared", "bare", "none"]) -> None:
    with Sandbox(
        seed=7, datasources=8, now=NOW, frozen=True, report_seconds=0, gzip=as_
    ) as sandbox:
        client = Client(sandbox)
        url = _urls(client)[0]
        answer = fetch(url)
        assert answer.headers.get("Content-Encoding") == ("gzip" if as_ == "declared" else None)
        body = gzip.decompress(answer.body) if as_ == "bare" else answer.body
        assert facts_of_csv(body.decode()) == _truth(client)
        assert url.partition("?")[0].endswith(".csv" if as_ == "none" else ".csv.gz")
        assert fetch(url).body == answer.body


@pytest.mark.parametrize("key", ["format", "fileFormat"])
def test_parquet_holds_the_same(client: Client, key: str) -> None:
    asked = {key: "parquet-wide", "qcAssessment": True, "qcFlags": True}
    (url,) = _urls(client, **asked)
    assert url.partition("?")[0].endswith(".parquet")
    table = pq.read_table(io.BytesIO(fetch(url).body))
    assert str(table.schema.field("startOfPeriod").type) == "timestamp[ms, tz=UTC]"
    found: dict[Key, Facts] = {}
    for row in table.to_pylist():
        time = row["startOfPeriod"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for name, status in row.items():
            metric, _, attribute = name.rpartition(".")
            if attribute == "status" and status:
                facts = (row[f"{metric}.raw"], row[f"{metric}.value"], status)
                found[row["datasourceId"], time, metric] = facts
    assert found == _truth(client)


def test_an_empty_parquet_is_still_a_table(client: Client) -> None:
    report_id = client.order("hour", "2030-01-01", "2030-01-02", format="parquet").json["reportId"]
    table = pq.read_table(io.BytesIO(fetch(client.poll(report_id)["urls"][0]).body))
    assert table.num_rows == 0
    assert "pm2_5ConcMass1HourMean.value" in table.column_names


def test_without_pyarrow_parquet_is_refused_with_the_remedy(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "can_write_parquet", lambda: False)
    refused = client.order("hour", *DAY, fileFormat="parquet")
    assert refused.status == 400
    assert "tap-clarity[parquet]" in refused.json["message"][0]
    assert client.order("hour", *DAY, fileFormat="xlsx").status == 400


def test_both_spellings_of_the_poll_path(client: Client) -> None:
    report_id = client.order("hour", *DAY).json["reportId"]
    paths = ["/v2/report-requests/", "/v2/report-request/", "/report-request/"]
    assert [client.get(f"{path}{report_id}").status for path in paths] == [200, 200, 404]
    without_org = client.send("GET", f"/v2/report-requests/{report_id}", None, None)
    assert without_org.json["reportStatus"] == "succeeded"
