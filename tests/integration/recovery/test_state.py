"""Malformed, unusual or oversized state: one warning, and no data is skipped."""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.sandbox import Sandbox
from tap_clarity.tap import TapClarity
from tests.support.fake_clock import FakeClock
from tests.support.fuzzing import documents, fuzz
from tests.support.limited_runner import run_limited
from tests.support.reports.harness import warnings
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import catalog_of, expected_records, logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.tap_process import Key, Record, TapRun

    Change = Callable[[], Any]

Json = Any
FIRST_RUN, SECOND_RUN, THIRD_RUN = (
    "2026-03-10T09:20:00Z",
    "2026-03-10T13:20:00Z",
    "2026-03-11T13:20:00Z",
)
START = "2026-03-08T00:00:00Z"
METRIC = "pm2_5ConcMass1HourMean"
RECENT, REPORT = "recent_measurements", "datasource_measurements"
STREAMS = (RECENT, REPORT)
SETTINGS: dict[str, Any] = {"start_date": START, "metric_select": f"only {METRIC}"}


def create_sandbox() -> Sandbox:
    return Sandbox(
        seed=1, datasources=2, now=FIRST_RUN, frozen=True, report_seconds=0, daily_quota=10_000
    )


@cache
def first_state_text() -> str:
    """Give the state of a first run, as text."""
    with create_sandbox() as sandbox:
        return json.dumps(run_in_process(sandbox, streams=STREAMS, **SETTINGS).check().state)


def first_state() -> Json:
    return json.loads(first_state_text())


def changed_state(**bookmarks: dict[str, Json]) -> Json:
    """Give the state of a first run, with other values in some streams' states."""
    state = first_state()
    for stream, change in bookmarks.items():
        state["bookmarks"][stream] |= change
    return state


def expected_new_records(sandbox: Sandbox, stream: str) -> dict[Key, Record]:
    """Tell what the second and third runs have to bring."""
    now = sandbox.clock.now()
    end = now if stream == RECENT else now.replace(minute=0)
    measured = sandbox.expected.measurements("hour", FIRST_RUN, end, now)
    return expected_records(each for each in measured if each.metric == METRIC)


def run_twice_from(state: Json) -> TapRun:
    """Run with a state, and again a day later: what is new since the state's own run is there."""
    with create_sandbox() as sandbox:
        sandbox.clock.set(SECOND_RUN)
        run = run_in_process(sandbox, streams=STREAMS, state=state, **SETTINGS).check()
        sandbox.clock.set(THIRD_RUN)
        after = run_in_process(sandbox, streams=STREAMS, state=run.state, **SETTINGS).check()
        for stream in STREAMS:
            found = run.upserted(stream) | after.upserted(stream)
            assert expected_new_records(sandbox, stream).keys() <= found.keys(), stream
        assert "unusable" not in after.errors
    return run


