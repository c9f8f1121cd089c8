"""How much memory the tap takes at most, by the size of what it reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import recent
from benchmarks.data import FULL, SMALL, TENTH, Size
from benchmarks.measure import Figures, check, emitted, interleaved, measure
from benchmarks.recent import Recent
from benchmarks.report import Promise, Table, spread
from benchmarks.stub import serving
from benchmarks.tap import MEASUREMENTS, settings_for, tap_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.session import Session

HEAD = ("What the tap reads", "Max RSS MiB", "Over the base, MiB", "CPU s", "Runs")
BASE = "nothing: an empty report, the base"
JSON, CSV = "recent measurements, JSON", "recent measurements, CSV"
NOTHING = Size("nothing", 0, SMALL.hours)
LAYOUTS = ("long", "wide")
Runs = dict[str, list[Figures]]


@dataclass(frozen=True)
class Readings:
    """All that is read."""

    session: Session
    recent: Recent
    folder: Path

    def cases(self) -> dict[str, Callable[[], Figures]]:
        """Give what is run, by name."""
        reports = {
            _name(size, layout): partial(self._report, size, layout)
            for size in self.session.sizes
            for layout in LAYOUTS
        }
        return {
            BASE: partial(self._report, NOTHING, "long"),
            **reports,
            CSV: partial(self._recent, self.recent.csv),
            JSON: partial(self._recent, self.recent.json),
        }

    def _report(self, size: Size, layout: str) -> Figures:
        report = self.session.report(size)
        with serving(report=report.path) as url:
            settings = {"layout": layout, **settings_for(size)}
            figures = measure(tap_command(self.folder, url, MEASUREMENTS, **settings))
        truth = report.records if layout == "long" else report.rows
        check(_name(size, layout), emitted(figures), truth)
        return figures

    def _recent(self, path: Path) -> Figures:
        with serving(recent=path) as url:
            command = tap_command(self.folder, url, "recent_measurements", recover_gaps=False)
            figures = measure(command)
        check(f"recent measurements, {path.name}", emitted(figures), self.recent.records)
        return figures


def run(session: Session) -> Iterator[Table | Promise]:
    """Run the tap on reports of all sizes, and on one large reply in either format."""
    size = recent.LARGE if session.is_large else recent.SMALL
    reply = Recent.make(session.report(size))
    with session.folder() as folder:
        cases = Readings(session, reply, folder).cases()
        runs = interleaved(cases, dict.fromkeys(cases, session.rounds), session.say)
    yield _table(runs, reply)
    yield from _promises(session, runs)


def _name(size: Size, layout: str) -> str:
    return f"{size.name} report, {layout}"


def _memory(runs: Runs, name: str) -> float:
    return median(each.memory for each in runs[name])


def _table(runs: Runs, reply: Recent) -> Table:
    note = (
        f"The reply holds {reply.records:,} records: {reply.json_mb:.0f} MB of JSON unzipped,"
        " or the same as CSV."
    )
    table = Table("Memory", HEAD, note=note)
    base = _memory(runs, BASE)
    for name, figures in runs.items():
        memory, cpu = [each.memory for each in figures], [each.cpu for each in figures]
        over_base = [each - base for each in memory]
        cells = (spread(memory), spread(over_base), spread(cpu))
        table.rows.append([name, *cells, str(len(figures))])
    return table


def _promises(session: Session, runs: Runs) -> Iterator[Promise]:
    largest = session.sizes[-1]
    for layout in LAYOUTS:
        found = _memory(runs, _name(largest, layout))
        yield Promise(f"MiB for a {largest.name} report, {layout}", 80, found)
        if {TENTH, FULL} <= {*session.sizes}:
            growth = found - _memory(runs, _name(TENTH, layout))
            yield Promise(f"MiB more from tenth to full, {layout}", 5, growth)
    if session.is_large:
        over_base = _memory(runs, JSON) - _memory(runs, BASE)
        yield Promise("MiB over the base for 50 MB of JSON", 100, over_base)
