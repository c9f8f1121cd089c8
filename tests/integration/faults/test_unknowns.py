"""Undocumented behavior of the API: the data arrives, or the run fails and loses nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.core.timestamps import Window
from tap_clarity.planning.windows import without
from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tests.support.constants import NOW
from tests.support.documented.unknowns import LISTS, NODES, QUESTIONS, RECENT, SITES, Trial
from tests.support.recovery.harness import (
    CACHE,
    known_measurements,
    merge_states,
    missing_keys,
)
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import expected_records, upsert, utc

if TYPE_CHECKING:
    from tests.support.recovery.harness import Frequency
    from tests.support.tap_process import Json, Key, Record, TapRun

START = datetime.fromisoformat("2026-03-01T00:00Z")
FIRST_RUN = datetime.fromisoformat(NOW)
METRICS = ("pm2_5ConcMass1HourMean", "pm2_5ConcNum1HourMean", "pm2_5ConcMassIndividual")
SMALL_METRICS = {"hour": "pm2_5ConcNum1HourMean", "minute": "pm2_5ConcMassIndividual"}
"""No other metric begins with one of these names."""
SETTINGS: dict[str, Any] = {
    "start_date": START.isoformat(),
    "report_window_days": 5,
    "lookback_days": 0,
    "metric_select": "only pm2_5ConcMass1HourMean + pm2_5ConcNum1HourMean",
}
TRIALS = {
    f"{number}{letter}{at}": trial
    for number, question in enumerate(QUESTIONS, start=1)
    for letter, behaviour in zip("abcdefgh", question.behaviours, strict=False)
    for at, trial in enumerate(behaviour.trials, start=1)
}


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
def test_data_arrives_or_the_run_fails_and_windows_stay_open(trial: Trial) -> None:
    defaults: dict[str, Any] = {"datasources": 3, "report_seconds": 0}
    with Sandbox(
        seed=1,
        now=NOW,
        frozen=True,
        quirks=trial.quirks,
        parameters=trial.parameters,
        **defaults | trial.sandbox,
    ) as sandbox:
        for fault in trial.faults:
            sandbox.faults.inject(**fault)
        data = LoadedData(sandbox, trial)
        for number, status in enumerate(trial.statuses, start=1):
            if trial.recovers and number == len(trial.statuses):
                sandbox.switches.turn_off(*trial.quirks)
                sandbox.faults.clear()
            run = data.run()
            assert run.status == status, run.errors
            assert "Traceback" not in run.errors
            assert bool(run.error_lines) == bool(status), run.errors
            data.check_covered()
            sandbox.clock.advance(trial.pause)
        assert trial.log in data.log
        if trial.is_complete:
            data.check_complete()
        data.check_values()


class LoadedData:
    """What an upserting target and its state hold after some runs of a trial."""

    def __init__(self, sandbox: Sandbox, trial: Trial) -> None:
        self._sandbox = sandbox
        self._trial = trial
        (self._stream,) = trial.streams
        self._state: Json = None
        self._run_at: list[datetime] = []
        self.table: dict[Key, Record] = {}
        self.log = ""

    def run(self) -> TapRun:
        settings = SETTINGS | self._trial.settings
        if settings.get("datasource_ids") == "all":
            visible = self._sandbox.world.visible(self._sandbox.clock.millis())
            settings["datasource_ids"] = [each.datasource_id for each in visible]
        self._run_at.append(self._sandbox.clock.now())
        run = run_in_process(self._sandbox, streams=[self._stream], state=self._state, **settings)
        upsert(self.table, run, self._stream)
        self._state = merge_states(self._state, run.state) if run.state else self._state
        self.log += run.errors
        return run

    def check_covered(self) -> None:
        """All that existed at the first run is there of what the state says is covered."""
        if "closing the window as empty" not in self.log:
            for window in self._covered:
                assert self._keys(window.start, window.end) <= self.table.keys()

    def check_complete(self) -> None:
        """All that existed at the first run is there; of recent measurements, at the last one."""
        if self._stream in LISTS:
            expected = self._sandbox.expected
            assert len(self.table) == len([*expected.records(self._stream, self._run_at[-1])])
        elif self._stream in RECENT:
            start = FIRST_RUN - CACHE[self._frequency] + timedelta(hours=1)
            found = known_measurements(
                self._sandbox,
                self._frequency,
                start,
                read_at=self._run_at,
                prefix=SMALL_METRICS[self._frequency],
            )
            assert missing_keys(self.table, found) == set()
        else:
            end = FIRST_RUN.replace(minute=0)
            start = utc(self._trial.settings.get("start_date", SETTINGS["start_date"]))
            assert self._keys(start, end) <= self.table.keys()
            assert without(Window(start.replace(minute=0), end), self._covered) == []

    def check_values(self) -> None:
        """Each record is what the emulator's world held at the time of some run."""
        if self._stream in LISTS:
            return
        start, end = START - timedelta(days=2), self._run_at[-1] + timedelta(days=2)
        expected_versions = [self._expected(start, end, as_of) for as_of in self._run_at]
        for key, record in self.table.items():
            assert any(
                self._is_equal(expected.get(key), record) for expected in expected_versions
            ), record

    def _is_equal(self, expected: Record | None, record: Record) -> bool:
        """Whether a record is as in the truth; JSON does not say what the source is."""
        if expected and "recent_format" in self._trial.sandbox:
            expected = expected | {"source_id": None, "source_type": None}
        return expected == record

    @property
    def _frequency(self) -> Frequency:
        found: Frequency = self._trial.settings.get("output_frequency", "hour")
        return found

    @property
    def _covered(self) -> list[Window]:
        bookmark = self._state["bookmarks"][self._stream] if self._state else {}
        pairs = bookmark.get("covered", [])
        return [Window(*(utc(text) for text in pair)) for pair in pairs]

    def _keys(self, start: datetime, end: datetime) -> set[Key]:
        """Give the keys of what existed at the first run, but for ids that are left out."""
        rejected_ids = self._state["bookmarks"][self._stream]["rejected_ids"][1:]
        return {key for key in self._expected(start, end, FIRST_RUN) if key[1] not in rejected_ids}

    def _expected(self, start: datetime, end: datetime, as_of: datetime) -> dict[Key, Record]:
        expected, frequency = self._sandbox.expected, self._frequency
        id_field = "datasource_id"
        if self._stream in NODES:
            id_field = "node_id"
            ids = expected.node_ids(as_of)
            found = expected.measurements_of_sources(frequency, start, end, as_of, ids)
        else:
            found = expected.measurements(frequency, start, end, as_of)
        if self._stream in SITES:
            id_field = "reference_site_id"
            found = (each for each in found if each.source_type == "REFERENCE_SITE")
        return expected_records((m for m in found if m.metric in METRICS), id_field)


def test_every_undocumented_behavior_of_the_emulator_is_tested() -> None:
    tested = {quirk for trial in TRIALS.values() for quirk in trial.quirks}
    assert {each.label for each in Unknown} - tested == set()
