"""A service that clips the end of ranges: later reports deliver the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.core.timestamps import DAY
from tests.support.constants import NOW
from tests.support.recovery.interrupted_tap import DATASOURCES, NODES
from tests.support.recovery.simulation import Simulation
from tests.support.recovery.time_ranges import time_ranges

MAX_LAG = 5 * DAY


@pytest.mark.parametrize(("max_range_days", "lookback_days"), [(2, 3), (2, 1), (3, 3)])
def test_data_keeps_arriving_if_served_range_is_shorter_than_lookback(
    max_range_days: int, lookback_days: int
) -> None:
    with Sandbox(
        seed=1,
        datasources=3,
        now=NOW,
        frozen=True,
        report_seconds=20,
        quirks=frozenset({"clipped-range"}),
        parameters={"max_range_days": max_range_days},
    ) as sandbox:
        settings = {"start_date": "2026-03-06", "lookback_days": lookback_days}
        simulation = Simulation(sandbox, "hour", settings, ("2026-03-05", "2026-04-05"))
        for _ in range(20):
            sandbox.clock.advance(timedelta(days=1))
            simulation.run(report_wait_timeout=3600)
        for stream in (DATASOURCES, NODES):
            (covered,) = time_ranges(simulation.bookmark(stream)["covered"])
            assert covered.end > sandbox.clock.millis() - MAX_LAG
