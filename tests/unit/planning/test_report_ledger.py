"""The ledger of one stream: each step of a report, and its state."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, EPOCH, Window
from tap_clarity.planning.quota import DailyUsage
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.report_steps import Report
from tap_clarity.planning.retries import FailingWindow
from tests.support.planning.ledger_strategies import arbitrary_json, ledgers
from tests.support.planning.window_model import MANY_EXAMPLES, at, parse_window

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = at("2026-03-10T09:20")
TODAY = NOW.date()
FIRST_WEEK, SECOND_WEEK = (
    parse_window("2026-02-01 to 2026-02-08"),
    parse_window("2026-02-08 to 2026-02-15"),
)
FIRST, SECOND = Report("JB1", FIRST_WEEK, NOW), Report("JB2", SECOND_WEEK, NOW)
BOTH = ReportLedger(pending=(FIRST, SECOND), usage=DailyUsage(TODAY, 2, NOW))


def failing(window: Window, attempts: int = 1, wait: int = 0) -> FailingWindow:
    return FailingWindow(window, attempts, TODAY, TODAY + wait * DAY)


def test_request_is_counted_before_it_is_accepted() -> None:
    requested = ReportLedger().request(TODAY)
    assert requested == ReportLedger(usage=DailyUsage(TODAY, 1))
    accepted = requested.accept(FIRST, None, NOW)
    assert accepted == ReportLedger(pending=(FIRST,), usage=DailyUsage(TODAY, 1, NOW))
    assert accepted.request(TODAY).accept(SECOND, None, NOW) == BOTH
    assert BOTH.pending_windows == (FIRST_WEEK, SECOND_WEEK)


def test_replacement_takes_effect_only_when_accepted() -> None:
    again = Report("JB3", FIRST_WEEK, NOW, empty_count=2)
    assert BOTH.request(TODAY).pending == BOTH.pending
    assert BOTH.accept(again, FIRST, NOW).pending == (SECOND, again)


def test_kept_report_stays_pending() -> None:
    kept = FIRST._replace(bad_runs=1)
    assert BOTH.keep(kept).pending == (kept, SECOND)


def test_failed_report_is_dropped_and_its_window_is_due_immediately() -> None:
    failed = BOTH.fail(FIRST, TODAY)
    assert (failed.pending, failed.failing) == ((SECOND,), (failing(FIRST_WEEK),))
    assert failed.retries_on(FIRST_WEEK, TODAY)
    twice = failed.accept(FIRST, None, NOW).fail(FIRST, TODAY)
    assert twice.failing == (failing(FIRST_WEEK, 2, wait=1),)
    assert not twice.retries_on(FIRST_WEEK, TODAY)
    assert twice.retries_on(FIRST_WEEK, TODAY + DAY)


def test_rejected_window_is_retried_on_another_day() -> None:
    rejected = BOTH.reject(parse_window("2026-02-15 to 2026-02-20"), TODAY)
    assert rejected.pending == BOTH.pending
    assert rejected.failing == (failing(parse_window("2026-02-15 to 2026-02-20"), wait=1),)
    assert not rejected.retries_on(parse_window("2026-02-15 to 2026-02-20"), TODAY)


def test_failures_of_a_window_apply_to_each_of_its_parts() -> None:
    ledger = BOTH.fail(FIRST, TODAY).reject(FIRST_WEEK, TODAY)
    part, other = parse_window("2026-02-03 to 2026-02-04"), SECOND_WEEK
    assert (ledger.attempts_at(part), ledger.attempts_at(other)) == (2, 0)
    assert (ledger.next_attempt(part), ledger.next_attempt(other)) == (TODAY + DAY, None)
    assert not ledger.retries_on(other, TODAY + 99 * DAY)


def test_completed_report_ends_failures_in_the_served_range() -> None:
    ledger = BOTH.fail(FIRST, TODAY).accept(FIRST, None, NOW)
    served = parse_window("2026-02-03 to 2026-02-08")
    completed = ledger.complete(FIRST, served)
    assert completed.pending == (SECOND,)
    assert completed.failing == (failing(parse_window("2026-02-01 to 2026-02-03")),)
    assert ledger.complete(FIRST, FIRST_WEEK).failing == ()


def test_failing_windows_outside_the_scope_are_dropped() -> None:
    ledger = ReportLedger(failing=(failing(FIRST_WEEK), failing(SECOND_WEEK)))
    later = Window(FIRST_WEEK.end, SECOND_WEEK.end)
    assert ledger.drop_outside([later]).failing == (failing(SECOND_WEEK),)
    assert ledger.drop_outside([Window(FIRST_WEEK.end - DAY, SECOND_WEEK.end)]) == ledger
    assert ledger.drop_outside([]).failing == ()


def test_a_state_holds_a_hundred_rejected_ids() -> None:
    ledger = ReportLedger()
    for number in range(101):
        ledger = ledger.leave_out(f"N{number}", TODAY)
    assert ledger.ids_left_out(TODAY) == tuple(f"N{number}" for number in range(1, 101))


@pytest.mark.parametrize("id_", ["", "..", "A\nERROR", "A" * 201])
def test_a_state_holds_no_malformed_id(id_: str) -> None:
    assert BOTH.leave_out(id_, TODAY) == BOTH


def test_ids_that_are_rejected_are_left_out_for_thirty_days_from_the_last_one_on() -> None:
    ledger = ReportLedger().leave_out("A", TODAY)
    assert ledger.ids_left_out(TODAY + 29 * DAY) == ("A",)
    assert ledger.ids_left_out(TODAY + 30 * DAY) == ()
    both = ledger.leave_out("B", TODAY + 29 * DAY).leave_out("C", TODAY + 29 * DAY)
    assert both.ids_left_out(TODAY + 58 * DAY) == ("A", "B", "C")
    assert both.ids_left_out(TODAY + 59 * DAY) == ()
    # Those whose time is over are requested again: they are not rejected with the others.
    assert ledger.ids_left_out(TODAY - DAY) == ()  # recorded by a clock that was ahead
    later = ledger.leave_out("B", TODAY + 30 * DAY)
    assert later.ids_left_out(TODAY + 59 * DAY) == ("B",)


def test_429_is_saved() -> None:
    assert BOTH.exhaust(NOW, EPOCH).usage == DailyUsage(TODAY, 2, NOW, NOW, NOW)


@MANY_EXAMPLES
@given(ledgers)
def test_serialized_state_is_read_back(ledger: ReportLedger) -> None:
    state = json.loads(json.dumps(ledger.to_state()))
    assert ReportLedger.from_state(state) == ledger
    assert state.keys() == ReportLedger().to_state().keys()


def test_empty_values_are_not_written() -> None:
    empty: dict[str, Any] = {"reports": [], "failing": [], "requests": [], "rejected_ids": []}
    assert ReportLedger().to_state() == empty
    assert ReportLedger.from_state({}) == ReportLedger.from_state(empty) == ReportLedger()
    assert BOTH.exhaust(NOW, EPOCH).to_state() == empty | {
        "reports": [
            ["JB1", "2026-02-01", "2026-02-08", "2026-03-10T09:20Z"],
            ["JB2", "2026-02-08", "2026-02-15", "2026-03-10T09:20Z"],
        ],
        "requests": ["2026-03-10", 2, *["2026-03-10T09:20Z"] * 3],
    }


WINDOW = ["2026-03-01", "2026-03-02"]
REPORT = ["JB1", *WINDOW, "2026-03-02T00:10Z"]
FAILING = [*WINDOW, 1, *WINDOW]
MALFORMED_REPORTS: list[Any] = [
    *("JB1", 1, True, {"JB1": WINDOW}, ["JB1"], [["JB1"]], [WINDOW], REPORT),
    *([[id_, *REPORT[1:]]] for id_ in (None, "", "JB1\n", "..", "JB\ud800", "J" * 201)),
    [["JB1", *WINDOW]],
    [["JB1", *reversed(WINDOW), WINDOW[1]]],
    [["JB1", "soon", "later", WINDOW[1]]],
    *([[*REPORT[:3], time]] for time in (None, 1, "soon", WINDOW)),
    *([[*REPORT, count]] for count in (-1, 1.5, True, "1", None, 10**7, [1])),
    [[*REPORT, 1, 1, 1]],
    [REPORT] * 1001,
]
MALFORMED_FAILING: list[Any] = [
    *("2026-03-01", 1, True, {"a": 1}, WINDOW, FAILING, [WINDOW], [FAILING[:4]], [[*FAILING, 1]]),
    [[*reversed(WINDOW), 1, *WINDOW]],
    *([[*WINDOW, attempts, *WINDOW]] for attempts in (-1, 1.5, True, "1", None, 10**7)),
    *([[*WINDOW, 1, since, WINDOW[1]]] for since in (None, 1, "soon", "2026-02-30")),
    [[*WINDOW, 1, WINDOW[0], None]],
    [[*WINDOW, 1, WINDOW[0], "soon"]],
    [[*WINDOW, 1, WINDOW[0], []]],
    [FAILING] * 1001,
]
MALFORMED_REQUESTS: list[Any] = [
    *(3, "text", True, {"2026-03-10": 3}),
    *([day, 3] for day in (1, True, "yesterday", ["2026-03-10"])),
    *(["2026-03-10", count] for count in ("3", 3.5, True, [3], -1, 10**7)),
    *(["2026-03-10", 3, *[None] * place, "soon"] for place in range(3)),
    ["2026-03-10", 3, None, None, None, None],
]
MALFORMED_IDS: list[Any] = [
    *("D1", 1, True, {"D1": 1}, ["D1"], [1, "D1"], ["soon", "D1"]),
    *(["2026-03-10", id_] for id_ in (None, 1, "", "..", "D1\n", ["D1"])),
]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("reports", value) for value in MALFORMED_REPORTS),
        *(("failing", value) for value in MALFORMED_FAILING),
        *(("requests", value) for value in MALFORMED_REQUESTS),
        *(("rejected_ids", value) for value in MALFORMED_IDS),
    ],
)
def test_malformed_ledger_is_rejected(key: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r"\w"):
        ReportLedger.from_state({key: value})


json_values = arbitrary_json(*WINDOW, "9999-12-31T23:59:59-23:59", "0001-01-01", "JB1", max_size=6)


def _replaced(state: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:  # noqa: ANN401
    *parents, last = path
    inner: Any = state
    for key in parents:
        inner = inner[key]
    inner[last] = value


FULL = (
    BOTH.fail(FIRST, TODAY)
    .reject(SECOND_WEEK, TODAY)
    .keep(SECOND._replace(bad_runs=1))
    .exhaust(NOW, EPOCH)
    .leave_out("A", TODAY)
    .leave_out("B", TODAY)
)
PATHS: list[tuple[Any, ...]] = [
    *((key,) for key in FULL.to_state()),
    *((key, place) for key, values in FULL.to_state().items() for place in range(len(values))),
    *(("reports", 0, place) for place in range(6)),
    *(("failing", 1, place) for place in range(5)),
]


@MANY_EXAMPLES
@given(st.lists(st.tuples(st.sampled_from(PATHS), json_values), min_size=1, max_size=2))
def test_arbitrary_json_raises_no_other_error(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    state = deepcopy(FULL.to_state())
    # The longer path first: the shorter one may replace what it leads to.
    for path, value in sorted(changes, key=lambda change: -len(change[0])):
        _replaced(state, path, value)
    try:
        read = ReportLedger.from_state(state)
    except ValueError:
        return
    assert ReportLedger.from_state(read.to_state()) == read


def _at_most(build: Callable[[int, Window], Any]) -> tuple[Any, ...]:
    """Ten of them, each of a week that begins at no full hour."""
    first = parse_window("2026-01-01T05:30 to 2026-01-08T05:30")
    weeks = (timedelta(days=7 * number) for number in range(10))
    return tuple(
        build(number, Window(first.start + week, first.end + week))
        for number, week in enumerate(weeks)
    )


def test_state_with_ten_pending_and_ten_failing_windows_is_small() -> None:
    ledger = ReportLedger(
        pending=_at_most(lambda number, window: Report(f"JB0000{number:04}", window, NOW, 1, 1)),
        failing=_at_most(lambda _, window: FailingWindow(window, 12, TODAY, TODAY + 7 * DAY)),
        usage=DailyUsage(TODAY, 25, NOW, NOW, NOW),
    ).leave_out("DAAAA0001", TODAY)
    # A STATE of all streams is to stay under 8 KiB; each checkpoint repeats it.
    assert len(json.dumps(ledger.to_state())) < 2000
