"""Random combinations of undocumented API behavior, faults, kills and pauses.

Each example switches on some behaviors of the emulator and runs the tap several times with faults.
Then it switches off the behaviors that withhold data, and runs for the documented recovery time.
The 40 combinations are always the same; `pytest --thorough` tries 500 others each time.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, to_millis
from tests.support.constants import NOW
from tests.support.recovery.injected_faults import INJECTED_FAULTS
from tests.support.recovery.interrupted_tap import DATASOURCES, NO_INTERRUPTION, NODES, Interruption
from tests.support.recovery.simulation import Simulation
from tests.support.recovery.time_ranges import time_ranges

if TYPE_CHECKING:
    import pytest

    from tests.support.recovery.injected_faults import InjectedFault
    from tests.support.recovery.simulated_data import Frequency
    from tests.support.recovery.time_ranges import TimeRange
    from tests.support.tap_process import Record

EXAMPLES, THOROUGH_EXAMPLES = 40, 500
START: dict[Frequency, str] = {
    "minute": "2026-03-08T07:20:00Z",
    "hour": "2026-03-01T10:37:00Z",
    "day": "2026-02-14T00:00:00Z",
}
COVERED_FROM = START | {"hour": "2026-03-01T10:00:00Z"}
PERIOD: dict[Frequency, tuple[str, str]] = {
    "minute": ("2026-03-05", "2026-04-12"),
    "hour": ("2026-02-25", "2026-04-12"),
    "day": ("2026-02-10", "2026-04-12"),
}
DATA_FROM: dict[Frequency, str] = {
    "minute": "2026-03-09T12:00:00Z",
    "hour": "2026-03-06T00:00:00Z",
    "day": "2026-03-01T00:00:00Z",
}
MAX_FINAL_RUNS, FINAL_PAUSE = 20, timedelta(hours=13)
"""Ten days: the longest retry interval is seven days, and a new report may take two runs more."""
MAX_CATCH_UP_RUNS = 50
"""If each report brings the first days of its range alone."""
WITHHOLDING = {
    "never-ending-reports",
    "other-end-status",
    "no-urls",
    "no-urls-in-first-report",
    "empty-window-rejected",
    "empty-window-failed",
    "forgotten-reports",
    "purged-files",
    "clipped-start",
    "other-frequency-served",
    "other-frequency-echo",
}
"""Behaviours that keep data from the tap for as long as they are on; the last makes it fail."""
WITHOUT_EFFECT = {
    "parquet-by-default",
    "unknown-attributes",
    "other-wrapper-keys",
    "object-without-id",
    "next-link",
    "next-cursor",
    "has-more",
    "truncated-lists",
    "partner-histories",
}
"""Behaviours of what these runs do not read: metadata, and requests without a format."""
REPORTS = sorted(WITHHOLDING | {"clipped-range", "empty-window-no-urls", "shared-quota"})
"""Behaviours of the reports' life cycle: they are drawn more often."""
LABELS = sorted({fault.label for fault in Unknown} - WITHOUT_EFFECT)


class PlannedRun(NamedTuple):
    """A run: how long after the last one, and what goes wrong."""

    pause_minutes: int
    interruption: Interruption
    faults: tuple[InjectedFault, ...]


@dataclass(frozen=True)
class Scenario:
    """A combination of behaviours, settings and runs."""

    frequency: Frequency
    quirks: frozenset[str]
    parameters: Record
    settings: Record
    planned_runs: list[PlannedRun]
    token_refusal: int
    report_seconds: float


