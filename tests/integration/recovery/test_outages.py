"""Outages of all lengths, at all frequencies: afterwards no measurement is missing.

`python -m tests.integration.recovery.test_outages` writes the table of docs/recovery.md.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.paths import ROOT
from tests.support.recovery.harness import CACHE, REPORT, Frequency, RecoveryScenario, missing_keys
from tests.support.tap_process import expected_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recovery.harness import KnownMeasurement
    from tests.support.tap_process import Key

PAGE = ROOT / "docs" / "recovery.md"
MARKS = re.compile(r"(?s)(<!-- outages: begin .*?-->\n).*?(<!-- outages: end -->)")
TABLE_HEAD = """
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


class OutageResult(NamedTuple):
    """What an outage has led to."""

    scenario: RecoveryScenario
    measurements: dict[Key, KnownMeasurement]
    reports: int

    @property
    def numbers(self) -> str:
        """Those of the table."""
        cached_keys = set().union(*(self._cached(poll) for poll in self.scenario.read_at))
        expected_count = len(missing_keys((), self.measurements))
        missing_count = len(missing_keys(self.scenario.target.table, self.measurements))
        lost_count = len(missing_keys(cached_keys, self.measurements))
        return f"{expected_count:,} | {missing_count:,} | {self.reports} | {lost_count:,}"

    def _cached(self, poll: datetime) -> set[Key]:
        """What a client gets that asks the cache for all it holds, and has nothing else."""
        frequency, expected = self.scenario.frequency, self.scenario.sandbox.expected
        return {
            *expected_records(expected.measurements(frequency, poll - CACHE[frequency], poll, poll))
        }


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with create_sandbox() as sandbox:
        yield sandbox


def create_sandbox() -> Sandbox:
    return Sandbox(seed=1, datasources=3, now=NOW, frozen=True)


def run_through_outage(sandbox: Sandbox, frequency: Frequency, outage: timedelta) -> OutageResult:
    """Run twice, an hour apart, then not for so long, then once more."""
    scenario = RecoveryScenario(sandbox, frequency)
    for pause in (timedelta(0), HOUR, outage):
        scenario.run(pause).check()
    return OutageResult(scenario, scenario.measurements, scenario.requested_paths.count(REPORT))


@pytest.mark.parametrize(("frequency", "outage"), CASES)
def test_after_an_outage_no_measurement_is_missing(
    sandbox: Sandbox, frequency: Frequency, outage: str
) -> None:
    result = run_through_outage(sandbox, frequency, OUTAGES[outage])
    result.scenario.check(result.measurements)
    line = f"| {frequency} | {outage} | {result.numbers} |"
    assert line in PAGE.read_text(), "run: python -m tests.integration.recovery.test_outages"


def test_page_lists_exactly_the_tested_outages() -> None:
    listed_cases = re.findall(r"(?m)^\| (minute|hour|day) \| ([^|]+) \|", PAGE.read_text())
    assert listed_cases == CASES
    assert TABLE_HEAD in PAGE.read_text()


def table() -> Iterator[str]:
    yield TABLE_HEAD
    for frequency, outage in CASES:
        with create_sandbox() as sandbox:
            result = run_through_outage(sandbox, frequency, OUTAGES[outage])
            yield f"| {frequency} | {outage} | {result.numbers} |\n"
    yield "\n"  # or Markdown takes the mark for a part of the table


if __name__ == "__main__":
    generated = "".join(table())
    page = PAGE.read_text()
    PAGE.write_text(MARKS.sub(lambda found: found[1] + generated + found[2], page))
