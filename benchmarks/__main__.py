"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data import FULL, SMALL, TENTH
from benchmarks.machine import machine
from benchmarks.report import Promise, promises
from benchmarks.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PARTS = ("startup", "records", "memory", "batch", "end_to_end", "waiting", "children")
CACHE = Path("~/.cache/tap-clarity-benchmarks")
UNSET_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Variables with which no user runs a tap: an installed one has its bytecode."""
MARKS = re.compile(r"(?s)(<!-- benchmarks: begin .*?-->\n).*?(<!-- benchmarks: end -->)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for, print their tables, and write them down."""
    options = _parser().parse_args(arguments)
    for variable in UNSET_VARIABLES:
        os.environ.pop(variable, None)
    sizes = (SMALL, *((TENTH,) * (options.tenth or options.full)), *((FULL,) * options.full))
    session = Session(
        cache=options.cache.expanduser(),
        sizes=sizes,
        rounds=options.rounds,
        vanilla_rounds=options.vanilla_rounds,
        is_large=len(sizes) > 1,
    )
    pieces, failures = _run(session, options.only or PARTS)
    result = "\n\n".join([machine(), *pieces])
    session.cache.mkdir(parents=True, exist_ok=True)
    (session.cache / "result.md").write_text(f"{result}\n", encoding="utf-8")
    if options.write:
        write_into(options.write, result)
    return min(failures, 1)


def _run(session: Session, parts: Iterable[str]) -> tuple[list[str], int]:
    """Give what the parts have to show, and how many have failed."""
    pieces: list[str] = []
    kept: list[Promise] = []
    failures = 0

    def show(piece: object) -> None:
        print(f"\n{piece}\n", flush=True)
        pieces.append(str(piece))

    for part in parts:
        session.say(f"{part} ...")
        try:
            for found in import_module(f"benchmarks.{part}").run(session):
                if isinstance(found, Promise):
                    kept.append(found)
                else:
                    show(found)
        except Exception as error:  # noqa: BLE001 - an hour's figures of the others are not lost
            failures += 1
            traceback.print_exc()
            show(f"**{part} failed, so that its figures are missing:** {error}")
    if kept:
        show(promises(kept))
    return pieces, failures


def write_into(page: Path, result: str) -> None:
    """Put the result between the page's two marks."""
    text = page.read_text(encoding="utf-8")
    written, found = MARKS.subn(lambda marks: f"{marks[1]}\n{result}\n{marks[2]}", text)
    if not found:
        sys.exit(f"{page} has no line '<!-- benchmarks: begin ... -->' with its end")
    page.write_text(written, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--tenth", action="store_true", help="also a tenth of the full size: 87,600 rows")
    add("--full", action="store_true", help="also the full size, 876,000 rows; takes long")
    add("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    add("--rounds", type=int, default=3, help="how often each thing is run (default: 3)")
    add(
        "--vanilla-rounds",
        type=int,
        default=1,
        help="how often the vanilla SDK tap is run at full size, ten minutes each (default: 1)",
    )
    add("--cache", type=Path, default=CACHE, help=f"data and environments (default: {CACHE})")
    add("--write", type=Path, metavar="PAGE", help="put the result between the marks of a page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
