"""Timestamps and windows: reading, writing, and the limits of each frequency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import FormatChecker

from tap_clarity.core.frequencies import FREQUENCIES, Frequency
from tap_clarity.core.timestamps import DAY, Window, floor, format_timestamp, parse_timestamp

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PRECISELY = datetime(2026, 3, 10, 9, 20, 30, 125000, tzinfo=UTC)

quickly = settings(deadline=None, max_examples=200, print_blob=True)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-10T09:20:30.125Z", PRECISELY),
        ("2026-03-10T09:20:30.125", PRECISELY),
        ("2026-03-10 09:20:30.125+00:00", PRECISELY),
        ("2026-03-10T10:20:30.125+01:00", PRECISELY),
        ("2026-03-10T05:50:30.125-03:30", PRECISELY),
        ("2026-03-11T00:20:30.125+15:00", PRECISELY),
        ("20260310T092030.125Z", PRECISELY),
        ("2026-03-10T09:20:30.125999Z", PRECISELY),
        ("2026-03-10T09:20:30.1259999999Z", PRECISELY),
        ("2026-03-10T09:20:30Z", PRECISELY.replace(microsecond=0)),
        ("2026-03-10T09:20Z", PRECISELY.replace(second=0, microsecond=0)),
        ("2026-03-10", datetime(2026, 3, 10, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    ],
)
def test_timestamp_is_read_in_utc_to_the_millisecond(text: str, instant: datetime) -> None:
    parsed = parse_timestamp(text)
    assert parsed == instant
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "today",
        "1773134430",
        "2026-02-29",
        "2026-13-01",
        "2026-03-10T25:00",
        "2026-03-10T09:20:30.125Z ",
        "2026-03-10T09:20:30 CET",
        "10.03.2026",
        "2026-03-10T09:20:30Z\n",
        "2026-03-10\ud800",
        "0001-01-01T00:00+00:01",
        "9999-12-31T23:59-00:01",
    ],
)
def test_invalid_timestamp_is_rejected_without_quoting_it(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"not an ISO 8601 date or time|the years 1 to 9999"
    ) as caught:
        parse_timestamp(text)
    assert not text.strip() or text.strip() not in str(caught.value)


@quickly
@given(st.text() | st.text("0123456789-:T.+ZW "))
def test_arbitrary_text_raises_no_other_error(text: str) -> None:
    try:
        parsed = parse_timestamp(text)
    except ValueError:
        return
    assert parsed.microsecond % 1000 == 0


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (PRECISELY, "2026-03-10T09:20:30.125Z"),
        (datetime(2026, 3, 10, tzinfo=UTC), "2026-03-10T00:00:00.000Z"),
        (PRECISELY.replace(microsecond=999_999), "2026-03-10T09:20:30.999Z"),
        (datetime.fromisoformat("2026-03-10T01:00:00+02:00"), "2026-03-09T23:00:00.000Z"),
        (datetime(987, 1, 1, tzinfo=UTC), "0987-01-01T00:00:00.000Z"),
    ],
)
def test_timestamp_is_written_in_utc_with_milliseconds(instant: datetime, text: str) -> None:
    assert format_timestamp(instant) == text


instants = st.integers(-(2**45), 2**46).map(
    lambda number: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)
)


@quickly
@given(instants)
def test_written_timestamp_is_a_valid_date_time_and_read_back(instant: datetime) -> None:
    text = format_timestamp(instant)
    assert parse_timestamp(text) == instant
    assert FormatChecker().conforms(text, "date-time")
    assert not FormatChecker().conforms(text[:10], "date-time")
    assert len(text) == len("2026-03-10T09:20:30.125Z")


@pytest.mark.parametrize(
    ("instant", "step", "expected"),
    [
        ("2026-03-10T09:20:30.125", MINUTE, "2026-03-10T09:20"),
        ("2026-03-10T09:20:30.125", HOUR, "2026-03-10T09:00"),
        ("2026-03-10T09:20:30.125", DAY, "2026-03-10"),
        ("2026-03-10T09:20:30.125", 6 * HOUR, "2026-03-10T06:00"),
        ("2026-03-10", DAY, "2026-03-10"),
        ("1969-12-31T23:59", DAY, "1969-12-31"),
        ("1970-01-08", 7 * DAY, "1970-01-08"),
        ("1970-01-14T23:59", 7 * DAY, "1970-01-08"),
    ],
)
def test_floor_gives_the_start_of_the_step(instant: str, step: timedelta, expected: str) -> None:
    assert floor(parse_timestamp(instant), step) == parse_timestamp(expected)


@quickly
@given(instants, st.sampled_from([MINUTE, HOUR, 5 * HOUR, DAY, 7 * DAY]))
def test_floor_is_less_than_a_step_earlier_and_idempotent(
    instant: datetime, step: timedelta
) -> None:
    whole = floor(instant, step)
    assert whole <= instant < whole + step
    assert floor(whole, step) == whole
    assert floor(whole + step, step) == whole + step


def test_window_is_formatted_for_logs() -> None:
    window = Window(parse_timestamp("2026-03-01T05:30"), parse_timestamp("2026-03-04"))
    assert str(window) == "2026-03-01 05:30 to 2026-03-04 00:00"


@pytest.mark.parametrize(
    "expected",
    [
        # Clarity's cache and the delays promised for; the tap's defaults.
        Frequency("minute", MINUTE, None, 24 * HOUR, 3 * HOUR, 7, 3),
        Frequency("hour", HOUR, HOUR, 48 * HOUR, 3 * HOUR, 31, 3),
        Frequency("day", DAY, DAY, 10 * DAY, 2 * DAY, 366, 10),
    ],
    ids=lambda frequency: frequency.name,
)
def test_limits_of_each_frequency(expected: Frequency) -> None:
    assert FREQUENCIES[expected.name] == expected
    assert len(FREQUENCIES) == 3
