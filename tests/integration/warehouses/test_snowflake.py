"""MeltanoLabs' target for Snowflake loads all streams into fakesnow, and it is the truth."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import expected_tables as truth
from tests.support.load_fixture import NEW_COLUMN
from tests.support.meltano_project import check_same, town
from tests.support.tap_process import run_tap
from tests.support.warehouses.programs import (
    HERE,
    free_port,
    installed,
    installed_loader,
    load,
    loader,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.support.load_fixture import Days
    from tests.support.tap_process import Record

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
        command = (self.target, HERE / "into_snowflake.py", "--config", config)
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
        {name: _as_told(row.get(name.upper()), table["types"][name.upper()]) for name in names}
        for row in table["rows"]
    ]


def _as_told(value: Any, kind: str) -> Any:  # noqa: ANN401
    return truth.in_utc(value) if kind == "TIMESTAMP_TZ(9)" else value


def test_all_streams_hold_the_truth_and_a_day_later_too_with_a_new_column(
    snowflake: Snowflake, days: Days
) -> None:
    snowflake.load(days.first.output, "DAILY")
    tables = snowflake.tables("DAILY")
    assert tables.keys() == days.first.tables.keys()
    for stream, right in days.first.tables.items():
        check_same(rows(tables[stream], right[0]), right)

    snowflake.load(days.second.output, "DAILY")
    tables = snowflake.tables("DAILY")
    assert [*tables["metrics"]["types"]][-1] == NEW_COLUMN.upper()
    for stream, right in days.second.tables.items():
        check_same(rows(tables[stream], right[0]), right)


def test_wide_rows_hold_the_truth_in_columns_of_the_right_types(snowflake: Snowflake) -> None:
    with town() as sandbox:
        wanted = truth.hourly_wide(sandbox)
        run = run_tap(sandbox, streams=["datasource_measurements"], **truth.HOURLY).check()
    snowflake.load(run.output, "HOURLY")
    table = snowflake.tables("HOURLY")["datasource_measurements"]
    check_same(rows(table, wanted[0]), wanted)
    kinds = {kind for name, kind in table["types"].items() if name.startswith("PM2_5_")}
    assert kinds == {"FLOAT", "VARCHAR(16777216)", "VARIANT"}
    assert table["types"]["TIME"] == "TIMESTAMP_TZ(9)"
    assert table["types"]["OTHER_METRICS"] == "VARIANT"
