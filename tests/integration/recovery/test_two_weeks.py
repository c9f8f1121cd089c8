"""Ten runs in two weeks, at random times, with faults and kills: no measurement is lost.

`TEST_FORTNIGHTS=5000` tries that many fortnights instead of 200, and
`TEST_FORTNIGHTS_AS_PROCESSES=500` that many in which each run is a process that is killed.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api import recent as sandbox_recent
from tap_clarity.sandbox.api.file_links import FILES_PATH
from tap_clarity.sandbox.core.timestamps import to_datetime, to_millis
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.rows import entered_cache
from tap_clarity.sandbox.world.world import Window
from tests.support.constants import NOW
from tests.support.recovery.harness import (
    CACHE,
    CONTINUATION,
    REPORT,
    STREAM,
    Frequency,
    Target,
    run_recent_measurements,
)
from tests.support.tap_process import TapRun, expected_records, run_tap, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_clarity.sandbox.world.network import Datasource
    from tests.support.tap_process import Json, Key

START = datetime.fromisoformat(NOW)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FORTNIGHT = 14 * DAY
RUNS = 10
METRIC: dict[Frequency, str] = {
    "minute": "pm2_5ConcMassIndividual",
    "hour": "pm2_5ConcMass1HourMean",
    "day": "pm2_5ConcMass24HourMean",
}
FINAL_RUNS, FINAL_PAUSE = 4, timedelta(hours=20)
MAX_CLOCK_SKEW = 15 * MINUTE
"""By how much the first run's cache may reach back less than it should."""
FORTNIGHTS = int(os.environ.get("TEST_FORTNIGHTS", "200"))
PROCESS_FORTNIGHTS = int(os.environ.get("TEST_FORTNIGHTS_AS_PROCESSES", "10"))
ALL_PATHS, RECENT = "/v2/*", "/v2/recent*"


@dataclass(frozen=True)
class RunConditions:
    """What goes wrong in a run."""

    name: str
    faults: Sequence[tuple[str, dict[str, Any]]] = ()
    settings: dict[str, Json] = field(default_factory=dict)
    patches: Sequence[tuple[object, str, Any]] = ()

    def __repr__(self) -> str:
        return self.name

    @contextmanager
    def applied(self, sandbox: Sandbox) -> Iterator[None]:
        with ExitStack() as stack:
            stack.callback(sandbox.faults.clear)
            for kind, details in self.faults:
                sandbox.faults.inject(kind, **details)
            for target, name, value in self.patches:
                stack.enter_context(patch.object(target, name, value))
            yield


NO_FAULT = RunConditions("good")
RUN_CONDITIONS = (
    NO_FAULT,
    RunConditions("nobody answers", [("status", {"path": ALL_PATHS, "times": None})]),
    RunConditions("flaky", [("status", {"path": ALL_PATHS, "probability": 0.4})]),
    RunConditions("dropped", [("drop", {"path": ALL_PATHS, "times": 2})]),
    RunConditions("cut", [("cut", {"path": RECENT})]),
    RunConditions("truncated", [("truncate", {"path": RECENT})]),
    RunConditions("garbage", [("garbage", {"path": RECENT})]),
    RunConditions("a web page", [("html", {"path": RECENT})]),
    RunConditions("token refused", [("status", {"path": CONTINUATION, "status": 400})]),
    RunConditions("key refused", [("status", {"path": ALL_PATHS, "status": 401, "times": None})]),
    RunConditions("no quota", [("status", {"path": REPORT, "status": 429, "times": None})]),
    RunConditions("request dropped", [("drop", {"path": REPORT})]),
    RunConditions("report fails", [("failed-report", {"path": REPORT, "times": 2})]),
    RunConditions("bad file", [("flip-byte", {"path": f"{FILES_PATH}*", "times": None})]),
    RunConditions("bad row", [("row-width", {"path": f"{FILES_PATH}*", "times": 1})]),
    RunConditions("no token", patches=[(sandbox_recent, "TOKEN_HEADER", "x-nothing")]),
    RunConditions("json-long", patches=[(sandbox_recent.RecentQuery, "is_csv", False)]),
    RunConditions("no wait", settings={"report_wait_timeout": 0}),
    RunConditions("no limit left", settings={"report_daily_limit": 0}),
    RunConditions("no recovery", settings={"recover_gaps": False}),
    RunConditions("small reports", settings={"report_window_days": 1}),
    RunConditions("another query", settings={"qc_flags": True}),
)


class PlannedRun(NamedTuple):
    """A run: when in the fortnight, and what goes wrong."""

    minute: int
    killed_at_message: int
    clock_error: timedelta
    conditions: RunConditions


class FutureMeasurement(NamedTuple):
    """A measurement, and whether it ever gets into the cache."""

    time: datetime
    arrival: datetime
    is_readable: bool
    key: Key