FUTURE = "2027-01-01"
DISTANT_PAST = "0001-01-01"
WINDOW = ["2026-03-01", "2026-03-02"]
FUTURE_WINDOW = ["2026-03-08", FUTURE]
UNUSABLE_WARNING = "State of {} is unusable: {}; starting without state"
RESTART_WARNING = (
    f"{REPORT}: settings of its query have changed; it starts again from "
    "2026-03-08T00:00:00.000Z, for 1 reports"
)
UNKNOWN_REPORT_WARNING = (
    f"{REPORT}: report JB00000001 for 2026-03-01 00:00 to 2026-03-02 00:00 failed: "
    "Clarity no longer knows it; requesting it again"
)
UNUSUAL_STATES: dict[str, tuple[Change, list[str]]] = {
    "coverage to come": (
        lambda: changed_state(**{REPORT: {"covered": [FUTURE_WINDOW], "slot": [FUTURE, FUTURE]}}),
        [],
    ),
    "coverage of another age": (
        lambda: changed_state(**{REPORT: {"covered": [[FUTURE, "2028-01-01"]]}}),
        [],
    ),
    "requests to come": (
        lambda: changed_state(**{REPORT: {"requests": ["2027-01-01", 30]}}),
        [],
    ),
    "a token to come": (
        lambda: changed_state(**{RECENT: {"token_issued_at": FUTURE, "covered_until": FUTURE}}),
        [],
    ),
    "a later version": (
        lambda: changed_state(**{REPORT: {"version": 99, "zones": [{"a": [1]}]}}),
        [],
    ),
    "a run ages ago": (
        lambda: changed_state(
            **{RECENT: {"token_issued_at": DISTANT_PAST, "covered_until": DISTANT_PAST}}
        ),
        [
            UNUSABLE_WARNING.format(
                RECENT, "token_issued_at is before Clarity's first node was made"
            )
        ],
    ),
    "coverage ages ago": (
        lambda: changed_state(
            **{
                REPORT: {
                    "covered": [[DISTANT_PAST, "0001-02-01"]],
                    "slot": [DISTANT_PAST, DISTANT_PAST],
                }
            }
        ),
        [],
    ),
    "a report of another time": (
        lambda: changed_state(**{REPORT: {"reports": [["JB00000001", *WINDOW, WINDOW[1]]]}}),
        [UNKNOWN_REPORT_WARNING],
    ),
    "a report with a path for an id": (
        lambda: changed_state(**{REPORT: {"reports": [["..", *WINDOW]]}}),
        [UNUSABLE_WARNING.format(REPORT, "a report is not an id with a window, a time and counts")],
    ),
    "the streams' states exchanged": (
        lambda: {
            "bookmarks": {
                RECENT: first_state()["bookmarks"][REPORT],
                REPORT: first_state()["bookmarks"][RECENT],
            }
        },
        [RESTART_WARNING],
    ),
    "too much coverage": (
        lambda: changed_state(**{REPORT: {"covered": [WINDOW] * 2000}}),
        [UNUSABLE_WARNING.format(REPORT, "covered exceeds the limit of 1000")],
    ),
    "too long a token": (
        lambda: changed_state(**{RECENT: {"continuation_token": "x" * 70_000}}),
        [UNUSABLE_WARNING.format(RECENT, "continuation_token exceeds the limit of 65536")],
    ),
    "another organisation's": (
        lambda: changed_state(
            **{RECENT: {"fingerprint": "0" * 16}, REPORT: {"fingerprint": "0" * 16}}
        ),
        [RESTART_WARNING],
    ),
    "another tap's": (
        lambda: {"bookmarks": {"issues": {"starting_replication_value": "2026-03-01T00:00:00Z"}}},
        ["The state is another tap's: starting without one"],
    ),
    "a token of another kind": (
        lambda: changed_state(**{RECENT: {"continuation_token": "abc"}}),
        [],
    ),
}


@pytest.mark.parametrize(
    ("state", "expected_warnings"), UNUSUAL_STATES.values(), ids=UNUSUAL_STATES
)
def test_unusual_state_loses_no_data(state: Change, expected_warnings: list[str]) -> None:
    assert warnings(run_twice_from(state())) == expected_warnings


@pytest.mark.parametrize("share", [1, 0.3, 0.9])
def test_truncated_state_is_rejected_with_one_line(share: float) -> None:
    text = first_state_text()
    with create_sandbox() as sandbox:
        run = run_limited(sandbox, streams=STREAMS, state=text[: int(len(text) * share) - 1])
    assert (run.status, run.error_lines) == (1, ["the state file is not JSON: mend it"])
    assert "Traceback" not in run.errors


MILLION = 1_000_000
OVERSIZED_STATES: dict[str, Callable[[], str]] = {
    "a token": lambda: json.dumps(
        changed_state(**{RECENT: {"continuation_token": "x" * 50 * MILLION}})
    ),
    "windows": lambda: json.dumps(changed_state(**{REPORT: {"covered": [WINDOW] * MILLION}})),
    "a key that the tap does not know": lambda: json.dumps(
        changed_state(**{REPORT: {"x": "x" * 50 * MILLION}})
    ),
    "another tap's": lambda: json.dumps({"bookmarks": {"issues": "x" * 50 * MILLION}}),
    "brackets": lambda: "[" * 50 * MILLION,
    "a number": lambda: "9" * 50 * MILLION,
}


