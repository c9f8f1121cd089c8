"""Whatever the state holds, it is said in one line and survived, and nothing is ever skipped."""

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
from tests.support.limited_runner import run_guarded
from tests.support.report_harness import run_inside, warnings
from tests.support.tap_process import catalog_of, expected_records, logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.tap_process import Key, Record, TapRun

    Change = Callable[[], Any]

Json = Any
FIRST, SECOND, THIRD = "2026-03-10T09:20:00Z", "2026-03-10T13:20:00Z", "2026-03-11T13:20:00Z"
START = "2026-03-08T00:00:00Z"
METRIC = "pm2_5ConcMass1HourMean"
RECENT, REPORT = "recent_measurements", "datasource_measurements"
STREAMS = (RECENT, REPORT)
SETTINGS: dict[str, Any] = {"start_date": START, "metric_select": f"only {METRIC}"}


def town() -> Sandbox:
    return Sandbox(
        seed=1, datasources=2, now=FIRST, frozen=True, report_seconds=0, daily_quota=10_000
    )


@cache
def left_behind() -> str:
    """Give the state of a first run, as text."""
    with town() as sandbox:
        return json.dumps(run_inside(sandbox, streams=STREAMS, **SETTINGS).check().state)


def good() -> Json:
    return json.loads(left_behind())


def changed(**bookmarks: dict[str, Json]) -> Json:
    """Give the state of a first run, with other values in some streams' states."""
    state = good()
    for stream, change in bookmarks.items():
        state["bookmarks"][stream] |= change
    return state


def truth(sandbox: Sandbox, stream: str) -> dict[Key, Record]:
    """Tell what the second and third runs have to bring."""
    now = sandbox.clock.now()
    end = now if stream == RECENT else now.replace(minute=0)
    measured = sandbox.expected.measurements("hour", FIRST, end, now)
    return expected_records(each for each in measured if each.metric == METRIC)


def survived(state: Json) -> TapRun:
    """Run with a state, and again a day later: what is new since the state's own run is there."""
    with town() as sandbox:
        sandbox.clock.set(SECOND)
        run = run_inside(sandbox, streams=STREAMS, state=state, **SETTINGS).check()
        sandbox.clock.set(THIRD)
        after = run_inside(sandbox, streams=STREAMS, state=run.state, **SETTINGS).check()
        for stream in STREAMS:
            found = run.upserted(stream) | after.upserted(stream)
            assert truth(sandbox, stream).keys() <= found.keys(), stream
        assert "unusable" not in after.errors
    return run


TO_COME = "2027-01-01"
AGES_AGO = "0001-01-01"
WINDOW = ["2026-03-01", "2026-03-02"]
HEAD = ["2026-03-08", TO_COME]
UNUSABLE = "State of {} is unusable: {}; starting without state"
RESTARTED = (
    f"{REPORT}: settings of its query have changed; it starts again from "
    "2026-03-08T00:00:00.000Z, for 1 reports"
)
UNKNOWN = (
    f"{REPORT}: report JB00000001 for 2026-03-01 00:00 to 2026-03-02 00:00 failed: "
    "Clarity no longer knows it; requesting it again"
)
ODD: dict[str, tuple[Change, list[str]]] = {
    "coverage to come": (
        lambda: changed(**{REPORT: {"covered": [HEAD], "slot": [TO_COME, TO_COME]}}),
        [],
    ),
    "coverage of another age": (
        lambda: changed(**{REPORT: {"covered": [[TO_COME, "2028-01-01"]]}}),
        [],
    ),
    "requests to come": (
        lambda: changed(**{REPORT: {"requests": ["2027-01-01", 30]}}),
        [],
    ),
    "a token to come": (
        lambda: changed(**{RECENT: {"token_issued_at": TO_COME, "covered_until": TO_COME}}),
        [],
    ),
    "a later version": (lambda: changed(**{REPORT: {"version": 99, "zones": [{"a": [1]}]}}), []),
    "a run ages ago": (
        lambda: changed(**{RECENT: {"token_issued_at": AGES_AGO, "covered_until": AGES_AGO}}),
        [UNUSABLE.format(RECENT, "token_issued_at is before Clarity's first node was made")],
    ),
    "coverage ages ago": (
        lambda: changed(
            **{REPORT: {"covered": [[AGES_AGO, "0001-02-01"]], "slot": [AGES_AGO, AGES_AGO]}}
        ),
        [],
    ),
    "a report of another time": (
        lambda: changed(**{REPORT: {"reports": [["JB00000001", *WINDOW, WINDOW[1]]]}}),
        [UNKNOWN],
    ),
    "a report with a path for an id": (
        lambda: changed(**{REPORT: {"reports": [["..", *WINDOW]]}}),
        [UNUSABLE.format(REPORT, "a report is not an id with a window, a time and counts")],
    ),
    "the streams' states exchanged": (
        lambda: {
            "bookmarks": {RECENT: good()["bookmarks"][REPORT], REPORT: good()["bookmarks"][RECENT]}
        },
        [RESTARTED],
    ),
    "too much coverage": (
        lambda: changed(**{REPORT: {"covered": [WINDOW] * 2000}}),
        [UNUSABLE.format(REPORT, "covered exceeds the limit of 1000")],
    ),
    "too long a token": (
        lambda: changed(**{RECENT: {"continuation_token": "x" * 70_000}}),
        [UNUSABLE.format(RECENT, "continuation_token exceeds the limit of 65536")],
    ),
    "another organisation's": (
        lambda: changed(**{RECENT: {"fingerprint": "0" * 16}, REPORT: {"fingerprint": "0" * 16}}),
        [RESTARTED],
    ),
    "another tap's": (
        lambda: {"bookmarks": {"issues": {"starting_replication_value": "2026-03-01T00:00:00Z"}}},
        ["The state is another tap's: starting without one"],
    ),
    "a token of another kind": (lambda: changed(**{RECENT: {"continuation_token": "abc"}}), []),
}


