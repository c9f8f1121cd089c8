"""Runs the reliability tests and writes their results into docs/proofs.md.

`python -m tools.reliability_tables` runs all of them, which takes about an hour, and writes all
tables of the page; with names of tables, it writes only these.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

from tests.support import fuzzing
from tests.support.paths import ROOT
from tests.support.recovery import crash_injection
from tests.support.recovery.bug_mutations import BUGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.support.recovery.crash_injection import Outcome

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
        (
            "integration/recovery/test_crash_sweep",
            "integration/cli/test_signals",
            "integration/meltano/test_meltano_run",
            "integration/meltano/test_postgres",
        ),
    ),
    Promise(
        "A gap heals, whatever it came from",
        (
            "integration/recovery/test_recent_measurements",
            "integration/recovery/test_gaps",
            "integration/recovery/test_outages",
            "integration/recovery/test_two_weeks",
            "unit/planning/test_recent_steps_model",
        ),
    ),
    Promise(
        "A report is asked for once",
        (
            "integration/reports/test_reports",
            "integration/recovery/test_crash_sweep",
            "integration/quota/test_quota",
        ),
    ),
    Promise(
        "A file counts only when it is proven",
        (
            "integration/reports/test_report_files",
            "unit/measurements/test_csv",
            "integration/security/test_hostile",
        ),
    ),
    Promise(
        "Reports stay within the day's quota, over all streams",
        ("integration/quota/test_quota", "unit/planning/test_due", "integration/cli/test_plan"),
    ),
    Promise(
        "Windows cover the range once", ("unit/planning/test_windows", "unit/planning/test_due")
    ),
    Promise(
        "Streams run in order, and fail apart",
        ("integration/streams/test_stream_order", "integration/faults/test_faults"),
    ),
    Promise(
        "An error is one line that says what to do",
        (
            "integration/faults/test_faults",
            "integration/cli/test_settings",
            "integration/cli/test_command",
            "integration/cli/test_input_files",
            "integration/security/test_hostile",
            "integration/cli/test_fuzz_settings",
        ),
    ),
    Promise(
        "Secrets stay in",
        (
            "integration/security/test_secrets",
            "integration/faults/test_faults",
            "unit/api/test_redirects",
        ),
    ),
    Promise(
        "State is small, and survives junk",
        ("integration/recovery/test_state", "unit/planning/test_bookmarks"),
    ),
    Promise(
        "Memory is flat", ("integration/streams/test_scale", "integration/security/test_hostile")
    ),
    Promise("BATCH files hold the same records", ("integration/output/test_batch",)),
    Promise(
        "The fast path gives what the slow path gives",
        (
            "unit/measurements/fast/test_record_writer",
            "integration/output/test_measurement_streams",
        ),
    ),
    Promise(
        "What arrives in a database is the truth, row for row",
        (
            *(
                "integration/meltano/test_meltano_run",
                "integration/meltano/test_postgres",
                "integration/warehouses/test_databases",
            ),
            *("integration/warehouses/test_snowflake", "integration/warehouses/test_bigquery"),
        ),
    ),
)
TRIED = {
    "integration/faults/test_faults": "calls that fail, once or for ever ([list](faults.md))",
    "integration/reports/test_report_files": "faults in report files ([list](report-faults.md))",
    "integration/faults/test_discrepancies": "quirks of the API ([list](discrepancies.md))",
    "integration/security/test_hostile": "hostile responses, rejected in bounded memory and time",
    "integration/security/test_secrets": "searches for leaked keys, tokens and signatures",
    "integration/recovery/test_state": "states: newer, foreign, truncated, huge, of wrong types",
    "integration/cli/test_settings": "mistakes in settings",
    "integration/cli/test_command": "mistakes on the command line and in the environment",
    "integration/cli/test_input_files": "config, catalog and state files of other forms",
    "integration/cli/test_signals": "signals",
    "integration/recovery/test_outages": "outages ([list](recovery.md))",
}


def promises_table() -> str:
    rows = (
        (promise, ", ".join(f"[`{name}`](../tests/{name}.py)" for name in tests))
        for promise, tests in PROMISES
    )
    return _table(("Promise", "Shown by"), rows)


def crash_table() -> str:
    """Strike everywhere, then with each bug until it is found."""
    kinds = {
        "Killed between two lines of its output, or within one": crash_injection.kills_at_lines,
        "Killed before or during an exchange, or its answer spoilt": (
            crash_injection.faults_at_requests
        ),
    }
    rows = [
        (what, *_counts(crash_injection.sweep(faults(thorough=True))))
        for what, faults in kinds.items()
    ]
    rows += [(f"Planted bug: {bug}", *_counts(crash_injection.find_bug(bug))) for bug in BUGS]
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
    "strikes": crash_table,
    "examples": examples_table,
    "cases": cases_table,
}


def renewed(text: str, name: str) -> str:
    """Put a part, made anew, between its marks.

    Raises:
        LookupError: If the page has no such marks.
    """
    content = PARTS[name]()
    placeholders = MARKS.format(name=name)
    new, found = re.subn(placeholders, lambda mark: f"{mark[1]}\n{content}\n\n{mark[2]}", text)
    if not found:
        raise LookupError(f"{PAGE} has no line '<!-- {name}: begin ... -->' with its end")
    return new


def main(names: Sequence[str]) -> None:
    """Try what is named, or everything, and write it down."""
    for name in names or PARTS:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), name), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
