"""docs/proofs.md says what was run, and its zeros are not those of a check that cannot fail."""

from __future__ import annotations

import re

import pytest

from tests.support.crash_injection import FOUND_BY, Outcome
from tests.support.paths import ROOT
from tools import reliability_tables as proofs

TESTS = ROOT / "tests"
COUNTS = [*Outcome.__dataclass_fields__]


def rows(name: str) -> list[list[str]]:
    """Read a table of the page, without its head."""
    part = re.search(proofs.MARKS.format(name=name), proofs.PAGE.read_text(encoding="utf-8"))
    assert part
    lines = [line for line in part[0].splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_the_promises_are_those_of_the_code() -> None:
    text = proofs.PAGE.read_text(encoding="utf-8")
    assert proofs.renewed(text, "promises") == text, (
        "run: python -m tools.reliability_tables promises"
    )


@pytest.mark.parametrize("promise", proofs.PROMISES, ids=lambda promise: promise.promise)
def test_each_promise_is_shown_by_tests_that_exist(promise: proofs.Promise) -> None:
    assert all((TESTS / f"{name}.py").exists() for name in promise.tests)


def test_no_strike_has_cost_anything() -> None:
    everywhere = rows("strikes")[:2]
    assert all(int(row[1]) > 100 for row in everywhere)
    assert [set(row[2:]) for row in everywhere] == [{"0"}, {"0"}]


def test_each_planted_bug_was_found() -> None:
    found = {row[0].removeprefix("Planted bug: "): row[1:] for row in rows("strikes")[2:]}
    assert found.keys() == FOUND_BY.keys()
    assert all(int(found[bug][COUNTS.index(count)]) > 0 for bug, count in FOUND_BY.items())


def test_all_that_is_tried_one_by_one_is_there() -> None:
    assert [row[0] for row in rows("cases")] == [*proofs.TRIED.values()]
    assert all(int(row[1]) > 0 for row in rows("cases"))


def test_examples_were_many() -> None:
    drawn = {row[0]: int(row[1].replace(",", "")) for row in rows("examples")}
    assert drawn
    assert min(drawn.values()) >= 1000


def test_a_missing_mark_is_an_error() -> None:
    with pytest.raises(LookupError, match="promises: begin"):
        proofs.renewed("nothing here", "promises")
