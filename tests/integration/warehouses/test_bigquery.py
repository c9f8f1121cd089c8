"""Loads of all streams by z3z1ma's target into an emulator of BigQuery."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import expected_tables
from tests.support.meltano.project import check_same, town
from tests.support.stream_schemas import times
from tests.support.tap_process import run_tap
from tests.support.warehouses.installed_programs import (
    HERE,
    HOST,
    free_port,
    installed,
    installed_loader,
    load,
    loader,
    serving,
    without,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.support.tap_process import Record, TapRun

pytestmark = pytest.mark.warehouse

EMULATOR = (
    "bqemulator==1.4.0",
    "duckdb==1.5.5",
    "duckdb-extension-icu==1.5.5",
    "duckdb-extension-spatial==1.5.5",
    "numpy",
)
ACCESS = {"project": "clarity-tests"}


@dataclass(frozen=True)
class BigQuery:
    """The emulator, and the target that loads into it."""

    target: Path
    url: str
    folder: Path

    def load(self, output: bytes, dataset: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """Load a tap's output, with the settings of meltano.yml."""
        settings = loader("target-bigquery")["config"] | {"dataset": dataset}
        config = self.folder / "config.json"
        config.write_text(json.dumps(settings | ACCESS))
        command = (self.target, HERE / "bigquery_target.py", "--config", config)
        return load(command, output, {"BIGQUERY_EMULATOR": self.url} | env)

    def tables(self, dataset: str) -> set[str]:
        listed = self._call(f"datasets/{dataset}/tables")["tables"]
        return {table["tableReference"]["tableId"] for table in listed}

    def types(self, dataset: str, table: str) -> dict[str, str]:
        fields = self._call(f"datasets/{dataset}/tables/{table}")["schema"]["fields"]
        return {each["name"]: f"{each['type'].upper()} {each['mode']}" for each in fields}

    def rows(self, dataset: str, table: str) -> list[Record]:
        """Give a table's rows without the target's own columns."""
        sql = f"SELECT TO_JSON_STRING(t) FROM `{dataset}.{table}` t"  # noqa: S608
        answer = self._call("queries", {"query": sql, "useLegacySql": False, "maxResults": 9999})
        found = [json.loads(row["f"][0]["v"]) for row in answer["rows"]]
        return [
            {name: value for name, value in row.items() if not name.startswith("_sdc_")}
            for row in found
        ]

    def check(self, dataset: str, table: str, expected: Iterable[Record]) -> None:
        """Compare a table with the truth."""
        check_same(
            map(as_written_by_tap, self.rows(dataset, table)), map(as_written_by_tap, expected)
        )

    def _call(self, path: str, body: Any = None) -> Any:  # noqa: ANN401
        url = f"{self.url}/bigquery/v2/projects/{ACCESS['project']}/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            return json.load(reply)


@pytest.fixture(scope="module")
def bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQuery]:
    target = installed_loader("target-bigquery")
    python = installed("bigquery", EMULATOR)
    port, other, folder = free_port(), free_port(), tmp_path_factory.mktemp("bigquery")
    ports = f"--rest-port={port}", f"--grpc-port={other}"
    command = (python, HERE / "bigquery_server.py", "start", "--log-level=error", *ports)
    with serving(command, port, folder):
        yield BigQuery(target, f"http://{HOST}:{port}", folder)


@pytest.fixture(scope="module")
def metrics() -> TapRun:
    """Give a run for the dictionary's table."""
    with town() as sandbox:
        return run_tap(sandbox, streams=["metrics"]).check()


def as_written_by_tap(row: Record) -> Record:
    """Write a row, and what is in its records, as the tap writes it."""
    return {name: _plain(value, name) for name, value in row.items()}


def _plain(value: Any, name: str = "") -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        inner = {name: _plain(each, name) for name, each in value.items()}
        # A record in BigQuery has all fields of its type: what is not told is null.
        return {name: each for name, each in inner.items() if each is not None}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if type(value) is int:
        return float(value)
    return expected_tables.in_utc(value) if name in times() else value


def test_tables_of_all_streams_equal_expected_data_without_duplicates_a_day_later(
    bigquery: BigQuery,
) -> None:
    with town() as sandbox:
        expected = expected_tables.daily(sandbox)
        first = run_tap(sandbox, streams=expected, **expected_tables.DAILY).check()
        loaded = bigquery.load(first.output, "daily")
        assert loaded.returncode == 0, loaded.stderr.decode()[-4000:]
        assert bigquery.tables("daily") == expected.keys()
        for stream, right in expected.items():
            bigquery.check("daily", stream, right.values())

        sandbox.clock.advance(timedelta(days=1))
        later = expected_tables.daily(sandbox)
        again = ["node_status_summaries", "recent_measurements"]
        second = run_tap(sandbox, streams=again, **expected_tables.DAILY).check()
    bigquery.load(second.output, "daily")
    for stream in again:
        assert later[stream] != expected[stream]
        bigquery.check("daily", stream, (expected[stream] | later[stream]).values())


def test_wide_rows_equal_expected_data_in_columns_of_the_right_types(bigquery: BigQuery) -> None:
    with town() as sandbox:
        expected = expected_tables.hourly_wide(sandbox)
        run = run_tap(
            sandbox, streams=["datasource_measurements"], **expected_tables.HOURLY
        ).check()
    bigquery.load(run.output, "hourly")
    bigquery.check("hourly", "datasource_measurements", expected)
    types = bigquery.types("hourly", "datasource_measurements")
    kinds = {kind for name, kind in types.items() if name.startswith("pm2_5_")}
    assert kinds == {"FLOAT NULLABLE", "STRING NULLABLE", "STRING REPEATED"}
    assert types["time"] == "TIMESTAMP NULLABLE"
    assert types["other_metrics"] == "JSON NULLABLE"


def test_new_column_of_a_later_version_fails_with_an_error(
    bigquery: BigQuery, metrics: TapRun
) -> None:
    bigquery.load(without("category", metrics), "later")
    assert len(bigquery.rows("later", "metrics")) == len(metrics.records("metrics"))
    later = bigquery.load(metrics.output, "later")
    assert later.returncode != 0
    assert b'"category"' in later.stderr
    assert later.stdout == b"", "a state"


def test_failure_of_the_last_load_job_is_silently_ignored_by_the_target(
    bigquery: BigQuery, metrics: TapRun
) -> None:
    """When this fails the target is mended, and the warning of docs/warehouses can go."""
    done = bigquery.load(metrics.output, "refused", BIGQUERY_REFUSES="1")
    assert (done.returncode, json.loads(done.stdout)) == (0, metrics.state)
    assert b"as ordered by the test" not in done.stderr
    assert bigquery.rows("refused", "metrics") == []
