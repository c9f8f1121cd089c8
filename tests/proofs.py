"""What was done to the tap, and what came of it: docs/proofs.md.

`python -m tests.proofs` tries all of it, which takes about an hour, and writes the page's tables
anew; with names of tables, only these.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

from tests import fuzzing, sweep
from tests.planted import BUGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.sweep import Outcome

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "proofs.md"
MARKS = r"(?s)(<!-- {name}: begin .*?-->\n).*?(<!-- {name}: end -->)"
EXAMPLES = 1_000


class Promise(NamedTuple):
    """A promise, and the tests that show it."""

    promise: str
    tests: tuple[str, ...]


PROMISES = (
    Promise(
        "Killed at any moment and started again: nothing is lost, nothing is there twice",
        ("test_crash_sweep", "test_signals", "test_meltano", "test_postgres"),
    ),
    Promise(
        "A gap heals, whatever it came from",
        (
            "test_recovery",
            "test_holes",
            "test_outages",
            "test_fortnight",
            "planning/test_recovery_model",
        ),
    ),
    Promise("A report is asked for once", ("test_reports", "test_crash_sweep", "test_quota")),
    Promise(
        "A file counts only when it is proven",
        ("test_report_files", "measurements/test_csv", "test_hostile"),
    ),
    Promise(
        "Reports stay within the day's quota, over all streams",
        ("test_quota", "planning/test_due", "test_plan"),
    ),
    Promise("Windows cover the range once", ("planning/test_windows", "planning/test_due")),
    Promise("Streams run in order, and fail apart", ("test_order", "test_faults")),
    Promise(
        "An error is one line that says what to do",
        (
            "test_faults",
            "test_settings",
            "test_command",
            "test_input_files",
            "test_hostile",
            "test_fuzz_settings",
        ),
    ),
    Promise("Secrets stay in", ("test_secrets", "test_faults", "api/test_travel")),
    Promise("State is small, and survives junk", ("test_state", "planning/test_bookmarks")),
    Promise("Memory is flat", ("test_scale", "test_hostile")),
    Promise("BATCH files hold the same records", ("test_batches",)),
    Promise(
        "The fast path gives what the slow path gives",
        ("measurements/test_lines", "test_measurements"),
    ),
    Promise(
        "What arrives in a database is the truth, row for row",
        (
            *("test_meltano", "test_postgres", "warehouses/test_databases"),
            *("warehouses/test_snowflake", "warehouses/test_bigquery"),
        ),
    ),
)
TRIED = {
    "test_faults": "calls that fail, once or for ever ([list](faults.md))",
    "test_report_files": "faults in report files ([list](report-faults.md))",
    "test_quirks": "quirks of the API ([list](discrepancies.md))",
    "test_hostile": "hostile replies, refused by name in bounded memory, disk and time",
    "test_secrets": "searches for the key, the token and signatures, of which none was found",
    "test_state": "states of the future, of others, cut, enormous and of wrong types",
    "test_settings": "mistakes in settings",
    "test_command": "mistakes on the command line and in the environment",
    "test_input_files": "config, catalog and state files of other forms",
    "test_signals": "signals",
    "test_outages": "outages ([list](recovery.md))",
}


def promises_table() -> str:
    rows = (
        (promise, ", ".join(f"[`{name}`](../tests/{name}.py)" for name in tests))
        for promise, tests in PROMISES
    )
    return _table(("Promise", "Shown by"), rows)


def strikes_table() -> str:
    """Strike everywhere, then with each bug until it is found."""
    kinds = {
        "Killed between two lines of its output, or within one": sweep.kills_at_lines,
        "Killed before or during an exchange, or its answer spoilt": sweep.blows_at_exchanges,
    }
    rows = [(what, *_counts(sweep.sweep(blows(thorough=True)))) for what, blows in kinds.items()]
    rows += [(f"Planted bug: {bug}", *_counts(sweep.find(bug))) for bug in BUGS]
    head = ("What strikes", "Tried", "Lost", "Doubled", "Untrue", "Asked twice", "Not finished")
    return f"On {_today()}:\n\n{_table(head, rows)}"


def examples_table() -> str:
    tried = fuzzing.try_all(EXAMPLES).items()
    rows = [(name.removeprefix("test_").replace("_", " "), f"{count:,}") for name, count in tried]
    return f"On {_today()}:\n\n{_table(('What held', 'Examples'), rows)}"


def cases_table() -> str:
    """Run the tests that try faults one by one, and count the cases that passed."""
    counts = _passed(TRIED)
    rows = ((what, counts[name]) for name, what in TRIED.items())
    return f"On {_today()}:\n\n{_table(('What was tried', 'Cases passed'), rows)}"


def _passed(names: Iterable[str]) -> dict[str, int]:
    files = {name: f"tests/{name}.py" for name in names}
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report.name}", *files.values()],
            cwd=ROOT,
            check=True,
        )
        cases = list(ET.parse(report.name).iter("testcase"))  # noqa: S314 - pytest wrote it
    ran = [case for case in cases if case.find("skipped") is None]
    modules = [case.get("classname", "").removeprefix("tests.") for case in ran]
    return {name: modules.count(name.replace("/", ".")) for name in files}


def _counts(outcome: Outcome) -> Iterator[str]:
    return map(str, outcome.__dict__.values())


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


PARTS = {
    "promises": promises_table,
    "strikes": strikes_table,
    "examples": examples_table,
    "cases": cases_table,
}


def renewed(text: str, name: str) -> str:
    """Put a part, made anew, between its marks.

    Raises:
        LookupError: If the page has no such marks.
    """
    made = PARTS[name]()
    marks = MARKS.format(name=name)
    new, found = re.subn(marks, lambda mark: f"{mark[1]}\n{made}\n\n{mark[2]}", text)
    if not found:
        raise LookupError(f"{PAGE} has no line '<!-- {name}: begin ... -->' with its end")
    return new


def main(names: Sequence[str]) -> None:
    """Try what is named, or everything, and write it down."""
    for name in names or PARTS:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