@pytest.mark.parametrize(("state", "said"), ODD.values(), ids=ODD)
def test_an_odd_state_is_said_and_survived(state: Change, said: list[str]) -> None:
    assert warnings(survived(state())) == said


@pytest.mark.parametrize("cut", [1, 0.3, 0.9])
def test_a_truncated_state_is_refused_in_one_line(cut: float) -> None:
    text = left_behind()
    with town() as sandbox:
        run = run_guarded(sandbox, streams=STREAMS, state=text[: int(len(text) * cut) - 1])
    assert (run.status, run.complaints) == (1, ["the state file is not JSON: mend it"])
    assert "Traceback" not in run.errors


MANY = 1_000_000
ENORMOUS: dict[str, Callable[[], str]] = {
    "a token": lambda: json.dumps(changed(**{RECENT: {"continuation_token": "x" * 50 * MANY}})),
    "windows": lambda: json.dumps(changed(**{REPORT: {"covered": [WINDOW] * MANY}})),
    "a key that the tap does not know": lambda: json.dumps(
        changed(**{REPORT: {"x": "x" * 50 * MANY}})
    ),
    "another tap's": lambda: json.dumps({"bookmarks": {"issues": "x" * 50 * MANY}}),
    "brackets": lambda: "[" * 50 * MANY,
    "a number": lambda: "9" * 50 * MANY,
}


@pytest.mark.parametrize("state", ENORMOUS.values(), ids=ENORMOUS)
def test_an_enormous_state_is_left_behind(state: Callable[[], str]) -> None:
    with town() as sandbox:
        usual = run_guarded(sandbox, streams=STREAMS, **SETTINGS)
        run = run_guarded(sandbox, streams=STREAMS, state=state(), **SETTINGS)
    run.check()
    assert warnings(run) == ["The state is beyond reason, it is too long: starting without one"]
    assert len(run.records(REPORT)) == len(usual.records(REPORT)) > 0
    assert len(run.output) < 2 * len(usual.output)
    assert run.peak < usual.peak + 50


def test_a_large_state_becomes_small_again() -> None:
    ballast = {"x": "x" * MANY, "covered": [WINDOW] * 30_000, "reports": [["JB1", *WINDOW]] * 900}
    state = changed(**{REPORT: ballast})
    state["bookmarks"]["issues"] = {"x": "x" * MANY}
    with town() as sandbox:
        run = run_guarded(sandbox, streams=STREAMS, state=json.dumps(state), **SETTINGS)
    run.check()
    assert len(json.dumps(run.state)) < 2000
    assert UNUSABLE.format(REPORT, "covered exceeds the limit of 1000") in warnings(run)
    assert run.peak < 200


paths = st.lists(st.integers(0, 40), min_size=1, max_size=5)


def placed(state: Json, path: list[int], junk: Json) -> Json:
    """Put junk into a state, at whatever place the numbers lead to."""
    here = state = copy.deepcopy(state)
    for depth, step in enumerate(path):
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = keys[step % len(keys)]
        if depth == len(path) - 1 or not isinstance(here[key], dict | list) or not here[key]:
            here[key] = copy.deepcopy(junk)
            return state
        here = here[key]
    return state


def busy() -> Json:
    """Give a state in which every list has something."""
    return changed(
        **{
            RECENT: {"gaps": [WINDOW], "reports": [["JB00000001", *WINDOW, WINDOW[1]]]},
            REPORT: {"reports": [["JB00000002", *WINDOW, WINDOW[1]]]},
        }
    )


junk = documents | st.sampled_from([AGES_AGO, TO_COME, [], [[]], [WINDOW], 10**400, -1, "JB\n"])


@contextmanager
def planning() -> Iterator[TapClarity]:
    """Give a tap that asks for nothing."""
    with (
        patch.object(TapClarity, "_setup_signal_handlers", lambda _: None),
        patch.object(TapClarity, "clock", FakeClock(datetime.fromisoformat(SECOND))),
    ):
        config = {"api_key": "key", "org": "exampleAB12", **SETTINGS}
        yield TapClarity(config=config, catalog=catalog_of(STREAMS))


@fuzz(paths, junk, in_ci=100)
def test_with_anything_anywhere_in_the_state_there_is_a_plan(path: list[int], value: Json) -> None:
    state = json.dumps(placed(busy(), path, value))
    with logged() as log, planning() as tap:
        tap.load_state(json.loads(state))
        assert [*tap.plan()]
    for line in log.getvalue().splitlines():
        assert "| ERROR" not in line
        assert len(line) < 500


@settings(max_examples=max(12, settings().max_examples // 20))
@given(paths, junk)
def test_with_anything_anywhere_in_the_state_nothing_is_skipped(
    path: list[int], value: Json
) -> None:
    survived(placed(good(), path, value))


@pytest.mark.parametrize("stream", ["issues", RECENT])
def test_what_no_state_of_ours_holds_is_not_written_out_again(stream: str) -> None:
    state = good()
    state["bookmarks"].setdefault(stream, {})["x"] = "y" * 1000
    assert "yyy" not in json.dumps(survived(state).state)
