"""Into real loaders: how much sooner a report is in the table, and at what cost."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.batch import JSONL, PARQUET, batch_config
from benchmarks.data import Size
from benchmarks.measure import Figures, check, interleaved, measure_pipe
from benchmarks.report import Table, ratios, spread
from benchmarks.session import output_of
from benchmarks.stub import serving
from benchmarks.tap import MEASUREMENTS, settings_for, tap_command, vanilla_command
from tests.support.postgres_server import PROGRAMS, Postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.data import Report
    from benchmarks.session import Session

LARGE = Size("large", 50, 244)
SMALL = Size("small", 50, 61)
VANILLA = "vanilla SDK tap, records"
HEAD = (
    *("What", "Wall s", "CPU s", "Max RSS MiB"),
    *("Times sooner than vanilla", "Measurements a second", "Runs"),
)
NOTE = (
    "The wall time is that of tap and loader together, each with its start-up; so is the CPU. The"
    " memory is that of the larger of the two. After each run the rows in the table are counted: as"
    " many as there are measurements (wide: as rows in the report)."
)
Runs = dict[str, list[Figures]]


@dataclass
class Loader(ABC):
    """A target in an environment of its own; each run has a number, and begins with nothing."""

    session: Session
    name: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]]
    takes_files: ClassVar[bool] = False

    @abstractmethod
    def config(self, folder: Path, turn: int) -> dict[str, Any]:
        """Give the target's settings."""

    @abstractmethod
    def rows(self, folder: Path, turn: int) -> int:
        """Count what that run has loaded."""

    @property
    def programs(self) -> Path:
        return self.session.environment(self.name, *self.requirements)

    @property
    def versions(self) -> str:
        """Say what it is made of."""
        return self.session.versions(self.name, *self.requirements)

    def command(self, folder: Path, turn: int) -> list[str | Path]:
        """Give the command of that run."""
        path = folder / "target.json"
        path.write_text(json.dumps(self.config(folder, turn)), encoding="utf-8")
        return [self.programs / self.name, "--config", path]


class Jsonl(Loader):
    """target-jsonl, which writes a file."""

    name = "target-jsonl"
    requirements = ("target-jsonl==0.1.4",)

    def config(self, folder: Path, turn: int) -> dict[str, Any]:
        out = folder / f"out-{turn}"
        out.mkdir()
        return {"destination_path": str(out), "do_timestamp_file": False}

    def rows(self, folder: Path, turn: int) -> int:
        (file,) = (folder / f"out-{turn}").glob("*.jsonl")
        with file.open("rb") as lines:
            return sum(1 for _ in lines)


class DuckDB(Loader):
    """target-duckdb; with a newer DuckDB it loses rows."""

    name = "target-duckdb"
    requirements = ("target-duckdb~=0.8.0", "duckdb<1.3")

    def config(self, folder: Path, turn: int) -> dict[str, Any]:
        return {"filepath": str(self._file(folder, turn)), "default_target_schema": "clarity"}

    def rows(self, folder: Path, turn: int) -> int:
        code = (
            "import duckdb, sys; file = duckdb.connect(sys.argv[1]);"
            "print(file.table(sys.argv[2]).shape[0])"
        )
        file, table = self._file(folder, turn), f"clarity.{MEASUREMENTS}"
        return int(output_of(self.programs / "python", "-c", code, file, table))

    @staticmethod
    def _file(folder: Path, turn: int) -> Path:
        return folder / f"warehouse-{turn}.duckdb"


@dataclass
class PostgreSQL(Loader):
    """target-postgres, by COPY, into a server of its own."""

    server: Postgres
    name = "target-postgres"
    requirements = ("meltanolabs-target-postgres~=0.8.1", "pyarrow")
    takes_files = True

    @property
    def versions(self) -> str:
        (row,) = self.server.rows("SELECT current_setting('server_version') AS version")
        return f"{super().versions}, PostgreSQL {row['version']}"

    def config(self, folder: Path, turn: int) -> dict[str, Any]:  # noqa: ARG002
        server = self.server
        return {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": "none",
            "database": server.database,
            "default_target_schema": f"clarity_{turn}",
            "use_copy": True,
        }

    def rows(self, folder: Path, turn: int) -> int:  # noqa: ARG002
        (row,) = self.server.rows(f"SELECT count(*) FROM clarity_{turn}.{MEASUREMENTS}")  # noqa: S608
        return int(row["count"])


@dataclass
class Loading:
    """All ways into one loader."""

    report: Report
    url: str
    folder: Path
    loader: Loader
    turns: Iterator[int] = field(default_factory=count)

    def cases(self) -> dict[str, Callable[[], Figures]]:
        """Give what is run, by name."""
        rows, records = self.report.rows, self.report.records
        vanilla = vanilla_command(self.folder, self.url)
        cases: dict[str, Callable[[], Figures]] = {
            VANILLA: partial(self._load, VANILLA, vanilla, records),
            "tap, records": partial(self._tap, "tap, records", records),
            "tap, records, wide": partial(self._tap, "tap, records, wide", rows, layout="wide"),
        }
        for name, encoding in (("tap, jsonl.gz", JSONL), ("tap, Parquet", PARQUET)):
            if self.loader.takes_files:
                cases[name] = partial(self._tap, name, records, encoding=encoding)
        return cases

    def _tap(
        self, name: str, truth: int, layout: str = "long", encoding: dict[str, str] | None = None
    ) -> Figures:
        settings: dict[str, Any] = {"layout": layout, **settings_for(self.report.size)}
        if encoding:
            files = self.folder / f"files-{next(self.turns)}"
            files.mkdir()
            settings |= batch_config(encoding, files)
        command = tap_command(self.folder, self.url, MEASUREMENTS, **settings)
        return self._load(name, command, truth)

    def _load(self, name: str, tap: list[str], truth: int) -> Figures:
        turn = next(self.turns)
        figures = measure_pipe(tap, self.loader.command(self.folder, turn))
        check(f"{name} into {self.loader.name}", self.loader.rows(self.folder, turn), truth)
        return figures


def run(session: Session) -> Iterator[Table]:
    """Load a report by each of the ways into each of the loaders."""
    report = session.report(LARGE if session.is_large else SMALL)
    for loader in (Jsonl(session), DuckDB(session)):
        yield _load(session, report, loader)
    if PROGRAMS:
        with postgres() as server:
            yield _load(session, report, PostgreSQL(session, server))
    else:
        yield Table("Into target-postgres", HEAD, note="Not run: there is no PostgreSQL server.")


def _load(session: Session, report: Report, loader: Loader) -> Table:
    with session.folder() as folder, serving(report=report.path) as url:
        cases = Loading(report, url, folder, loader).cases()
        runs = interleaved(cases, dict.fromkeys(cases, session.rounds), session.say)
    title = f"Into {loader.name}: {report.records:,} measurements"
    table = Table(title, HEAD, note=f"{NOTE} {loader.versions}.")
    vanilla = [figures.wall for figures in runs[VANILLA]]
    for name, figures in runs.items():
        wall, cpu = [each.wall for each in figures], [each.cpu for each in figures]
        memory, pace = [each.memory for each in figures], [report.records / each for each in wall]
        cells = map(spread, (wall, cpu, memory, ratios(vanilla, wall), pace))
        table.rows.append([name, *cells, str(len(figures))])
    return table
