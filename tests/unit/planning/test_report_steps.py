"""Decisions on a report: its status, the next step, and the range that it covers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.planning.report_steps import (
    Echo,
    NextStep,
    Report,
    ReportStatus,
    is_other_frequency,
    next_step,
    served_window,
    status_of,
)
from tests.support.planning.window_model import (
    SOME_EXAMPLES,
    at,
    half_hours,
    parse_window,
    timestamps,
    windows,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.timestamps import Window

NOW = at("2026-03-10T09:20")
WEEK = parse_window("2026-03-01 to 2026-03-08")
HOUR = timedelta(hours=1)
IN_PROGRESS, SUCCEEDED, FAILED, NOT_FOUND = ReportStatus
WAIT, POLL_AGAIN, DOWNLOAD, KEEP, REPLACE, FAIL, CLOSE_EMPTY = NextStep


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("in-progress In-Progress IN_PROGRESS inProgress in-progress.", IN_PROGRESS),
        ("pending queued processing running QUEUED Pending", IN_PROGRESS),
        ("succeeded SUCCEEDED Success completed Complete ready done", SUCCEEDED),
        ("failed FAILED Failed error cancelled canceled expired aborted rejected", FAILED),
        ("unknown succeeding unsucceeded not-ready done-with-errors", FAILED),
    ],
)
def test_statuses_are_read_in_any_case_and_with_synonyms(words: str, status: ReportStatus) -> None:
    assert {word: status_of(word) for word in words.split()} == dict.fromkeys(words.split(), status)


@pytest.mark.parametrize("word", ["", " ", "-", "1", "\u00fc", "in progress please wait"])
def test_unknown_status_means_failed(word: str) -> None:
    assert status_of(word) is FAILED


def test_statuses_with_separators_are_the_same() -> None:
    assert status_of("in progress") is IN_PROGRESS
    assert status_of(" Succeeded ") is SUCCEEDED


@SOME_EXAMPLES
@given(st.text())
def test_any_text_has_a_status(word: str) -> None:
    assert status_of(word) in {IN_PROGRESS, SUCCEEDED, FAILED}


@pytest.mark.parametrize(
    ("status", "has_files", "age", "polls", "empty_count", "step"),
    [
        # In progress: waited for until six hours have passed.
        (IN_PROGRESS, False, 0 * HOUR, 0, 0, WAIT),
        (IN_PROGRESS, False, 5.99 * HOUR, 0, 0, WAIT),
        (IN_PROGRESS, False, 6 * HOUR, 0, 0, FAIL),
        (IN_PROGRESS, False, -6 * HOUR, 0, 0, FAIL),  # recorded by a clock that was ahead
        (IN_PROGRESS, False, 99 * HOUR, 0, 2, FAIL),
        (IN_PROGRESS, False, -HOUR, 0, 0, WAIT),  # the clock was put back
        # Ended: at once, however old it is.
        (FAILED, False, 0 * HOUR, 0, 0, FAIL),
        (FAILED, False, 99 * HOUR, 9, 2, FAIL),
        (SUCCEEDED, True, 0 * HOUR, 0, 0, DOWNLOAD),
        (SUCCEEDED, True, 99 * HOUR, 9, 2, DOWNLOAD),
        # Without files: three polls, then the next run, then another report, then it is empty.
        (SUCCEEDED, False, 0 * HOUR, 1, 0, POLL_AGAIN),
        (SUCCEEDED, False, 0 * HOUR, 2, 2, POLL_AGAIN),
        (SUCCEEDED, False, 0 * HOUR, 3, 0, KEEP),
        (SUCCEEDED, False, 0 * HOUR, 3, 1, REPLACE),
        (SUCCEEDED, False, 0 * HOUR, 3, 2, CLOSE_EMPTY),
        (SUCCEEDED, False, 0 * HOUR, 4, 3, CLOSE_EMPTY),
        # Not known: for a moment, or for good.
        (NOT_FOUND, False, 0 * HOUR, 1, 0, POLL_AGAIN),
        (NOT_FOUND, False, 0 * HOUR, 2, 0, POLL_AGAIN),
        (NOT_FOUND, False, 0 * HOUR, 3, 0, FAIL),
        (NOT_FOUND, False, 0 * HOUR, 3, 2, FAIL),
    ],
)
def test_the_next_step(  # noqa: PLR0913 - a table
    status: ReportStatus,
    age: timedelta,
    polls: int,
    empty_count: int,
    step: NextStep,
    *,
    has_files: bool,
) -> None:
    report = Report("JB1", WEEK, NOW - age, empty_count)
    assert next_step(report, status, NOW, has_files=has_files, polls=polls) is step


@pytest.mark.parametrize(
    ("echo", "served"),
    [
        (Echo(), "2026-03-01 to 2026-03-08"),
        (Echo(WEEK.start, WEEK.end), "2026-03-01 to 2026-03-08"),
        (Echo(start=at("2026-03-03")), "2026-03-03 to 2026-03-08"),
        (Echo(end=at("2026-03-03")), "2026-03-01 to 2026-03-03"),
        (Echo(at("2026-03-03"), at("2026-03-04")), "2026-03-03 to 2026-03-04"),
        # More than was requested covers no more than that.
        (Echo(at("2026-02-01"), at("2026-04-01")), "2026-03-01 to 2026-03-08"),
        # Rounding leaves out no averaging period.
        (Echo(end=at("2026-03-07T23:59:59.999")), "2026-03-01 to 2026-03-08"),
        (Echo(start=at("2026-03-01T00:59:59")), "2026-03-01T00:59:59 to 2026-03-08"),
        (Echo(end=at("2026-03-07T23:00")), "2026-03-01 to 2026-03-07T23:00"),
        # Nothing of it.
        (Echo(at("2026-03-08"), at("2026-03-09")), None),
        (Echo(at("2026-02-01"), at("2026-03-01")), None),
        (Echo(at("2026-03-04"), at("2026-03-04")), None),
        (Echo(at("2026-03-05"), at("2026-03-03")), None),
    ],
)
def test_report_covers_the_range_of_its_echo(echo: Echo, served: str | None) -> None:
    assert served_window(WEEK, echo, FREQUENCIES["hour"]) == (
        parse_window(served) if served else None
    )


@pytest.mark.parametrize(
    ("window", "echo", "served"),
    [
        ("2026-03-01T07:20 to 2026-03-03", Echo(start=at("2026-03-01T20:00")), None),
        ("2026-03-01T07:20 to 2026-03-03", Echo(start=at("2026-03-02")), None),
        ("2026-03-01 to 2026-03-03T09:25", Echo(end=at("2026-03-03T09:00")), None),
        (
            "2026-03-01 to 2026-03-03",
            Echo(start=at("2026-03-01T09:25")),
            "2026-03-01T09:25 to 2026-03-03",
        ),
        ("2026-03-01 to 2026-03-03T09:25", Echo(end=at("2026-03-03")), "2026-03-01 to 2026-03-03"),
    ],
)
def test_range_is_clipped_if_a_day_starts_in_the_missing_part(
    window: str, echo: Echo, served: str | None
) -> None:
    assert served_window(parse_window(window), echo, FREQUENCIES["day"]) == parse_window(
        served or window
    )


@SOME_EXAMPLES
@given(windows, st.none() | timestamps, st.none() | timestamps)
def test_only_the_requested_and_served_range_is_covered(
    window: Window, start: datetime | None, end: datetime | None
) -> None:
    served = served_window(window, Echo(start, end), FREQUENCIES["minute"])
    expected = half_hours([window])
    if start:
        expected = {number for number in expected if number >= _number(start)}
    if end:
        expected = {number for number in expected if number < _number(end)}
    assert half_hours([served] if served else []) == expected


def _number(instant: datetime) -> int:
    return int((instant - at("2026-02-20")) / timedelta(minutes=30))


@pytest.mark.parametrize(
    ("name", "is_other"),
    [("hour", False), (None, False), ("HOUR", False), ("day", True), ("", False)],
)
def test_report_of_another_frequency_is_detected_by_its_echo(
    name: str | None, *, is_other: bool
) -> None:
    assert is_other_frequency(Echo(output_frequency=name), FREQUENCIES["hour"]) is is_other
