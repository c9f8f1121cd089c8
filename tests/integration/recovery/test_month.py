"""A simulated month of hourly runs: with missed runs, kills, faults and a changing quota.

The short version simulates some days of each frequency. `pytest --thorough` simulates a whole
month, and `TEST_MONTH_SEED=7` another one.
"""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tap_clarity.sandbox.core.timestamps import DAY, iso
from tests.support.constants import NOW
from tests.support.recovery.injected_faults import INJECTED_FAULTS, InjectedFault
from tests.support.recovery.interrupted_tap import (
    DATASOURCES,
    KILLED,
    NO_INTERRUPTION,
    NODES,
    RECENT,
    SIGTERM_STATUS,
    Interruption,
)
from tests.support.recovery.simulated_data import create_sandbox
from tests.support.recovery.simulation import KINDS, REPORT_PATH, Simulation
from tests.support.recovery.time_ranges import time_ranges
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from tests.support.recovery.simulated_data import Frequency
    from tests.support.tap_process import Json, Record

SEED = int(os.environ.get("TEST_MONTH_SEED", "1"))
HOUR = timedelta(hours=1)
REPORTS_PER_DAY = 30
HOURS_WITH_MORE_FAULTS = 2
"""So many hours of each half day have more faults: then reports are requested."""
FINAL_RUNS, FINAL_PAUSE = 24, timedelta(hours=9)
"""After that many runs everything has been retried: the longest retry interval is seven days."""


class Plan(NamedTuple):
    """A month of one frequency.

    Attributes:
        settings: Settings of the tap.
        covered_from: The start of what the report streams cover.
        period: Days that the world's rows are compared in.
        short_days: How many days the short version has.
    """

    settings: Record
    covered_from: str
    period: tuple[str, str]
    short_days: int


PLANS: dict[Frequency, Plan] = {
    "hour": Plan(
        {
            "start_date": "2026-02-24T10:37:00Z",
            "report_window_days": 2,
            "lookback_days": 3,
            "report_daily_limit": 12,
        },
        "2026-02-24T10:00:00Z",
        ("2026-02-20", "2026-05-01"),
        5,
    ),
    "minute": Plan(
        {
            "start_date": "2026-03-07T18:37:20Z",
            "report_window_days": 1,
            "lookback_days": 1,
            "report_daily_limit": 10,
            "report_interval_hours": 12,
        },
        "2026-03-07T18:37:00Z",
        ("2026-03-04", "2026-05-01"),
        3,
    ),
    "day": Plan(
        {
            "start_date": "2025-12-20T01:00:00Z",
            "report_window_days": 7,
            "lookback_days": 10,
            "report_daily_limit": 8,
            "measurement_layout": "wide",
        },
        "2025-12-20T00:00:00Z",
        ("2025-12-15", "2026-05-01"),
        8,
    ),
}


