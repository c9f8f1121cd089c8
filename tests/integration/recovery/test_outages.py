"""Outages of all lengths, at all frequencies: afterwards nothing is missing.

docs/recovery.md shows the table; `python -m tests.integration.recovery.test_outages` writes it
anew.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.paths import ROOT
from tests.support.recovery_harness import CACHE, REPORT, Frequency, Story, missing
from tests.support.tap_process import expected_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recovery_harness import Fact
    from tests.support.tap_process import Key

PAGE = ROOT / "docs" / "recovery.md"
MARKS = re.compile(r"(?s)(<!-- outages: begin .*?-->\n).*?(<!-- outages: end -->)")
HEAD = """
| Frequency | Outage | Points | Missing afterwards | Reports | Lost without healing |
| --- | --- | ---: | ---: | ---: | ---: |
"""
HOUR = timedelta(hours=1)
OUTAGES = {
    "1 hour": HOUR,
    "23 hours": 23 * HOUR,
    "25 hours": 25 * HOUR,
    "49 hours": 49 * HOUR,
    "11 days": timedelta(days=11),
}
CASES: list[tuple[Frequency, str]] = [(each, outage) for each in CACHE for outage in OUTAGES]


class Outcome(NamedTuple):
    """What an outage has led to."""

    story: Story
    facts: dict[Key, Fact]
    reports: int

    @property
    def numbers(self) -> str:
        """Those of the table."""
        polled = set().union(*(self._cached(poll) for poll in self.story.read_at))
        points = len(missing((), self.facts))
        lacking = len(missing(self.story.target.table, self.facts))
        lost = len(missing(polled, self.facts))
        return f"{points:,} | {lacking:,} | {self.reports} | {lost:,}"

    def _cached(self, poll: datetime) -> set[Key]:
        """What a client gets that asks the cache for all it holds, and has nothing else."""
        frequency, expected = self.story.frequency, self.story.sandbox.expected
        return {
            *expected_records(expected.measurements(frequency, poll - CACHE[frequency], poll, poll))
        }


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with city() as running:
        yield running


def city() -> Sandbox:
    return Sandbox(seed=1, datasources=3, now=NOW, frozen=True)


def suffer(sandbox: Sandbox, frequency: Frequency, outage: timedelta) -> Outcome:
    """Run twice, an hour apart, then not for so long, then once more."""
    story = Story(sandbox, frequency)
    for pause in (timedelta(0), HOUR, outage):
        story.run(pause).check()
    return Outcome(story, story.facts, story.asked.count(REPORT))


@pytest.mark.parametrize(("frequency", "outage"), CASES)
def test_after_an_outage_nothing_is_missing(
    sandbox: Sandbox, frequency: Frequency, outage: str
) -> None:
    outcome = suffer(sandbox, frequency, OUTAGES[outage])
    outcome.story.check(outcome.facts)
    line = f"| {frequency} | {outage} | {outcome.numbers} |"
    assert line in PAGE.read_text(), "run: python -m tests.integration.recovery.test_outages"


def test_the_page_shows_these_cases_only() -> None:
    shown = re.findall(r"(?m)^\| (minute|hour|day) \| ([^|]+) \|", PAGE.read_text())
    assert shown == CASES
    assert HEAD in PAGE.read_text()


def table() -> Iterator[str]:
    yield HEAD
    for frequency, outage in CASES:
        with city() as sandbox:
            outcome = suffer(sandbox, frequency, OUTAGES[outage])
            yield f"| {frequency} | {outage} | {outcome.numbers} |\n"
    yield "\n"  # or Markdown takes the mark for a part of the table


if __name__ == "__main__":
    generated = "".join(table())
    page = PAGE.read_text()
    PAGE.write_text(MARKS.sub(lambda found: found[1] + generated + found[2], page))
