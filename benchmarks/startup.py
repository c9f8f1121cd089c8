"""How long the tap takes to do nothing."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure import interleaved, measure
from benchmarks.report import Promise, Table, ratios, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.session import Session

ROUNDS = 11
PROGRAM = Path(sys.executable).with_name("tap-clarity")
SDK = 'python -c "import singer_sdk"'
COMMANDS: dict[str, list[str | Path]] = {
    SDK: [sys.executable, "-c", "import singer_sdk"],
    "tap-clarity --version": [PROGRAM, "--version"],
    "tap-clarity --discover": [PROGRAM, "--discover"],
}
HEAD = ("Command", "Wall s", "CPU s", "Max RSS MiB", "Wall, in imports of the SDK")


def run(session: Session) -> Iterator[Table | Promise]:
    """Run the commands in turn."""
    cases = {name: partial(measure, words) for name, words in COMMANDS.items()}
    rounds = dict.fromkeys(cases, max(session.rounds, ROUNDS))
    for each in cases.values():
        each()  # so that none finds a cold disk
    runs = interleaved(cases, rounds, lambda _: None)
    table = Table(f"Start-up, {rounds[SDK]} rounds", HEAD)
    found = []
    for name, figures in runs.items():
        wall = [each.wall for each in figures]
        to_sdk = ratios(wall, [each.wall for each in runs[SDK]])
        rest = ([each.cpu for each in figures], [each.memory for each in figures], to_sdk)
        table.rows.append([f"`{name}`", *map(spread, (wall, *rest))])
        if name != SDK:
            found.append(Promise(f"`{name}`, in imports of the SDK", 1.25, median(to_sdk)))
    yield table
    yield from found
