"""The models on the emulators of Snowflake and BigQuery, with dbt's unmodified adapters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.warehouses import test_bigquery, test_snowflake
from tests.support.dbt_project import check_models, copy_transform, run
from tests.support.gap_fixture import FEW
from tests.support.warehouses.installed_programs import (
    HERE,
    HOST,
    free_port,
    installed,
    installed_loader,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.gap_fixture import LoadedNetwork
    from tests.support.tap_process import Record

pytestmark = pytest.mark.warehouse

DBT = (
    *("dbt-core~=1.11.0", "dbt-bigquery~=1.11.0", "dbt-snowflake~=1.11.0"),
    "snowflake-connector-python<5",
)


class BigQuery:
    """bqemulator."""

    def __init__(self, folder: Path, port: int) -> None:
        self.project, url = folder / "transform", f"http://{HOST}:{port}"
        self.server = test_bigquery.BigQuery(installed_loader("target-bigquery"), url, folder)
        access = {"method": "oauth-secrets", "token": "not asked for", "api_endpoint": url}
        dataset = {"project": test_bigquery.ACCESS["project"], "dataset": "clarity_models"}
        copy_transform(self.project)
        _write_profile(self.project, {"type": "bigquery"} | access | dataset)

    def load(self, output: bytes) -> None:
        done = self.server.load(output, "clarity")
        assert done.returncode == 0, done.stderr.decode()[-4000:]

    def build(self) -> str:
        return _dbt(self.project, "build")

    def rows(self, model: str) -> list[Record]:
        return self.server.rows("clarity_models", model)

    def types(self, model: str) -> dict[str, str]:
        return self.server.types("clarity_models", model)


class Snowflake:
    """fakesnow's server, and another project that uses the package."""

    def __init__(self, folder: Path, python: Path, port: int) -> None:
        self.project = folder / "city"
        target = installed_loader("target-snowflake")
        self.server = test_snowflake.Snowflake(python, target, port, folder)
        address = {"host": HOST, "port": port, "protocol": "http", "schema": "CITY"}
        copy_transform(folder / "transform")
        self.project.mkdir()
        own = {
            "name": "city",
            "profile": "tap_clarity",
            "flags": {"send_anonymous_usage_stats": False},
            "vars": {"tap_clarity": {"clarity_schema": "CLARITY_RAW"}},
            "models": {"tap_clarity": {"staging": {"+schema": "STAGING"}}},
        }
        _write(self.project / "dbt_project.yml", own)
        _write(self.project / "packages.yml", {"packages": [{"local": "../transform"}]})
        _write_profile(self.project, {"type": "snowflake"} | test_snowflake.ACCESS | address)
        _dbt(self.project, "deps")

    def load(self, output: bytes) -> None:
        self.server.load(output, "CLARITY_RAW")

    def build(self) -> str:
        # For unit tests dbt makes temporary tables by their full names, which fakesnow refuses.
        output = _dbt(self.project, "build", "--exclude-resource-type=unit_test")
        self.tables = self.server.tables("CITY")
        return output

    def types(self, model: str) -> dict[str, str]:
        return {name.lower(): kind for name, kind in self.tables[model]["types"].items()}

    def rows(self, model: str) -> list[Record]:
        table = self.tables[model]
        # object_construct leaves out what is null.
        return [{name.lower(): row.get(name) for name in table["types"]} for row in table["rows"]]


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content))


def _write_profile(project: Path, output: Mapping[str, Any]) -> None:
    profile = {"target": "emulator", "outputs": {"emulator": output}}
    _write(project / "profiles.yml", {"tap_clarity": profile})


def _dbt(project: Path, *command: str) -> str:
    # Not every Python has a dbt; the target for BigQuery needs this one as well.
    python = installed("dbt-emulators", DBT, "python3.11")
    return run([python.parent / "dbt", *command], project)


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


@pytest.mark.parametrize(
    ("warehouse", "text", "time"),
    [
        ("bigquery", "STRING NULLABLE", "TIMESTAMP NULLABLE"),
        ("snowflake", "VARCHAR(16777216)", "TIMESTAMP_NTZ(9)"),
    ],
)
def test_the_models_hold_the_expected_rows_in_columns_of_the_right_types(
    warehouse: str, text: str, time: str, network: LoadedNetwork, request: pytest.FixtureRequest
) -> None:
    emulator: BigQuery | Snowflake = request.getfixturevalue(warehouse)
    few = network.only(*FEW)
    emulator.load(few.output)
    check_models(emulator, few)
    gaps = emulator.types("clarity__gaps")
    assert [gaps[name] for name in ("name", "group_name")] == [text, text]
    assert [gaps[name] for name in ("gap_start", "gap_end")] == [time, time]
