"""The models on DuckDB and PostgreSQL, built by Meltano from what the loaders have loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tap_clarity.demo.environment import clean_environment
from tests.meltano_project import MELTANO, MELTANO_YML, check_same
from tests.postgres import needs_postgres, postgres
from tests.transform.expected import Expected
from tests.transform.town import three_days
from tests.warehouses import truth
from tests.warehouses.programs import installed_loader, load, loader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.postgres import Postgres
    from tests.tapping import Record
    from tests.transform.town import Town

pytestmark = [
    pytest.mark.warehouse,
    pytest.mark.skipif(not find_spec("meltano"), reason="there is no Meltano for this Python"),
]

TRANSFORM = MELTANO_YML.parent / "transform"


class Project(Protocol):
    """A Meltano project with a loaded database."""

    def load(self, output: bytes) -> None:
        """Load a tap's output."""

    def build(self) -> str:
        """Build and test the models, and give what dbt has said."""

    def rows(self, model: str) -> list[Record]:
        """Read a model."""


class DuckDB:
    """The file of the environment `sandbox`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "output" / "sandbox" / "warehouse.duckdb"
        self.file.parent.mkdir(parents=True)
        _make(root, "dbt-duckdb")

    def load(self, output: bytes) -> None:
        _load("target-duckdb", {"filepath": str(self.file)}, self.root, output)

    def build(self) -> str:
        return _meltano(self.root, {}, "invoke", "dbt-duckdb:build")

    def rows(self, model: str) -> list[Record]:
        import duckdb  # noqa: PLC0415 - there is none for every Python

        with closing(duckdb.connect(str(self.file), read_only=True)) as database:
            told = database.sql(f"SELECT to_json(m) FROM clarity_models.{model} AS m")  # noqa: S608
            return [_as_told(json.loads(row)) for (row,) in told.fetchall()]


class PostgreSQL:
    """A server; its address is in the environment."""

    def __init__(self, root: Path, server: Postgres) -> None:
        self.root, self.server = root, server
        names = ("host", "port", "user", "database")
        self.access = {name: getattr(server, name) for name in names} | {"password": "-"}
        _make(root, "dbt-postgres")

    def load(self, output: bytes) -> None:
        schema = {"default_target_schema": "clarity_sandbox"}
        _load("target-postgres", self.access | schema, self.root, output)

    def build(self) -> str:
        env = {f"TARGET_POSTGRES_{name.upper()}": str(it) for name, it in self.access.items()}
        return _meltano(self.root, env, "invoke", "dbt-postgres:build")

    def rows(self, model: str) -> list[Record]:
        found = self.server.rows(f"SELECT * FROM clarity_sandbox_models.{model}")  # noqa: S608
        return [*map(_as_told, found)]


def _make(root: Path, utility: str) -> None:
    shutil.copy(MELTANO_YML, root)
    shutil.copytree(TRANSFORM, root / "transform", ignore=shutil.ignore_patterns("logs", "target"))
    _meltano(root, {}, "install", "utility", utility)


def _meltano(root: Path, env: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(
        [MELTANO, "--environment=sandbox", *command],
        cwd=root,
        env=clean_environment() | {"HOME": str(root)} | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def _load(name: str, settings: Mapping[str, Any], folder: Path, output: bytes) -> None:
    config = folder / "loader.json"
    config.write_text(json.dumps(loader(name)["config"] | settings))
    executable = installed_loader(name).parent / loader(name)["executable"]
    done = load([executable, "--config", config], output, {"HOME": str(folder)})
    assert done.returncode == 0, done.stderr.decode()[-4000:]


def _as_told(row: Record) -> Record:
    """Write times, which have no zone in either database, as the tap writes them."""
    is_time = {
        name for name in row if name.endswith(("time", "period_end", "gap_start", "gap_end"))
    }
    return {
        name: truth.in_utc(f"{value}+00:00") if name in is_time and value else value
        for name, value in row.items()
    }


@pytest.fixture(scope="module")
def town() -> Town:
    return three_days()


@pytest.fixture
def duckdb(tmp_path: Path) -> DuckDB:
    return DuckDB(tmp_path)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[PostgreSQL]:
    with postgres() as server:
        yield PostgreSQL(tmp_path, server)


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=needs_postgres)])
def project(request: pytest.FixtureRequest) -> Project:
    found: Project = request.getfixturevalue(request.param)
    return found


def test_the_models_hold_what_follows_from_the_truth_also_when_built_again(
    project: Project, town: Town
) -> None:
    wanted = Expected(town).models()
    project.load(town.output)
    for _ in range(2):
        assert "WARN=0 ERROR=0 SKIP=0" in project.build()
        for model, rows in wanted.items():
            check_same(project.rows(model), rows)


def test_the_town_has_all_cases_of_the_rule_and_all_kinds_of_gaps(town: Town) -> None:
    keys = town.recent.keys() & town.report.keys()
    both = [(town.recent[key], town.report[key], key) for key in keys]
    lost = [(told, key) for row, told, key in both if told["value"] is None is not row["value"]]
    expected = Expected(town)
    streams = {told["status"]: expected.chosen(key)["stream"] for told, key in lost}
    assert streams == {
        "calibration-error": "datasource_measurements",
        "calibration-missing": "datasource_measurements",
        "calibration-processing": "recent_measurements",
    }
    assert town.recent.keys() - keys
    assert town.report.keys() - keys
    assert {gap["suspect"] for gap in expected.gaps} == {"both", "pipeline", "sensor"}
    assert {gap["is_open"] for gap in expected.gaps} == {False, True}
