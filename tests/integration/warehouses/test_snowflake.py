"""Loads of all streams by MeltanoLabs' target into fakesnow, an emulator of Snowflake."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import expected_tables
from tests.support.meltano.project import check_same, town
from tests.support.tap_process import run_tap
from tests.support.warehouses.installed_programs import (
    HERE,
    free_port,
    installed,
    installed_loader,
    load,
    loader,
    serving,
)
from tests.support.warehouses.two_day_load import NEW_COLUMN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.support.tap_process import Record
    from tests.support.warehouses.two_day_load import TwoDayLoad

pytestmark = pytest.mark.warehouse

FAKESNOW = ("fakesnow[server]==0.12.1", "snowflake-connector-python<5")
ACCESS = {"account": "fakesnow", "user": "anybody", "password": "anything", "database": "AIR"}


@dataclass(frozen=True)
class Snowflake:
    """fakesnow's server, and the target that loads into it."""

    python: Path
    target: Path
    port: int
    folder: Path

    def load(self, output: bytes, schema: str) -> None:
        """Load a tap's output, with the settings of meltano.yml."""
        settings = loader("target-snowflake")["config"] | {"default_target_schema": schema}
        config = self.folder / "config.json"
        config.write_text(json.dumps(settings | ACCESS))
        command = (self.target, HERE / "snowflake_target.py", "--config", config)
        done = load(command, output, self._env)
        assert done.returncode == 0, done.stderr.decode()[-4000:]

    def tables(self, schema: str) -> dict[str, Any]:
        """Give the tables by their streams' names."""
        done = subprocess.run(
            [self.python, HERE / "snowflake_tables.py", ACCESS["database"], schema],
            env=self._env,
            capture_output=True,
            check=True,
        )
        return {name.lower(): table for name, table in json.loads(done.stdout).items()}

    @property
    def _env(self) -> dict[str, str]:
        return {"FAKESNOW_PORT": str(self.port)}


@pytest.fixture(scope="module")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snowflake]:
    target = installed_loader("target-snowflake")
    python = installed("fakesnow", FAKESNOW)
    port, folder = free_port(), tmp_path_factory.mktemp("snowflake")
    with serving([python, "-m", "fakesnow", "-s", "-p", str(port)], port, folder):
        yield Snowflake(python, target, port, folder)


def rows(table: dict[str, Any], names: Iterable[str]) -> list[Record]:
    """Give a table's rows as the tap has written them, without the target's own columns."""
    return [
        {
            name: _as_written_by_tap(row.get(name.upper()), table["types"][name.upper()])
            for name in names
        }
        for row in table["rows"]
    ]


def _as_written_by_tap(value: Any, kind: str) -> Any:  # noqa: ANN401
    return expected_tables.in_utc(value) if kind == "TIMESTAMP_TZ(9)" else value


def test_tables_of_all_streams_equal_expected_data_also_after_a_new_column(
    snowflake: Snowflake, two_day_load: TwoDayLoad
) -> None:
    snowflake.load(two_day_load.first.output, "DAILY")
    tables = snowflake.tables("DAILY")
    assert tables.keys() == two_day_load.first.tables.keys()
    for stream, right in two_day_load.first.tables.items():
        check_same(rows(tables[stream], right[0]), right)

    snowflake.load(two_day_load.second.output, "DAILY")
    tables = snowflake.tables("DAILY")
    assert [*tables["metrics"]["types"]][-1] == NEW_COLUMN.upper()
    for stream, right in two_day_load.second.tables.items():
        check_same(rows(tables[stream], right[0]), right)


def test_wide_rows_equal_expected_data_in_columns_of_the_right_types(snowflake: Snowflake) -> None:
    with town() as sandbox:
        expected = expected_tables.hourly_wide(sandbox)
        run = run_tap(
            sandbox, streams=["datasource_measurements"], **expected_tables.HOURLY
        ).check()
    snowflake.load(run.output, "HOURLY")
    table = snowflake.tables("HOURLY")["datasource_measurements"]
    check_same(rows(table, expected[0]), expected)
    kinds = {kind for name, kind in table["types"].items() if name.startswith("PM2_5_")}
    assert kinds == {"FLOAT", "VARCHAR(16777216)", "VARIANT"}
    assert table["types"]["TIME"] == "TIMESTAMP_TZ(9)"
    assert table["types"]["OTHER_METRICS"] == "VARIANT"
