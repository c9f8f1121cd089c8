"""Ten runs in a fortnight, at random moments, with faults and kills: nothing is ever lost.

`TEST_FORTNIGHTS=5000 pytest tests/integration/recovery/test_two_weeks.py` tries so many fortnights
instead of 200, and
`TEST_FORTNIGHTS_AS_PROCESSES=500` so many in which each run is a process that dies by SIGKILL.
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
from tests.support.recovery_harness import (
    CACHE,
    CONTINUATION,
    REPORT,
    STREAM,
    Frequency,
    Target,
    run_inside,
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
CALM_RUNS, CALM_PAUSE = 4, timedelta(hours=20)
MAX_CLOCK_SKEW = 15 * MINUTE
"""By how much the first run's cache may reach back less than it should."""
FORTNIGHTS = int(os.environ.get("TEST_FORTNIGHTS", "200"))
AS_PROCESSES = int(os.environ.get("TEST_FORTNIGHTS_AS_PROCESSES", "10"))
EVERYTHING, RECENT = "/v2/*", "/v2/recent*"


@dataclass(frozen=True)
class Luck:
    """What goes wrong in a run."""

    name: str
    faults: Sequence[tuple[str, dict[str, Any]]] = ()
    settings: dict[str, Json] = field(default_factory=dict)
    patches: Sequence[tuple[object, str, Any]] = ()

    def __repr__(self) -> str:
        return self.name

    @contextmanager
    def reign(self, sandbox: Sandbox) -> Iterator[None]:
        with ExitStack() as stack:
            stack.callback(sandbox.faults.clear)
            for kind, details in self.faults:
                sandbox.faults.inject(kind, **details)
            for thing, name, value in self.patches:
                stack.enter_context(patch.object(thing, name, value))
            yield


GOOD = Luck("good")
LUCKS = (
    GOOD,
    Luck("nobody answers", [("status", {"path": EVERYTHING, "times": None})]),
    Luck("flaky", [("status", {"path": EVERYTHING, "probability": 0.4})]),
    Luck("dropped", [("drop", {"path": EVERYTHING, "times": 2})]),
    Luck("cut", [("cut", {"path": RECENT})]),
    Luck("truncated", [("truncate", {"path": RECENT})]),
    Luck("garbage", [("garbage", {"path": RECENT})]),
    Luck("a web page", [("html", {"path": RECENT})]),
    Luck("token refused", [("status", {"path": CONTINUATION, "status": 400})]),
    Luck("key refused", [("status", {"path": EVERYTHING, "status": 401, "times": None})]),
    Luck("no quota", [("status", {"path": REPORT, "status": 429, "times": None})]),
    Luck("request dropped", [("drop", {"path": REPORT})]),
    Luck("report fails", [("failed-report", {"path": REPORT, "times": 2})]),
    Luck("bad file", [("flip-byte", {"path": f"{FILES_PATH}*", "times": None})]),
    Luck("bad row", [("row-width", {"path": f"{FILES_PATH}*", "times": 1})]),
    Luck("no token", patches=[(sandbox_recent, "TOKEN_HEADER", "x-nothing")]),
    Luck("json-long", patches=[(sandbox_recent.RecentQuery, "is_csv", False)]),
    Luck("no patience", settings={"report_wait_timeout": 0}),
    Luck("no limit left", settings={"report_daily_limit": 0}),
    Luck("no recovery", settings={"recover_gaps": False}),
    Luck("small reports", settings={"report_window_days": 1}),
    Luck("another query", settings={"qc_flags": True}),
)


class Turn(NamedTuple):
    """A run: when in the fortnight, and what goes wrong."""

    minute: int
    dies_at: int
    clock_error: timedelta
    luck: Luck


class Fact(NamedTuple):
    """A measurement, and whether it ever gets into the cache."""

    time: datetime
    arrival: datetime
    is_readable: bool
    key: Key


