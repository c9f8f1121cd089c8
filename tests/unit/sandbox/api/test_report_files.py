"""The files of reports: several files, gzip and Parquet."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Literal

import pyarrow.parquet as pq
import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api import report_files
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, default_values, fetch, values_of_csv

if TYPE_CHECKING:
    from tests.support.sandbox_client import Key, Values


DAY = ("2026-11-19", "2026-11-20")


def _urls(client: Client, **body: object) -> list[str]:
    report_id = client.request_report("hour", *DAY, **body).json["reportId"]
    urls: list[str] = client.poll(report_id)["urls"]
    return urls


def _expected(client: Client) -> dict[Key, Values]:
    return default_values(client.sandbox.expected.measurements("hour", *DAY, NOW))


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
        found: dict[Key, Values] = {}
        for url in urls:
            part = values_of_csv(fetch(url).body.decode())
            assert part
            assert not part.keys() & found.keys()
            found |= part
        assert found == _expected(client)


@pytest.mark.parametrize("as_", ["declared", "bare", "none"])
def test_gzip_with_and_without_content_encoding(as_: Literal["declared", "bare", "none"]) -> None:
    with Sandbox(
        seed=7, datasources=8, now=NOW, frozen=True, report_seconds=0, gzip=as_
    ) as sandbox:
        client = Client(sandbox)
        url = _urls(client)[0]
        response = fetch(url)
        assert response.headers.get("Content-Encoding") == ("gzip" if as_ == "declared" else None)
        body = gzip.decompress(response.body) if as_ == "bare" else response.body
        assert values_of_csv(body.decode()) == _expected(client)
        assert url.partition("?")[0].endswith(".csv" if as_ == "none" else ".csv.gz")
        assert fetch(url).body == response.body


@pytest.mark.parametrize("key", ["format", "fileFormat"])
def test_parquet_contains_the_same_data(client: Client, key: str) -> None:
    requested = {key: "parquet-wide", "qcAssessment": True, "qcFlags": True}
    (url,) = _urls(client, **requested)
    assert url.partition("?")[0].endswith(".parquet")
    table = pq.read_table(io.BytesIO(fetch(url).body))
    assert str(table.schema.field("startOfPeriod").type) == "timestamp[ms, tz=UTC]"
    found: dict[Key, Values] = {}
    for row in table.to_pylist():
        time = row["startOfPeriod"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for name, status in row.items():
            metric, _, attribute = name.rpartition(".")
            if attribute == "status" and status:
                values = (row[f"{metric}.raw"], row[f"{metric}.value"], status)
                found[row["datasourceId"], time, metric] = values
    assert found == _expected(client)


def test_empty_parquet_has_a_schema(client: Client) -> None:
    report_id = client.request_report("hour", "2030-01-01", "2030-01-02", format="parquet").json[
        "reportId"
    ]
    table = pq.read_table(io.BytesIO(fetch(client.poll(report_id)["urls"][0]).body))
    assert table.num_rows == 0
    assert "pm2_5ConcMass1HourMean.value" in table.column_names


def test_without_pyarrow_parquet_is_rejected_with_a_hint(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_files, "can_write_parquet", lambda: False)
    rejected = client.request_report("hour", *DAY, fileFormat="parquet")
    assert rejected.status == 400
    assert "tap-clarity[parquet]" in rejected.json["message"][0]
    assert client.request_report("hour", *DAY, fileFormat="xlsx").status == 400
