"""The models on DuckDB and PostgreSQL, built by Meltano from what the loaders load."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dbt_project import check_models, copy_transform, run
from tests.support.expected_models import Expected
from tests.support.gap_fixture import FEW
from tests.support.meltano.project import MELTANO, MELTANO_YML
from tests.support.postgres_server import needs_postgres, postgres
from tests.support.warehouses.installed_programs import installed_loader, load, loader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.dbt_project import Warehouse
    from tests.support.gap_fixture import LoadedNetwork
    from tests.support.postgres_server import Postgres
    from tests.support.tap_process import Record

pytestmark = [
    pytest.mark.warehouse,
    pytest.mark.skipif(not find_spec("meltano"), reason="there is no Meltano for this Python"),
]


class DuckDB:
    """The file of the environment `sandbox`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "output" / "sandbox" / "warehouse.duckdb"
        self.file.parent.mkdir(parents=True)
        _make_project(root)

    def load(self, output: bytes) -> None:
        _load("target-duckdb", {"filepath": str(self.file)}, self.root, output)

    def build(self) -> str:
        return _invoke(self.root, "dbt-duckdb:build")

    def rows(self, model: str) -> list[Record]:
        import duckdb  # noqa: PLC0415 - there is none for every Python

        with closing(duckdb.connect(str(self.file), read_only=True)) as database:
            found = database.sql(f"SELECT to_json(m) FROM clarity_models.{model} AS m")  # noqa: S608
            return [json.loads(row) for (row,) in found.fetchall()]


class PostgreSQL:
    """A server, with the schemas of the environment `sandbox`."""

    def __init__(self, root: Path, server: Postgres) -> None:
        self.root, self.server = root, server
        names = ("host", "port", "user", "database")
        self.access = {name: getattr(server, name) for name in names} | {"password": "not asked"}
        # As docs/warehouses/postgresql.md says: the loader's settings in `.env`.
        lines = [f"TARGET_POSTGRES_{name.upper()}={it}\n" for name, it in self.access.items()]
        (root / ".env").write_text("".join(lines))
        _make_project(root)

    def load(self, output: bytes) -> None:
        schema = {"default_target_schema": "clarity_sandbox"}
        _load("target-postgres", self.access | schema, self.root, output)

    def build(self) -> str:
        return _invoke(self.root, "dbt-postgres:build")

    def rows(self, model: str) -> list[Record]:
        return self.server.rows(f"SELECT * FROM clarity_sandbox_models.{model}")  # noqa: S608


def _make_project(root: Path) -> None:
    shutil.copy(MELTANO_YML, root)
    copy_transform(root / "transform")


def _invoke(root: Path, command: str) -> str:
    return run([MELTANO, "--environment=sandbox", "invoke", command], root)


def _load(name: str, settings: Mapping[str, Any], folder: Path, output: bytes) -> None:
    config = folder / "loader.json"
    config.write_text(json.dumps(loader(name)["config"] | settings))
    executable = installed_loader(name).parent / loader(name)["executable"]
    done = load([executable, "--config", config], output, {"HOME": str(folder)})
    assert done.returncode == 0, done.stderr.decode()[-4000:]


@pytest.fixture
def duckdb(tmp_path: Path) -> DuckDB:
    return DuckDB(tmp_path)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[PostgreSQL]:
    with postgres() as server:
        yield PostgreSQL(tmp_path, server)


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=needs_postgres)])
def database(request: pytest.FixtureRequest) -> Warehouse:
    found: Warehouse = request.getfixturevalue(request.param)
    return found


def test_the_models_hold_the_expected_rows_also_when_built_again(
    database: Warehouse, network: LoadedNetwork
) -> None:
    loaded = network.only(*FEW) if isinstance(database, PostgreSQL) else network
    database.load(loaded.output)
    check_models(database, loaded)
    check_models(database, loaded)


def test_few_metrics_have_all_cases_of_the_rule_and_all_kinds_of_gaps(
    network: LoadedNetwork,
) -> None:
    few = network.only(*FEW)
    keys = few.recent.keys() & few.report.keys()
    lost = [key for key in keys if few.recent[key]["value"] is not None]
    lost = [key for key in lost if few.report[key]["value"] is None]
    expected = Expected(few)
    streams = {few.report[key]["status"]: expected.preferred(key)["stream"] for key in lost}
    assert streams == {
        "calibration-error": "datasource_measurements",
        "calibration-missing": "datasource_measurements",
        "calibration-processing": "recent_measurements",
    }
    assert few.recent.keys() - keys
    assert few.report.keys() - keys
    assert {gap["likely_cause"] for gap in expected.gaps} == {"both", "pipeline", "sensor"}
    assert {gap["is_open"] for gap in expected.gaps} == {False, True}