@dataclass
class Month:
    """Hourly runs of one frequency, with bad luck that a seed determines."""

    simulation: Simulation
    random: random.Random
    available_requests: int = REPORTS_PER_DAY
    faulty_runs: int = 0
    new_data_checks: int = 0

    def simulate_hours(self, hours: int) -> None:
        sandbox, skipped_hours = self.simulation.sandbox, 0
        start = datetime.fromisoformat(NOW)
        for hour in range(hours):
            now = start + hour * HOUR + timedelta(minutes=self.random.randrange(30))
            if hour % 24 == 0:
                self._change_quota()
            skipped_hours -= 1
            if self.random.random() < 0.03:
                skipped_hours = self.random.choice([2, 5, 23, 30, 52])
            if skipped_hours <= 0 and now > sandbox.clock.now():
                sandbox.clock.set(now)
                self._run(more_faults=hour % 12 < HOURS_WITH_MORE_FAULTS)

    def _change_quota(self) -> None:
        """Let others in the organization use up most of the quota on some days."""
        self.available_requests = self.random.choice(
            [REPORTS_PER_DAY, REPORTS_PER_DAY, REPORTS_PER_DAY, 1, 2, 3, 5]
        )
        switches = self.simulation.sandbox.switches
        switches.turn_on("shared-quota")
        switches.set(requests_by_others=REPORTS_PER_DAY - self.available_requests)

    def _run(self, *, more_faults: bool) -> None:
        chance, settings = self.random.random(), {"report_wait_timeout": 600}
        interruption, faults = NO_INTERRUPTION, list[InjectedFault]()
        if chance < (0.3 if more_faults else 0.2):
            interruption = self._interruption()
        if 0.15 < chance < (0.75 if more_faults else 0.45):
            faults = self.random.sample(INJECTED_FAULTS, self.random.choice([1, 1, 2]))
        self.faulty_runs += bool(faults)
        state = self.simulation.state
        with ExitStack() as stack:
            for fault in faults:
                stack.enter_context(fault.injected(self.simulation.sandbox))
            run = self.simulation.run(interruption, **settings)
        if run.status == 0 and not faults:
            self._check_new_data(state)

    def _interruption(self) -> Interruption:
        is_signal = self.random.random() < 0.5
        if self.random.random() < 0.5:
            return Interruption(message=self.random.randint(1, 9), is_signal=is_signal)
        place = self.random.choice([1, 1, 2, 3, 5, 8]) + self.random.choice([0, 0.5])
        return Interruption(exchange=place, is_signal=is_signal)

    def _check_new_data(self, before: Json) -> None:
        """Check that a run has requested the new data of each stream.

        Only of runs that begin a day, with nothing left to do and a request for each stream.
        """
        sandbox = self.simulation.sandbox
        now = sandbox.clock.millis()
        midnight = now - now % DAY
        posts = list(received_requests(sandbox, "POST", REPORT_PATH))
        used = self.simulation.requests_by_day[iso(now)[:10]]
        if (
            used > len(posts)
            or self.available_requests < len(KINDS)
            or not has_only_new_data(before, midnight)
        ):
            return
        self.new_data_checks += 1
        for stream in (DATASOURCES, NODES):
            ends = [
                post["body"]["endTime"]
                for post in posts
                if post["body"]["report"] == KINDS[stream] and post["status"] == 200
            ]
            assert max(ends, default="") >= iso(midnight), f"{stream}: no new data was requested"

    def finish(self) -> None:
        """Run without faults, at full quota, until all has been retried."""
        sandbox = self.simulation.sandbox
        sandbox.switches.turn_off("shared-quota")
        for _ in range(FINAL_RUNS):
            sandbox.clock.advance(FINAL_PAUSE)
            self.simulation.run()


def has_only_new_data(state: Json, midnight: int) -> bool:
    """Tell whether a state was left on the day before, with nothing to do but new data."""
    for stream in (RECENT, DATASOURCES, NODES):
        bookmark = state.get("bookmarks", {}).get(stream, {})
        if any(bookmark.get(name) for name in ("reports", "failing", "gaps")):
            return False
        if stream != RECENT:
            covered = time_ranges(bookmark.get("covered") or [])
            if not covered or not midnight - DAY <= covered[-1].end < midnight:
                return False
    return True


@pytest.mark.parametrize("frequency", PLANS)
def test_month_of_hourly_runs_loses_no_data(
    frequency: Frequency, pytestconfig: pytest.Config
) -> None:
    plan, is_whole = PLANS[frequency], pytestconfig.getoption("thorough")
    days = 31 if is_whole else plan.short_days
    with create_sandbox() as sandbox:
        simulation = Simulation(sandbox, frequency, plan.settings, plan.period)
        month = Month(simulation, random.Random(f"{SEED} {frequency}"))  # noqa: S311
        month.simulate_hours(24 * days)
        month.finish()
        simulation.check_end(plan.covered_from, timedelta(days=plan.settings["lookback_days"]))
    assert {0, 1, KILLED, SIGTERM_STATUS} <= simulation.statuses.keys()
    assert month.new_data_checks or not is_whole