@pytest.mark.parametrize("state", OVERSIZED_STATES.values(), ids=OVERSIZED_STATES)
def test_oversized_state_is_dropped(state: Callable[[], str]) -> None:
    with create_sandbox() as sandbox:
        normal_run = run_limited(sandbox, streams=STREAMS, **SETTINGS)
        run = run_limited(sandbox, streams=STREAMS, state=state(), **SETTINGS)
    run.check()
    assert warnings(run) == ["The state is beyond reason, it is too long: starting without one"]
    assert len(run.records(REPORT)) == len(normal_run.records(REPORT)) > 0
    assert len(run.output) < 2 * len(normal_run.output)
    assert run.peak < normal_run.peak + 50


def test_large_state_shrinks() -> None:
    large_values = {
        "x": "x" * MILLION,
        "covered": [WINDOW] * 30_000,
        "reports": [["JB1", *WINDOW]] * 900,
    }
    state = changed_state(**{REPORT: large_values})
    state["bookmarks"]["issues"] = {"x": "x" * MILLION}
    with create_sandbox() as sandbox:
        run = run_limited(sandbox, streams=STREAMS, state=json.dumps(state), **SETTINGS)
    run.check()
    assert len(json.dumps(run.state)) < 2000
    assert UNUSABLE_WARNING.format(REPORT, "covered exceeds the limit of 1000") in warnings(run)
    assert run.peak < 200


paths = st.lists(st.integers(0, 40), min_size=1, max_size=5)


def with_value_at(state: Json, path: list[int], any_value: Json) -> Json:
    """Put junk into a state, at whatever place the numbers lead to."""
    container = state = copy.deepcopy(state)
    for depth, step in enumerate(path):
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = keys[step % len(keys)]
        if (
            depth == len(path) - 1
            or not isinstance(container[key], dict | list)
            or not container[key]
        ):
            container[key] = copy.deepcopy(any_value)
            return state
        container = container[key]
    return state


def state_with_full_lists() -> Json:
    """Give a state in which every list has something."""
    return changed_state(
        **{
            RECENT: {"gaps": [WINDOW], "reports": [["JB00000001", *WINDOW, WINDOW[1]]]},
            REPORT: {"reports": [["JB00000002", *WINDOW, WINDOW[1]]]},
        }
    )


any_value = documents | st.sampled_from(
    [DISTANT_PAST, FUTURE, [], [[]], [WINDOW], 10**400, -1, "JB\n"]
)


@contextmanager
def tap_without_requests() -> Iterator[TapClarity]:
    """Give a tap that asks for nothing."""
    with (
        patch.object(TapClarity, "_setup_signal_handlers", lambda _: None),
        patch.object(TapClarity, "clock", FakeClock(datetime.fromisoformat(SECOND_RUN))),
    ):
        config = {"api_key": "key", "org": "exampleAB12", **SETTINGS}
        yield TapClarity(config=config, catalog=catalog_of(STREAMS))


@fuzz(paths, any_value, in_ci=100)
def test_plan_works_with_arbitrary_values_anywhere_in_the_state(
    path: list[int], value: Json
) -> None:
    state = json.dumps(with_value_at(state_with_full_lists(), path, value))
    with logged() as log, tap_without_requests() as tap:
        tap.load_state(json.loads(state))
        assert [*tap.plan()]
    for line in log.getvalue().splitlines():
        assert "| ERROR" not in line
        assert len(line) < 500


@settings(max_examples=max(12, settings().max_examples // 20))
@given(paths, any_value)
def test_no_data_is_skipped_with_arbitrary_values_anywhere_in_the_state(
    path: list[int], value: Json
) -> None:
    run_twice_from(with_value_at(first_state(), path, value))


@pytest.mark.parametrize("stream", ["issues", RECENT])
def test_foreign_state_values_are_not_written_back(stream: str) -> None:
    state = first_state()
    state["bookmarks"].setdefault(stream, {})["x"] = "y" * 1000
    assert "yyy" not in json.dumps(run_twice_from(state).state)
