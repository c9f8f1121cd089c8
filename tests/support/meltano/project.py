"""A Meltano project from the repository's meltano.yml, and the data expected after its runs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tap_clarity.demo.venv import clean_environment
from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.paths import ROOT
from tests.support.tap_process import LAUNCHER, expected_records, sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pytest
    from duckdb import DuckDBPyConnection

    from tests.support.tap_process import Key, Record

MELTANO_YML = ROOT / "meltano.yml"
MELTANO = Path(sys.executable).parent / "meltano"
NOWHERE = "http://127.0.0.1:9"
TIMEOUT = 180
START = datetime(2026, 3, 6, tzinfo=UTC)
START_SETTING = {"start_date": f"{START:%Y-%m-%d}"}
FIRST_RUN = datetime.fromisoformat(NOW)
REPORT_TAKES = timedelta(seconds=20)
CACHE = timedelta(hours=48)
REPORT = "/v2/report-requests"
# Clarity delivers these only where metric_select names them.
ON_REQUEST = {"pm10ConcMassNowcast", "pm10ConcMassNowcastUsEpaAqi"}
_ENVIRONMENT = {
    "MELTANO_CLI_LOG_FORMAT": "plain",
    "MELTANO_ENVIRONMENT": "sandbox",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
}


@dataclass(frozen=True)
class MeltanoResult:
    """A Meltano command that has ended."""

    status: int
    output: str
    log: str

    def check(self) -> MeltanoResult:
        """Fail, showing what was said, unless it ended well."""
        assert self.status == 0, self.log
        return self


@dataclass(frozen=True)
class Project:
    """A Meltano project in a folder of its own, and the loader that it is to use."""

    root: Path
    loader: str
    loader_settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, root: Path, loader: str) -> Project:
        """Make the user's project, save that the extractor is the launcher of the working copy."""
        (root / "output" / "sandbox").mkdir(parents=True)
        definition = yaml.safe_load(MELTANO_YML.read_text(encoding="utf-8"))
        (tap,) = definition["plugins"]["extractors"]
        # With a pip_url Meltano would look for the executable in that installation.
        del tap["pip_url"]
        tap["executable"] = "./tap-clarity"
        (root / "meltano.yml").write_text(yaml.safe_dump(definition), encoding="utf-8")
        script = root / tap["executable"]
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{LAUNCHER}" "$@"\n')
        script.chmod(0o755)
        project = cls(root, loader)
        project.meltano("install", loader).check()
        return project

    def copy(self, root: Path, **loader_settings: str | int) -> Project:
        """Give another project with the same past; the loader's installation is shared."""
        loaders = self.root / ".meltano" / "loaders"
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns(loaders.name))
        (root / ".meltano" / loaders.name).symlink_to(loaders)
        return Project(root, self.loader, loader_settings)

    def meltano(self, *args: str, sandbox: Sandbox | None = None, **settings: str) -> MeltanoResult:
        """Run a Meltano command, the tap's settings given as variables of the environment."""
        done = subprocess.run(
            [MELTANO, *args],
            cwd=self.root,
            env=self._environment(sandbox, settings),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return MeltanoResult(done.returncode, done.stdout, done.stderr)

    def start_load(self, sandbox: Sandbox, **settings: str) -> subprocess.Popen[bytes]:
        """Begin a load, and let the caller wait for its end."""
        return subprocess.Popen(
            [MELTANO, *self._run],
            cwd=self.root,
            env=self._environment(sandbox, START_SETTING | settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _environment(self, sandbox: Sandbox | None, settings: dict[str, str]) -> dict[str, str]:
        env = clean_environment() | _ENVIRONMENT
        env |= {"HOME": str(self.root), "MELTANO_PROJECT_ROOT": str(self.root)}
        if sandbox is not None:
            settings = sandbox_settings(sandbox) | settings
        env["TEST_SANDBOX_URL"] = sandbox.url if sandbox else NOWHERE
        loader = self.loader.upper().replace("-", "_")
        env |= {f"{loader}_{name.upper()}": str(v) for name, v in self.loader_settings.items()}
        return env | {f"TAP_CLARITY_{name.upper()}": value for name, value in settings.items()}

    @property
    def _run(self) -> Sequence[str]:
        return "run", "--no-install", "tap-clarity", self.loader

    def pids(self, program: str) -> list[int]:
        """Find the processes of a program that Meltano has started here."""
        return [
            int(folder.name)
            for folder in Path("/proc").iterdir()
            if folder.name.isdecimal()
            and program in (line := _command_line(folder))
            and str(self.root) in line
        ]

    def load(self, sandbox: Sandbox, *options: str, **settings: str) -> MeltanoResult:
        """Load what is new into the database."""
        return self.meltano(*self._run, *options, sandbox=sandbox, **START_SETTING | settings)

    def state(self) -> Record:
        """Read the Singer state as Meltano has stored it."""
        stored = json.loads(
            self.meltano("state", "get", f"sandbox:tap-clarity-to-{self.loader}").check().output
        )
        state: Record = stored["singer_state"]
        return state

    def tables(self) -> dict[str, list[Record]]:
        """Read all tables of DuckDB's file."""
        return duckdb_tables(self.root / "output" / "sandbox" / "warehouse.duckdb")


def create_once(
    factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], object]
) -> Path:
    """Give the folder of a name, made once for all of pytest's workers."""
    folder = factory.getbasetemp()
    root = (folder if worker_id == "master" else folder.parent) / name
    with root.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.with_suffix(".made").exists():
            make(root)
            root.with_suffix(".made").touch()
    return root


def duckdb_tables(path: Path) -> dict[str, list[Record]]:
    """Read DuckDB's file: all tables, all columns but those that the loader adds."""
    import duckdb  # noqa: PLC0415 - there is none for every Python

    with closing(duckdb.connect(str(path), read_only=True)) as database:
        names = database.sql("SELECT table_name FROM duckdb_tables()").fetchall()
        return {name: _rows(database, name) for (name,) in names}


def town() -> Sandbox:
    """Make the small world of all loads; at its first instant the project is loaded."""
    return Sandbox(seed=1, datasources=4, now=NOW, frozen=True)


def hourly(sandbox: Sandbox, start: datetime, end: datetime, as_of: datetime) -> dict[Key, Record]:
    """Tell the hours of [start, end) as they were told at an instant, by key."""
    measurements = sandbox.expected.measurements("hour", start, end, as_of)
    return expected_records(each for each in measurements if each.metric not in ON_REQUEST)


def check_same(found: Iterable[Record], expected: Iterable[Record]) -> None:
    """Compare tables of many rows, whatever their order; a failure shows a few."""
    found_lines, expected_lines = ([_line(row) for row in table] for table in (found, expected))
    assert expected_lines, "nothing to compare with"
    assert sorted(set(expected_lines) - set(found_lines))[:3] == [], "missing"
    assert sorted(set(found_lines) - set(expected_lines))[:3] == [], "not true"
    assert len(found_lines) == len(expected_lines)


def _line(row: Record) -> str:
    # A database's numbers may be floats, all of them.
    plain = {name: float(value) if type(value) is int else value for name, value in row.items()}
    return json.dumps(plain, sort_keys=True)


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it has just ended
        return ""


def _rows(database: DuckDBPyConnection, table: str) -> list[Record]:
    found = database.table(f"clarity.{table}")
    columns = [*zip(found.columns, map(str, found.types), strict=True)]
    return [
        {
            name: _as_json(value, kind)
            for (name, kind), value in zip(columns, row, strict=True)
            if not name.startswith("_sdc_")
        }
        for row in found.fetchall()
    ]


def _as_json(value: Any, kind: str) -> Any:  # noqa: ANN401
    if value is None:
        return None
    if kind == "TIMESTAMP":
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return json.loads(value) if kind == "JSON" else value
