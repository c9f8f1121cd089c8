"""A report to RECORD lines: the tap, the vanilla tap, the C floor and `clarityio`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.data import FULL, ORG
from benchmarks.measure import Figures, check, emitted, interleaved, measure
from benchmarks.report import Promise, Table, ratios, spread
from benchmarks.session import HERE
from benchmarks.stub import serving
from benchmarks.tap import MEASUREMENTS, settings_for, tap_command, vanilla_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.data import Report
    from benchmarks.session import Session

TAP, WIDE = "tap", "tap, wide"
VANILLA, VANILLA_WIDE = "vanilla SDK tap", "vanilla SDK tap, wide"
FLOOR, START_UP = "C floor", "tap's start-up (empty report)"
READ, LINES = "clarityio: read only", "clarityio: read, melt, to_json"
HEAD = (
    *("What", "CPU s", "Wall s", "Max RSS MiB"),
    *("Less CPU than vanilla, times", "CPU, in floors", "Runs"),
)
NOTE = (
    "Medians; in brackets the least and the most. CPU is user and system. Output goes to"
    " /dev/null. Wide is compared with the vanilla tap's wide records. The floor neither fetches"
    " nor proves anything; `clarityio` gives a table in memory, not records, and proves nothing."
)
CLARITYIO = ("clarityio", "clarityio~=1.1", "pandas")
Runs = dict[str, list[Figures]]


@dataclass(frozen=True)
class Records:
    """All that is run on one report; where the address is served is known last."""

    session: Session
    report: Report
    folder: Path
    url: str
    empty_url: str

    def cases(self) -> dict[str, Callable[[], Figures]]:
        """Give what is run, by name."""
        cases = {
            TAP: lambda: self._tap("long"),
            VANILLA: lambda: self._vanilla("long"),
            WIDE: lambda: self._tap("wide"),
            VANILLA_WIDE: lambda: self._vanilla("wide"),
            FLOOR: self._floor,
            READ: lambda: self._clarityio("read", self.report.rows),
            LINES: lambda: self._clarityio("lines", self.report.records),
            START_UP: self._start_up,
        }
        if self.report.size == FULL:
            del cases[LINES]  # it would take more memory than most machines have
        return cases

    def _expected_count(self, layout: str) -> int:
        return self.report.records if layout == "long" else self.report.rows

    def _tap(self, layout: str) -> Figures:
        settings = settings_for(self.report.size)
        command = tap_command(self.folder, self.url, MEASUREMENTS, layout=layout, **settings)
        return _checked(f"tap, {layout}", command, self._expected_count(layout))

    def _vanilla(self, layout: str) -> Figures:
        command = vanilla_command(self.folder, self.url, layout)
        return _checked(f"vanilla tap, {layout}", command, self._expected_count(layout))

    def _start_up(self) -> Figures:
        settings = settings_for(self.report.size)
        return _checked(
            START_UP, tap_command(self.folder, self.empty_url, MEASUREMENTS, **settings), 0
        )

    def _floor(self) -> Figures:
        figures = measure([self.session.cache / "floor", self.report.path, ORG])
        check(FLOOR, int(figures.errors), self.report.records)
        return figures

    def _clarityio(self, task: str, expected: int) -> Figures:
        python = self.session.environment(*CLARITYIO) / "python"
        period = [self.report.size.end.isoformat() for _ in range(2)]
        figures = measure([python, HERE / "peer.py", self.url, *period, task])
        check(f"clarityio, {task}", int(figures.errors.split()[-1]), expected)
        return figures


def run(session: Session) -> Iterator[Table | Promise]:
    """Run all cases at all sizes."""
    session.floor()
    for size in session.sizes:
        runs = run_at(session, session.report(size))
        yield _table(session.report(size), runs, session.versions(*CLARITYIO))
        yield from _promises(session.report(size), runs)


def run_at(session: Session, report: Report) -> Runs:
    """Run all cases on one report, interleaved."""
    empty = session.report(replace(report.size, datasources=0))
    with (
        session.folder() as folder,
        serving(report=report.path) as url,
        serving(report=empty.path) as empty_url,
    ):
        cases = Records(session, report, folder, url, empty_url).cases()
        rounds = dict.fromkeys(cases, session.rounds)
        if report.size == FULL:
            rounds |= {VANILLA: session.vanilla_rounds, VANILLA_WIDE: session.vanilla_rounds}
        return interleaved(cases, rounds, session.say)


def _checked(what: str, command: list[str], expected: int) -> Figures:
    figures = measure(command)
    check(what, emitted(figures), expected)
    return figures


def _cpu(runs: Runs, name: str) -> list[float]:
    return [figures.cpu for figures in runs[name]]


def _table(report: Report, runs: Runs, versions: str) -> Table:
    title = f"Records: {report.size.name}, {report.rows:,} rows, {report.records:,} records"
    mib = report.path.stat().st_size / (1 << 20)
    note = f"{_pace(report, runs)}\n\n{NOTE} The file has {mib:.1f} MiB, zipped. {versions}."
    table = Table(title, HEAD, note=note)
    for name, figures in runs.items():
        vanilla = VANILLA_WIDE if name in {WIDE, VANILLA_WIDE} else VANILLA
        cells = [name, spread(_cpu(runs, name)), spread([each.wall for each in figures])]
        cells.append(spread([each.memory for each in figures]))
        if name == START_UP:
            cells += ["", ""]
        else:
            cells.append(spread(ratios(_cpu(runs, vanilla), _cpu(runs, name))))
            cells.append(spread(ratios(_cpu(runs, name), _cpu(runs, FLOOR))))
        table.rows.append([*cells, str(len(figures))])
    return table


def _pace(report: Report, runs: Runs) -> str:
    long, wide = _net(runs, TAP, report.records), _net(runs, WIDE, report.rows)
    return (
        "Net of start-up, the tap writes per second and core, in thousands:"
        f" {spread(long)} long records, {spread(wide)} wide ones."
    )


def _net(runs: Runs, name: str, count: int) -> list[float]:
    """Give thousands of records per second of CPU beside the start-up."""
    start_up = median(_cpu(runs, START_UP))
    return [count / 1000 / max(cpu - start_up, 0.001) for cpu in _cpu(runs, name)]


def _promises(report: Report, runs: Runs) -> Iterator[Promise]:
    if report.size != FULL:
        return

    def median_of(over: str, under: str) -> float:
        return median(ratios(_cpu(runs, over), _cpu(runs, under)))

    yield Promise("Times less CPU than vanilla, full", 30, median_of(VANILLA, TAP), at_most=False)
    yield Promise(
        "Times less CPU than vanilla, wide, full",
        5,
        median_of(VANILLA_WIDE, WIDE),
        at_most=False,
    )
    pace = median(_net(runs, TAP, report.records))
    yield Promise("Thousand records per second and core, full", 1000, pace, at_most=False)
    yield Promise("CPU, in floors, full", 10, median_of(TAP, FLOOR))