clock_errors = st.sampled_from(
    [0 * MINUTE] * 5 + [14 * MINUTE, -14 * MINUTE, 120 * MINUTE, -120 * MINUTE, 5 * DAY, -5 * DAY]
)
turns = st.lists(
    st.builds(
        Turn,
        st.integers(0, FORTNIGHT // MINUTE),
        st.just(0) | st.integers(1, 12),
        clock_errors,
        st.just(GOOD) | st.sampled_from(LUCKS),
    ),
    min_size=RUNS,
    max_size=RUNS,
).map(lambda found: sorted(found, key=lambda turn: turn.minute))


def city(report_seconds: float = 20, token_refusal: int = 400) -> Sandbox:
    return Sandbox(
        seed=1,
        datasources=3,
        now=NOW,
        frozen=True,
        report_seconds=report_seconds,
        token_refusal=token_refusal,
    )


def chosen(sandbox: Sandbox) -> list[Datasource]:
    """Two that say little, so that the tests are quick: a reference site and a slow node."""
    return [each for each in sandbox.world.datasources if each.index > 0]


@cache
def all_facts(frequency: Frequency) -> list[Fact]:
    """All that there will ever be."""
    sandbox, end = city(), START + FORTNIGHT + (CALM_RUNS + 1) * CALM_PAUSE
    window = Window(frequency, to_millis(START - CACHE[frequency] - MAX_CLOCK_SKEW), to_millis(end))
    found = []
    for row in sandbox.world.rows(chosen(sandbox), window):
        for cell in cells(row, row.arrival):
            if cell.metric.name == METRIC[frequency]:
                (key,) = expected_records([sandbox.expected.measurement(row, cell)])
                times = to_datetime(row.time), to_datetime(row.arrival)
                found.append(Fact(*times, entered_cache(row), key))
    return found


def run_as_process(
    sandbox: Sandbox, state: Json, *, clock_error: timedelta, dies_at: int, **settings: Json
) -> TapRun:
    env = {"TEST_CLOCK_SKEW": str(clock_error.total_seconds()), "TEST_DIES_AT": str(dies_at)}
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

    def run(self, turn: Turn) -> None:
        """Run with bad luck; afterwards all is there, or asked for by what the state says."""
        now = max(START + turn.minute * MINUTE, self.sandbox.clock.now())
        self.sandbox.clock.set(now)
        with turn.luck.reign(self.sandbox):
            run = self.run_tap(
                self.sandbox,
                self.target.state,
                clock_error=turn.clock_error,
                dies_at=turn.dies_at,
                output_frequency=self.frequency,
                metric_select=f"only {METRIC[self.frequency]}",
                datasource_ids=[each.datasource_id for each in chosen(self.sandbox)],
                **({"report_wait_timeout": 90} | turn.luck.settings),
            )
        self.target.load(run)
        if self.since is None and self.stand.get("covered_until"):
            self.since = now - CACHE[self.frequency] + MAX_CLOCK_SKEW
        if run.status == 0:
            self.check(now)

    @property
    def stand(self) -> Json:
        return self.target.state.get("bookmarks", {}).get(STREAM, {})

    def check(self, now: datetime) -> None:
        """Whatever was readable by now is there, or in a hole that the state knows."""
        holes = [[*map(utc, hole)] for hole in self.stand["gaps"]]
        for fact in all_facts(self.frequency):
            if self.since and self.since <= fact.time and fact.is_readable and fact.arrival <= now:
                is_open = any(start <= fact.time < end for start, end in holes)
                assert is_open or fact.key in self.target.table

    def end_well(self) -> None:
        """Run with all going well, until nothing is open."""
        self.run_tap = run_inside
        minute = FORTNIGHT // MINUTE
        for _ in range(CALM_RUNS):
            minute += CALM_PAUSE // MINUTE
            self.run(Turn(minute, 0, timedelta(0), GOOD))
        assert self.stand["gaps"] == self.stand["reports"] == []

    def check_keys(self) -> None:
        """Nothing is there twice or was never true: each key is one of the world's."""
        now = self.sandbox.clock.now()
        told = {fact.key for fact in all_facts(self.frequency) if fact.arrival <= now}
        assert self.target.table.keys() <= told


@pytest.mark.parametrize("frequency", CACHE)
def test_nothing_is_lost(frequency: Frequency) -> None:
    @settings(max_examples=-(-FORTNIGHTS // len(CACHE)))
    @given(turns, st.sampled_from([0, 20, 18_000]), st.sampled_from([400, 401, 403, 404]))
    def try_one(turns: list[Turn], report_seconds: float, token_refusal: int) -> None:
        live_through(frequency, turns, city(report_seconds, token_refusal), run_inside)

    try_one()


@settings(max_examples=AS_PROCESSES)
@given(st.sampled_from([*CACHE]), turns)
def test_nothing_is_lost_by_processes(frequency: Frequency, turns: list[Turn]) -> None:
    live_through(frequency, turns, city(), run_as_process)


def live_through(
    frequency: Frequency, turns: list[Turn], sandbox: Sandbox, runner: Callable[..., TapRun]
) -> None:
    with sandbox:
        fortnight = Fortnight(sandbox, frequency, runner)
        for turn in turns:
            fortnight.run(turn)
        fortnight.end_well()
        fortnight.check_keys()
