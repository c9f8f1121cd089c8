"""A simulated month of hourly runs: with missed runs, kills, faults and a changing quota.

The short version simulates some days of each frequency. `pytest --thorough
tests/integration/recovery/test_month.py`
simulates a whole month, and `TEST_MONTH_SEED=7` another one.
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
from tests.support.incidents import INCIDENTS, Incident
from tests.support.interrupted_tap import (
    DATASOURCES,
    KILLED,
    NO_INTERRUPTION,
    NODES,
    RECENT,
    SIGTERM_STATUS,
    Interruption,
)
from tests.support.simulated_data import city
from tests.support.simulation import KINDS, REPORT_PATH, Simulation, spans_of
from tests.support.tap_process import calls

if TYPE_CHECKING:
    from tests.support.simulated_data import Frequency
    from tests.support.tap_process import Json, Record

SEED = int(os.environ.get("TEST_MONTH_SEED", "1"))
HOUR = timedelta(hours=1)
GRANTED = 30
BUSY_HOURS = 2
"""So many hours of each half day have more faults: then reports are requested."""
CALM_RUNS, CALM_PAUSE = 24, timedelta(hours=9)
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
    granted: int = GRANTED
    incidents: int = 0
    new_data_checks: int = 0

    def live_through(self, hours: int) -> None:
        sandbox, missed = self.simulation.sandbox, 0
        start = datetime.fromisoformat(NOW)
        for hour in range(hours):
            now = start + hour * HOUR + timedelta(minutes=self.random.randrange(30))
            if hour % 24 == 0:
                self._change_quota()
            missed -= 1
            if self.random.random() < 0.03:
                missed = self.random.choice([2, 5, 23, 30, 52])
            if missed <= 0 and now > sandbox.clock.now():
                sandbox.clock.set(now)
                self._run(is_busy=hour % 12 < BUSY_HOURS)

    def _change_quota(self) -> None:
        """Let others in the organization use up most of the quota on some days."""
        self.granted = self.random.choice([GRANTED, GRANTED, GRANTED, 1, 2, 3, 5])
        switches = self.simulation.sandbox.switches
        switches.turn_on("shared-quota")
        switches.set(requests_by_others=GRANTED - self.granted)

    def _run(self, *, is_busy: bool) -> None:
        luck, settings = self.random.random(), {"report_wait_timeout": 600}
        interruption, faults = NO_INTERRUPTION, list[Incident]()
        if luck < (0.3 if is_busy else 0.2):
            interruption = self._interruption()
        if 0.15 < luck < (0.75 if is_busy else 0.45):
            faults = self.random.sample(INCIDENTS, self.random.choice([1, 1, 2]))
        self.incidents += bool(faults)
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
        posts = list(calls(sandbox, "POST", REPORT_PATH))
        used = self.simulation.requests_by_day[iso(now)[:10]]
        if used > len(posts) or self.granted < len(KINDS) or not is_quiet(before, midnight):
            return
        self.new_data_checks += 1
        for stream in (DATASOURCES, NODES):
            ends = [
                post["body"]["endTime"]
                for post in posts
                if post["body"]["report"] == KINDS[stream] and post["status"] == 200
            ]
            assert max(ends, default="") >= iso(midnight), f"{stream}: no new data was requested"

    def calm_down(self) -> None:
        """Run without faults, at full quota, until all has been retried."""
        sandbox = self.simulation.sandbox
        sandbox.switches.turn_off("shared-quota")
        for _ in range(CALM_RUNS):
            sandbox.clock.advance(CALM_PAUSE)
            self.simulation.run()


def is_quiet(state: Json, midnight: int) -> bool:
    """Tell whether a state was left on the day before, with nothing to do but new data."""
    for stream in (RECENT, DATASOURCES, NODES):
        bookmark = state.get("bookmarks", {}).get(stream, {})
        if any(bookmark.get(name) for name in ("reports", "failing", "gaps")):
            return False
        if stream != RECENT:
            covered = spans_of(bookmark.get("covered") or [])
            if not covered or not midnight - DAY <= covered[-1].end < midnight:
                return False
    return True


@pytest.mark.parametrize("frequency", PLANS)
def test_nothing_is_lost_in_a_month_of_hourly_runs(
    frequency: Frequency, pytestconfig: pytest.Config
) -> None:
    plan, is_whole = PLANS[frequency], pytestconfig.getoption("thorough")
    days = 31 if is_whole else plan.short_days
    with city() as sandbox:
        simulation = Simulation(sandbox, frequency, plan.settings, plan.period)
        month = Month(simulation, random.Random(f"{SEED} {frequency}"))  # noqa: S311
        month.live_through(24 * days)
        month.calm_down()
        simulation.check_end(plan.covered_from, timedelta(days=plan.settings["lookback_days"]))
    assert {0, 1, KILLED, SIGTERM_STATUS} <= simulation.statuses.keys()
    assert month.new_data_checks or not is_whole