clock_errors = st.sampled_from(
    [0 * MINUTE] * 5 + [14 * MINUTE, -14 * MINUTE, 120 * MINUTE, -120 * MINUTE, 5 * DAY, -5 * DAY]
)
planned_runs = st.lists(
    st.builds(
        PlannedRun,
        st.integers(0, FORTNIGHT // MINUTE),
        st.just(0) | st.integers(1, 12),
        clock_errors,
        st.just(NO_FAULT) | st.sampled_from(RUN_CONDITIONS),
    ),
    min_size=RUNS,
    max_size=RUNS,
).map(lambda found: sorted(found, key=lambda planned_run: planned_run.minute))


def create_sandbox(report_seconds: float = 20, token_refusal: int = 400) -> Sandbox:
    return Sandbox(
        seed=1,
        datasources=3,
        now=NOW,
        frozen=True,
        report_seconds=report_seconds,
        token_refusal=token_refusal,
    )


def slow_datasources(sandbox: Sandbox) -> list[Datasource]:
    """Two that say little, so that the tests are quick: a reference site and a slow node."""
    return [each for each in sandbox.world.datasources if each.index > 0]


@cache
def all_measurements(frequency: Frequency) -> list[FutureMeasurement]:
    """All that there will ever be."""
    sandbox, end = create_sandbox(), START + FORTNIGHT + (FINAL_RUNS + 1) * FINAL_PAUSE
    window = Window(frequency, to_millis(START - CACHE[frequency] - MAX_CLOCK_SKEW), to_millis(end))
    found = []
    for row in sandbox.world.rows(slow_datasources(sandbox), window):
        for cell in cells(row, row.arrival):
            if cell.metric.name == METRIC[frequency]:
                (key,) = expected_records([sandbox.expected.measurement(row, cell)])
                times = to_datetime(row.time), to_datetime(row.arrival)
                found.append(FutureMeasurement(*times, entered_cache(row), key))
    return found


def run_as_process(
    sandbox: Sandbox,
    state: Json,
    *,
    clock_error: timedelta,
    killed_at_message: int,
    **settings: Json,
) -> TapRun:
    env = {
        "TEST_CLOCK_SKEW": str(clock_error.total_seconds()),
        "TEST_KILL_AT_MESSAGE": str(killed_at_message),
    }
    run = run_tap(sandbox, streams=[STREAM], state=state, env=env, **settings)
    *_, half_a_line = run.output.rpartition(b"\n")
    return TapRun(run.status, run.output.removesuffix(half_a_line), run.errors)


@dataclass
class Fortnight:
    """The fortnight of one tap."""

    sandbox: Sandbox
    frequency: Frequency
    run_tap: Callable[..., TapRun]
    target: Target = field(default_factory=Target)
    since: datetime | None = None
    """From when on nothing may be missing: from the cache of the first run whose state is kept."""

    def run(self, planned_run: PlannedRun) -> None:
        """Run with bad luck; afterwards all is there, or asked for by what the state says."""
        now = max(START + planned_run.minute * MINUTE, self.sandbox.clock.now())
        self.sandbox.clock.set(now)
        with planned_run.conditions.applied(self.sandbox):
            run = self.run_tap(
                self.sandbox,
                self.target.state,
                clock_error=planned_run.clock_error,
                killed_at_message=planned_run.killed_at_message,
                output_frequency=self.frequency,
                metric_select=f"only {METRIC[self.frequency]}",
                datasource_ids=[each.datasource_id for each in slow_datasources(self.sandbox)],
                **({"report_wait_timeout": 90} | planned_run.conditions.settings),
            )
        self.target.load(run)
        if self.since is None and self.bookmark.get("covered_until"):
            self.since = now - CACHE[self.frequency] + MAX_CLOCK_SKEW
        if run.status == 0:
            self.check(now)

    @property
    def bookmark(self) -> Json:
        return self.target.state.get("bookmarks", {}).get(STREAM, {})

    def check(self, now: datetime) -> None:
        """Whatever was readable by now is there, or in a hole that the state knows."""
        gaps = [[*map(utc, gap)] for gap in self.bookmark["gaps"]]
        for measurement in all_measurements(self.frequency):
            if (
                self.since
                and self.since <= measurement.time
                and measurement.is_readable
                and measurement.arrival <= now
            ):
                is_open = any(start <= measurement.time < end for start, end in gaps)
                assert is_open or measurement.key in self.target.table

    def finish(self) -> None:
        """Run with all going well, until nothing is open."""
        self.run_tap = run_recent_measurements
        minute = FORTNIGHT // MINUTE
        for _ in range(FINAL_RUNS):
            minute += FINAL_PAUSE // MINUTE
            self.run(PlannedRun(minute, 0, timedelta(0), NO_FAULT))
        assert self.bookmark["gaps"] == self.bookmark["reports"] == []

    def check_keys(self) -> None:
        """Nothing is there twice or was never true: each key is one of the world's."""
        now = self.sandbox.clock.now()
        existing_keys = {
            measurement.key
            for measurement in all_measurements(self.frequency)
            if measurement.arrival <= now
        }
        assert self.target.table.keys() <= existing_keys


@pytest.mark.parametrize("frequency", CACHE)
def test_two_weeks_of_runs_lose_no_data(frequency: Frequency) -> None:
    @settings(max_examples=-(-FORTNIGHTS // len(CACHE)))
    @given(planned_runs, st.sampled_from([0, 20, 18_000]), st.sampled_from([400, 401, 403, 404]))
    def try_one(planned_runs: list[PlannedRun], report_seconds: float, token_refusal: int) -> None:
        run_fortnight(
            frequency,
            planned_runs,
            create_sandbox(report_seconds, token_refusal),
            run_recent_measurements,
        )

    try_one()


@settings(max_examples=PROCESS_FORTNIGHTS)
@given(st.sampled_from([*CACHE]), planned_runs)
def test_two_weeks_of_processes_lose_no_data(
    frequency: Frequency, planned_runs: list[PlannedRun]
) -> None:
    run_fortnight(frequency, planned_runs, create_sandbox(), run_as_process)


def run_fortnight(
    frequency: Frequency,
    planned_runs: list[PlannedRun],
    sandbox: Sandbox,
    runner: Callable[..., TapRun],
) -> None:
    with sandbox:
        fortnight = Fortnight(sandbox, frequency, runner)
        for planned_run in planned_runs:
            fortnight.run(planned_run)
        fortnight.finish()
        fortnight.check_keys()
