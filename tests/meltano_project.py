"""A Meltano project of the repository's own meltano.yml, which loads a sandbox into DuckDB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tap_clarity.demo.environment import clean_environment
from tests.tapping import LAUNCHER

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tap_clarity.sandbox import Sandbox
    from tests.tapping import Record

MELTANO_YML = Path(__file__).parents[1] / "meltano.yml"
MELTANO = Path(sys.executable).parent / "meltano"
STATE_ID = "sandbox:tap-clarity-to-target-duckdb"
NOWHERE = "http://127.0.0.1:9"
TIMEOUT = 180
RUN = ("run", "--no-install", "tap-clarity", "target-duckdb")
_ENVIRONMENT = {
    "MELTANO_CLI_LOG_FORMAT": "plain",
    "MELTANO_ENVIRONMENT": "sandbox",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
    "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
}


@dataclass(frozen=True)
class Done:
    """A Meltano command that has ended."""

    status: int
    output: str
    log: str

    def check(self) -> Done:
        """Fail, showing what was said, unless it ended well."""
        assert self.status == 0, self.log
        return self


@dataclass(frozen=True)
class Project:
    """A Meltano project in a folder of its own."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Project:
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
        return cls(root)

    def copy(self, root: Path) -> Project:
        """Give another project with the same past; the loader's installation is shared."""
        loaders = self.root / ".meltano" / "loaders"
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns(loaders.name))
        (root / ".meltano" / loaders.name).symlink_to(loaders)
        return Project(root)

    def meltano(self, *args: str, sandbox: Sandbox | None = None, **settings: str) -> Done:
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
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, sandbox: Sandbox, **settings: str) -> subprocess.Popen[bytes]:
        """Begin a load, and let the caller wait for its end."""
        return subprocess.Popen(
            [MELTANO, *RUN],
            cwd=self.root,
            env=self._environment(sandbox, settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _environment(self, sandbox: Sandbox | None, settings: dict[str, str]) -> dict[str, str]:
        env = clean_environment() | _ENVIRONMENT
        env |= {"HOME": str(self.root), "MELTANO_PROJECT_ROOT": str(self.root)}
        if sandbox is not None:
            access = {"api_url": sandbox.url, "api_key": sandbox.api_key, "org": sandbox.org}
            settings = access | settings
        env["TEST_SANDBOX_URL"] = sandbox.url if sandbox else NOWHERE
        return env | {f"TAP_CLARITY_{name.upper()}": value for name, value in settings.items()}

    def pids(self, program: str) -> list[int]:
        """Find the processes of a program that Meltano has started here."""
        return [
            int(folder.name)
            for folder in Path("/proc").iterdir()
            if folder.name.isdecimal()
            and program in (line := _command_line(folder))
            and str(self.root) in line
        ]

    def run(self, sandbox: Sandbox, *options: str, **settings: str) -> Done:
        """Load what is new into the database."""
        return self.meltano(*RUN, *options, sandbox=sandbox, **settings)

    def state(self) -> Record:
        """Read the Singer state as Meltano has stored it."""
        stored = json.loads(self.meltano("state", "get", STATE_ID).check().output)
        state: Record = stored["singer_state"]
        return state

    def tables(self) -> dict[str, list[Record]]:
        """Read the database: all tables, all columns but those that the loader adds."""
        import duckdb  # noqa: PLC0415 - there is none for every Python

        path = self.root / "output" / "sandbox" / "warehouse.duckdb"
        with closing(duckdb.connect(str(path), read_only=True)) as database:
            names = database.sql("SELECT table_name FROM duckdb_tables()").fetchall()
            return {name: _rows(database, name) for (name,) in names}


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
