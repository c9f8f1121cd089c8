"""Batch files: what it costs to make them, by the tap and by the SDK's own batcher."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from pyarrow import parquet

from benchmarks.measure import Figures, check, emitted, interleaved, measure
from benchmarks.report import Table, ratios, spread
from benchmarks.stub import serving
from benchmarks.tap import MEASUREMENTS, settings_for, tap_command, vanilla_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.data import Report
    from benchmarks.session import Session

PARQUET = {"format": "parquet", "compression": "gzip"}
JSONL = {"format": "jsonl", "compression": "gzip"}
RECORDS = "tap, records"
HEAD = ("What", "CPU s", "Wall s", "Max RSS MiB", "CPU, in the tap's by records", "MiB", "Runs")
Runs = dict[str, list[Figures]]


def batch_config(encoding: dict[str, str], folder: Path) -> dict[str, Any]:
    """Give the setting by which files are written to a folder."""
    return {"batch_config": {"encoding": encoding, "storage": {"root": folder.as_uri()}}}


@dataclass
class Batches:
    """Everything that makes files of one report."""

    report: Report
    folder: Path
    url: str

    def __post_init__(self) -> None:
        self.sizes: dict[str, float] = {}
        """MiB of the files of each."""
        self._turns = count()

    def cases(self) -> dict[str, Callable[[], Figures]]:
        """Give what is run, by name."""
        return {
            RECORDS: self._records,
            "tap, jsonl.gz": partial(self._tap, "tap, jsonl.gz", JSONL),
            "tap, Parquet": partial(self._tap, "tap, Parquet", PARQUET),
            "SDK's batcher, jsonl.gz": partial(self._vanilla, "SDK's batcher, jsonl.gz", JSONL),
            "SDK's batcher, Parquet": partial(self._vanilla, "SDK's batcher, Parquet", PARQUET),
        }

    def _records(self) -> Figures:
        command = tap_command(self.folder, self.url, MEASUREMENTS, **settings_for(self.report.size))
        figures = measure(command)
        check(RECORDS, emitted(figures), self.report.records)
        return figures

    def _tap(self, name: str, encoding: dict[str, str]) -> Figures:
        settings = settings_for(self.report.size)

        def command(folder: Path) -> list[str]:
            more = batch_config(encoding, folder)
            return tap_command(self.folder, self.url, MEASUREMENTS, **settings, **more)

        return self._written(name, command)

    def _vanilla(self, name: str, encoding: dict[str, str]) -> Figures:
        def command(folder: Path) -> list[str]:
            return vanilla_command(self.folder, self.url, **batch_config(encoding, folder))

        return self._written(name, command)

    def _written(self, name: str, command: Callable[[Path], list[str]]) -> Figures:
        """Run what writes to a folder, and count what it has written."""
        folder = self.folder / f"files-{next(self._turns)}"
        folder.mkdir()
        figures = measure(command(folder))
        files = [*folder.iterdir()]
        check(name, sum(map(_records_in, files)), self.report.records)
        self.sizes[name] = sum(file.stat().st_size for file in files) / (1 << 20)
        shutil.rmtree(folder)
        return figures


def run(session: Session) -> Iterator[Table]:
    """Make batch files of a report, in turn."""
    report = session.report(session.sizes[:2][-1])
    with session.folder() as folder, serving(report=report.path) as url:
        batches = Batches(report, folder, url)
        cases = batches.cases()
        runs = interleaved(cases, dict.fromkeys(cases, session.rounds), session.say)
    yield _table(batches, runs)


def _records_in(file: Path) -> int:
    if file.suffix == ".gz" and ".json" in "".join(file.suffixes):
        with gzip.open(file) as lines:
            return sum(1 for _ in lines)
    return int(parquet.ParquetFile(file).metadata.num_rows)


def _table(batches: Batches, runs: Runs) -> Table:
    report = batches.report
    title = f"Batch files: {report.size.name}, {report.records:,} records"
    table = Table(title, HEAD, note="The records of all files are counted after each run.")
    base = [figures.cpu for figures in runs[RECORDS]]
    for name, figures in runs.items():
        cpu, wall = [each.cpu for each in figures], [each.wall for each in figures]
        memory = [each.memory for each in figures]
        cells = [spread(each) for each in (cpu, wall, memory, ratios(cpu, base))]
        size = f"{batches.sizes[name]:.1f}" if name in batches.sizes else ""
        table.rows.append([name, *cells, size, str(len(figures))])
    return table