interruptions = st.just(NO_INTERRUPTION) | st.builds(
    Interruption,
    message=st.just(0) | st.integers(1, 12),
    exchange=st.just(0.0) | st.sampled_from([1, 2, 2.5, 3, 3.5, 4, 5.5, 7]),
    is_signal=st.booleans(),
)
planned_runs = st.builds(
    PlannedRun,
    st.sampled_from([5, 60, 60, 360, 1440, 1410, 2000, 4000]),
    interruptions,
    st.just(())
    | st.tuples(st.sampled_from(INJECTED_FAULTS))
    | st.tuples(*[st.sampled_from(INJECTED_FAULTS)] * 2),
)
parameters = st.fixed_dictionaries(
    {
        "report_end_status": st.sampled_from(["cancelled", "expired", "Timed-Out"]),
        "no_urls_as": st.sampled_from(["missing", "list", "null", "text"]),
        "blank_file_as": st.sampled_from(["nothing", "newline", "quotes", "id-column"]),
        "report_kept_hours": st.sampled_from([0.5, 6]),
        "file_kept_hours": st.sampled_from([0.2, 1]),
        "purged_status": st.sampled_from([403, 404]),
        "retention_days": st.sampled_from([2, 5]),
        "max_range_days": st.sampled_from([2, 5]),
        "poll_refusal": st.sampled_from([400, 403, 404, 405]),
        "quota_hour": st.sampled_from([7, 18.5]),
        "requests_by_others": st.sampled_from([15, 26]),
        "missing_word": st.sampled_from(["NaN", "null", "None", "-"]),
        "empty_reply_as": st.sampled_from(
            ["nothing", "no-content", "newline", "list", "object", "null-data"]
        ),
        "token_hours": st.sampled_from([1, 6]),
        "id_refusal": st.sampled_from([400, 403]),
    },
)
tap_settings = st.fixed_dictionaries(
    {
        "report_daily_limit": st.sampled_from([10, 25]),
        "lookback_days": st.sampled_from([1, 3]),
        "report_window_days": st.sampled_from([2, 3, 31]),
        "report_wait_timeout": st.sampled_from([60, 900]),
        "report_poll_interval": st.just(60),
    },
    optional={
        "measurement_layout": st.sampled_from(["long", "wide"]),
        "report_concurrency": st.sampled_from([1, 2, 10]),
        "report_file_format": st.sampled_from(["csv", "parquet"]),
        "report_interval_hours": st.sampled_from([6, 24]),
    },
)
scenarios = st.builds(
    Scenario,
    st.sampled_from([*START]),
    st.builds(
        frozenset.union,
        st.frozensets(st.sampled_from(REPORTS), max_size=2),
        st.frozensets(st.sampled_from(LABELS), max_size=5),
    ),
    parameters,
    tap_settings,
    st.lists(planned_runs, min_size=4, max_size=6),
    st.sampled_from([400, 401, 403, 404]),
    st.sampled_from([0, 20, 400]),
)


