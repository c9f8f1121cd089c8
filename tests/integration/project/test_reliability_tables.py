"""docs/proofs.md is up to date, and its checks find the bugs that are injected."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT
from tests.support.recovery.crash_injection import FOUND_BY, Outcome
from tools import reliability_tables

TESTS = ROOT / "tests"
COUNTS = [*Outcome.__dataclass_fields__]


def rows(name: str) -> list[list[str]]:
    """Read a table of the page, without its head."""
    part = re.search(
        reliability_tables.MARKS.format(name=name),
        reliability_tables.PAGE.read_text(encoding="utf-8"),
    )
    assert part
    lines = [line for line in part[0].splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_promises_on_the_page_are_up_to_date() -> None:
    text = reliability_tables.PAGE.read_text(encoding="utf-8")
    assert reliability_tables.renewed(text, "promises") == text, (
        "run: python -m tools.reliability_tables promises"
    )


@pytest.mark.parametrize(
    "promise", reliability_tables.PROMISES, ids=lambda promise: promise.promise
)
def test_tests_of_each_promise_exist(promise: reliability_tables.Promise) -> None:
    assert all((TESTS / f"{name}.py").exists() for name in promise.tests)


def test_injected_faults_lost_no_data() -> None:
    everywhere = rows("strikes")[:2]
    assert all(int(row[1]) > 100 for row in everywhere)
    assert [set(row[2:]) for row in everywhere] == [{"0"}, {"0"}]


def test_each_injected_bug_was_found() -> None:
    found = {row[0].removeprefix("Planted bug: "): row[1:] for row in rows("strikes")[2:]}
    assert found.keys() == FOUND_BY.keys()
    assert all(int(found[bug][COUNTS.index(count)]) > 0 for bug, count in FOUND_BY.items())


def test_all_tested_cases_are_on_the_page() -> None:
    assert [row[0] for row in rows("cases")] == [*reliability_tables.TRIED.values()]
    assert all(int(row[1]) > 0 for row in rows("cases"))


def test_each_fuzz_test_ran_many_examples() -> None:
    drawn = {row[0]: int(row[1].replace(",", "")) for row in rows("examples")}
    assert drawn
    assert min(drawn.values()) >= 1000


def test_missing_mark_is_an_error() -> None:
    with pytest.raises(LookupError, match="promises: begin"):
        reliability_tables.renewed("nothing here", "promises")
