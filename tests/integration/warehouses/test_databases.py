"""Loads of all streams by the targets for DuckDB and PostgreSQL."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.support import expected_tables
from tests.support.meltano.project import check_same, duckdb_tables, town
from tests.support.postgres_server import needs_postgres, postgres
from tests.support.stream_schemas import times
from tests.support.tap_process import run_tap
from tests.support.warehouses.installed_programs import installed, installed_loader, load, loader
from tests.support.warehouses.two_day_load import NEW_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.postgres_server import Postgres
    from tests.support.tap_process import Record
    from tests.support.warehouses.two_day_load import TwoDayLoad

pytestmark = pytest.mark.warehouse


class Database(Protocol):
    """A loader, and the database that it loads into."""

    def load(self, output: bytes) -> None:
        """Load a tap's output, with the settings of meltano.yml."""

    def tables(self) -> Mapping[str, list[Record]]:
        """Read all tables without the loader's own columns, as the tap has written them."""


@dataclass(frozen=True)
class DuckDB:
    """target-duckdb, and its file."""

    python: Path
    folder: Path

    def load(self, output: bytes) -> None:
        settings = {"filepath": str(self._file)}
        _load(self.python, "target-duckdb", settings, self.folder, output)

    def tables(self) -> Mapping[str, list[Record]]:
        return duckdb_tables(self._file)

    @property
    def _file(self) -> Path:
        return self.folder / "warehouse.duckdb"


@dataclass(frozen=True)
class PostgreSQL:
    """MeltanoLabs' target-postgres, and a server."""

    python: Path
    folder: Path
    server: Postgres

    def load(self, output: bytes) -> None:
        access = {name: getattr(self.server, name) for name in ("host", "port", "user", "database")}
        settings = {"password": "not asked for", **access}
        _load(self.python, "target-postgres", settings, self.folder, output)

    def tables(self) -> Mapping[str, list[Record]]:
        found = self.server.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'clarity'"
        )
        return {name: self._rows(name) for name in (row["table_name"] for row in found)}

    def _rows(self, table: str) -> list[Record]:
        return [
            {
                name: _as_written_by_tap(name, value)
                for name, value in row.items()
                if name[:5] != "_sdc_"
            }
            for row in self.server.rows(f"SELECT * FROM clarity.{table}")  # noqa: S608
        ]


def _load(
    python: Path, name: str, settings: Mapping[str, Any], folder: Path, output: bytes
) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps(loader(name)["config"] | settings))
    executable = python.parent / loader(name)["executable"]
    done = load([executable, "--config", config], output, {"HOME": str(folder)})
    assert done.returncode == 0, done.stderr.decode()[-4000:]


def _as_written_by_tap(name: str, value: Any) -> Any:  # noqa: ANN401
    """Write a time, which PostgreSQL keeps without its zone, as the tap writes it."""
    return expected_tables.in_utc(f"{value}+00:00") if name in times() and value else value


@pytest.fixture
def duckdb(tmp_path: Path) -> DuckDB:
    if not find_spec("meltano"):  # nor would there be the DuckDB that the loader needs
        pytest.skip("the loader's DuckDB is not there for this Python")
    return DuckDB(installed_loader("target-duckdb"), tmp_path)


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[PostgreSQL]:
    definition = loader("target-postgres")
    python = installed("target-postgres", [definition["pip_url"], "pyarrow"])
    with postgres() as server:
        yield PostgreSQL(python, tmp_path, server)


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=needs_postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


def test_tables_of_all_streams_equal_expected_data_also_after_a_new_column(
    database: Database, two_day_load: TwoDayLoad
) -> None:
    database.load(two_day_load.first.output)
    _check(database, two_day_load.first.tables)
    database.load(two_day_load.first.output)
    _check(database, two_day_load.first.tables)

    database.load(two_day_load.second.output)
    assert NEW_COLUMN in database.tables()["metrics"][0]
    _check(database, two_day_load.first.tables | two_day_load.second.tables)


def _check(database: Database, expected: Mapping[str, list[Record]]) -> None:
    found = database.tables()
    assert found.keys() == expected.keys()
    for stream, rows in expected.items():
        check_same(found[stream], rows)


@needs_postgres
@pytest.mark.parametrize(
    "encoding",
    [{"format": "jsonl", "compression": "gzip"}, {"format": "parquet", "compression": "none"}],
    ids=lambda encoding: encoding["format"],
)
def test_batch_files_give_the_same_tables(postgresql: PostgreSQL, encoding: Record) -> None:
    storage = {"root": (postgresql.folder / "batches").as_uri()}
    streams = ("recent_measurements", "datasource_measurements")
    with town() as sandbox:
        expected = {
            stream: [*expected_tables.daily(sandbox)[stream].values()] for stream in streams
        }
        batches = {"encoding": encoding, "storage": storage}
        run = run_tap(
            sandbox, streams=streams, batch_config=batches, **expected_tables.DAILY
        ).check()
    assert not any(run.records(stream) for stream in streams)
    for _ in range(2):
        postgresql.load(run.output)
        _check(postgresql, expected)