@dataclass
class Trial:
    """The runs of one scenario."""

    scenario: Scenario
    sandbox: Sandbox
    has_data_from: bool = field(init=False)
    simulation: Simulation = field(init=False)

    def __post_init__(self) -> None:
        scenario, quirks = self.scenario, self.scenario.quirks
        self.has_data_from = any(quirk.startswith("empty-window") for quirk in quirks)
        if self.has_data_from:
            self.sandbox.switches.set(data_from=DATA_FROM[scenario.frequency])
        self.simulation = Simulation(
            self.sandbox,
            scenario.frequency,
            {"start_date": START[scenario.frequency]} | scenario.settings,
            PERIOD[scenario.frequency],
            checks_values="rows-revised" not in quirks,
            late_rows_wait="late-rows-only-in-cache" in quirks,
            max_lag=(5 if "clipped-range" in quirks else 2) * DAY,
            first_query_reaches=DAY if "old-start-rejected" in quirks else None,
        )

    def run_with_faults(self) -> None:
        for planned_run in self.scenario.planned_runs:
            self.sandbox.clock.advance(timedelta(minutes=planned_run.pause_minutes))
            with ExitStack() as stack:
                for fault in planned_run.faults:
                    if is_detectable(fault, self.scenario.settings):
                        stack.enter_context(fault.injected(self.sandbox))
                self.simulation.run(planned_run.interruption)

    def finish(self) -> None:
        """Run until all is there, for as long as the documentation says that it may take."""
        self.sandbox.switches.turn_off(*WITHHOLDING)
        self.sandbox.switches.set(requests_by_others=0)
        is_clipped = "clipped-range" in self.scenario.quirks
        for runs in range(MAX_CATCH_UP_RUNS if is_clipped else MAX_FINAL_RUNS):
            self.sandbox.clock.advance(FINAL_PAUSE)
            run = self.simulation.run(report_wait_timeout=3600)
            if runs and run.status == 0 and self._is_complete():
                return
        raise AssertionError(
            f"not complete: {run.status} {run.error_lines} {self.simulation.state}"
        )

    def _is_complete(self) -> bool:
        start = to_millis(COVERED_FROM[self.scenario.frequency])
        covered = [
            time_ranges(self.simulation.bookmark(stream)["covered"])
            for stream in (DATASOURCES, NODES)
        ]
        is_whole = all(len(spans) == 1 and spans[0].start == start for spans in covered)
        return is_whole and self._is_recent(covered) and self.simulation.is_done()

    def _is_recent(self, covered: list[list[TimeRange]]) -> bool:
        oldest = self.sandbox.clock.millis() - self.simulation.max_lag
        return all(spans[-1].end > oldest for spans in covered)


def is_detectable(fault: InjectedFault, settings: Record) -> bool:
    """Tell whether a reader can notice: Parquet files have no checksum of their numbers."""
    return fault.kind != "flip-byte" or settings.get("report_file_format") != "parquet"


def compatible(frequency: Frequency, quirks: frozenset[str]) -> frozenset[str]:
    """Leave out what nobody could read.

    English labels are known of hourly metrics alone. Another frequency or a clipped range can be
    seen in the echo, and nowhere else. One of the two paths of a report has to work.
    """
    if frequency != "hour":
        quirks -= {"english-labels"}
    if "other-frequency-served" in quirks:
        quirks -= {"other-frequency-echo", "no-echo"}
    if "plural-poll-refused" in quirks:
        quirks -= {"singular-poll-refused"}
    if quirks & {"clipped-start", "clipped-range"}:
        quirks -= {"no-echo"}
    return quirks


def sandbox_for(scenario: Scenario) -> Sandbox:
    return Sandbox(
        seed=1,
        datasources=3,
        now=NOW,
        frozen=True,
        report_seconds=scenario.report_seconds,
        token_refusal=scenario.token_refusal,
        quirks=compatible(scenario.frequency, scenario.quirks),
        parameters=scenario.parameters,
    )


FEW_REQUESTS = Scenario(
    frequency="hour",
    quirks=frozenset({"idle-nodes-rejected"}),
    parameters={"id_refusal": 400},
    settings={"report_daily_limit": 10, "lookback_days": 1},
    planned_runs=[PlannedRun(5, NO_INTERRUPTION, ())],
    token_refusal=400,
    report_seconds=0,
)
"""A rejected node has to be found with few requests a day."""


def test_no_combination_of_faults_loses_data(pytestconfig: pytest.Config) -> None:
    is_thorough = pytestconfig.getoption("thorough")

    @settings(
        max_examples=THOROUGH_EXAMPLES if is_thorough else EXAMPLES,
        derandomize=not is_thorough,
        suppress_health_check=[*HealthCheck],
    )
    @given(scenarios)
    @example(FEW_REQUESTS)
    def try_one(scenario: Scenario) -> None:
        with sandbox_for(scenario) as sandbox:
            trial = Trial(scenario, sandbox)
            trial.run_with_faults()
            trial.finish()
            start = COVERED_FROM[scenario.frequency]
            trial.simulation.check_end(start, timedelta(days=scenario.settings["lookback_days"]))

    try_one()
