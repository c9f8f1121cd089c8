"""The models on the emulators of Snowflake and BigQuery, by dbt's own adapters as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.transform.project import check_models, copy_transform, run
from tests.warehouses import test_bigquery, test_snowflake
from tests.warehouses.programs import HERE, HOST, free_port, installed, installed_loader, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.tapping import Record
    from tests.transform.project import Warehouse
    from tests.transform.town import Town

pytestmark = pytest.mark.warehouse

DBT = (
    *("dbt-core~=1.11.0", "dbt-bigquery~=1.11.0", "dbt-snowflake~=1.11.0"),
    "snowflake-connector-python<5",
)
FEW = "pm2_5ConcMass1HourMean", "no2Conc1HourMean"
"""Metrics with all cases of the rule: the emulators load slowly."""


class BigQuery:
    """bqemulator."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, url = folder, f"http://{HOST}:{port}"
        self.server = test_bigquery.BigQuery(installed_loader("target-bigquery"), url, folder)
        access = {"method": "oauth-secrets", "token": "not asked for", "api_endpoint": url}
        project = {"project": test_bigquery.ACCESS["project"], "dataset": "clarity_models"}
        _make_project(folder, {"type": "bigquery"} | access | project)

    def load(self, output: bytes) -> None:
        done = self.server.load(output, "clarity")
        assert done.returncode == 0, done.stderr.decode()[-4000:]

    def build(self) -> str:
        return _build(self.folder)

    def rows(self, model: str) -> list[Record]:
        return self.server.rows("clarity_models", model)


class Snowflake:
    """fakesnow's server."""

    def __init__(self, folder: Path, python: Path, port: int) -> None:
        self.folder = folder
        target = installed_loader("target-snowflake")
        self.server = test_snowflake.Snowflake(python, target, port, folder)
        address = {"host": HOST, "port": port, "protocol": "http", "schema": "CLARITY_MODELS"}
        _make_project(folder, {"type": "snowflake"} | test_snowflake.ACCESS | address)

    def load(self, output: bytes) -> None:
        self.server.load(output, "CLARITY")

    def build(self) -> str:
        # fakesnow does not understand how dbt asks for the types of an input.
        return _build(self.folder, "--exclude-resource-type=unit_test")

    def rows(self, model: str) -> list[Record]:
        table = self.server.tables("CLARITY_MODELS")[model]
        # object_construct leaves out what is null.
        return [{name.lower(): row.get(name) for name in table["types"]} for row in table["rows"]]


def _make_project(folder: Path, output: Mapping[str, Any]) -> None:
    copy_transform(folder / "transform")
    profile = {"target": "emulator", "outputs": {"emulator": dict(output)}}
    (folder / "transform" / "profiles.yml").write_text(json.dumps({"tap_clarity": profile}))


def _build(folder: Path, *options: str) -> str:
    dbt = installed("dbt-emulators", DBT).parent / "dbt"
    return run([dbt, "build", *options], folder / "transform")


@pytest.fixture
def bigquery(tmp_path: Path) -> Iterator[BigQuery]:
    port, other = free_port(), free_port()
    python = installed("bigquery", test_bigquery.EMULATOR)
    ports = f"--rest-port={port}", f"--grpc-port={other}"
    command = (python, HERE / "bigquery_server.py", "start", "--log-level=error", *ports)
    with serving(command, port, tmp_path):
        yield BigQuery(tmp_path, port)


@pytest.fixture
def snowflake(tmp_path: Path) -> Iterator[Snowflake]:
    port = free_port()
    python = installed("fakesnow", test_snowflake.FAKESNOW)
    with serving([python, "-m", "fakesnow", "-s", "-p", str(port)], port, tmp_path):
        yield Snowflake(tmp_path, python, port)


@pytest.mark.parametrize("warehouse", ["bigquery", "snowflake"])
def test_the_models_hold_what_follows_from_the_truth(
    warehouse: str, town: Town, request: pytest.FixtureRequest
) -> None:
    emulator: Warehouse = request.getfixturevalue(warehouse)
    few = town.only(*FEW)
    emulator.load(few.output)
    check_models(emulator, few)
