"""Fuzzing of timestamps and Retry-After: each is read exactly or rejected; waits are bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

from hypothesis import strategies as st

from tap_clarity.api.error_mapping import MAX_RETRY_AFTER, parse_retry_after
from tap_clarity.api.recent_responses import answered_at
from tap_clarity.core.timestamps import format_timestamp, parse_timestamp
from tests.support.fuzzing import fuzz, texts

NOW = datetime(2026, 3, 10, 9, 20, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
naive = datetime(1900, 1, 1, tzinfo=UTC).replace(tzinfo=None)
instants = st.datetimes(naive, naive.replace(year=9998), timezones=offsets)
# Made of what dates are made of, and a little more.
iso_like = st.from_regex(
    r"[0-9]{0,5}-?[0-9W]{0,2}-?[0-9]{0,2}[T ]?[0-9]{0,2}:?[0-9]{0,2}:?[0-9]{0,2}[.,]?[0-9]{0,12}"
    r"(Z|[+-][0-9]{0,4}:?[0-9:]{0,8})?\n?",
    fullmatch=True,
)
digits = st.sampled_from(["0", "10", "31", "59", "99", "2026", "9999", "9" * 20, "9" * 5000, "-1"])
http_like = st.builds(
    "{0} {1} {2} {3} {4}:{5}:{6} {7}{8}".format,
    st.sampled_from(["Tue,", "", "xyz"]),
    digits | st.just("10"),
    st.sampled_from(["Mar", "Mrz", ""]),
    digits | st.just("2026"),
    *[digits | st.just("09")] * 3,
    st.sampled_from(["GMT", "-0000", "Z", "+", "-"]),
    digits | st.just(""),
)


@fuzz(instants, st.sampled_from("T "), st.sampled_from(["milliseconds", "microseconds", "seconds"]))
def test_timestamp_is_read_to_the_millisecond(
    instant: datetime, separator: str, timespec: str
) -> None:
    text = instant.isoformat(separator, timespec)
    parsed = parse_timestamp(text)
    assert parsed.tzinfo is UTC
    assert (
        timedelta(0)
        <= instant - parsed
        < (timedelta(seconds=1) if timespec == "seconds" else MILLISECOND)
    )
    assert parse_timestamp(format_timestamp(parsed)) == parsed


@fuzz(texts | iso_like)
def test_arbitrary_text_is_a_timestamp_or_rejected(text: str) -> None:
    try:
        parsed = parse_timestamp(text)
    except ValueError:
        return
    assert parse_timestamp(format_timestamp(parsed)) == parsed
    assert parsed.year == int(text[:4]) or abs(parsed.year - int(text[:4])) == 1


@fuzz(st.integers(0, 400 * 86400), offsets)
def test_retry_after_is_read_exactly(seconds: int, offset: timezone) -> None:
    retry_at = (NOW + timedelta(seconds=seconds)).astimezone(offset)
    wait = min(seconds, MAX_RETRY_AFTER)
    assert parse_retry_after(str(seconds), NOW) == wait
    assert parse_retry_after(format_datetime(retry_at), NOW) == wait


@fuzz(texts | http_like | st.from_regex(r"[+-]?[0-9.e]{0,400}", fullmatch=True))
def test_no_retry_after_text_causes_an_unbounded_wait(text: str) -> None:
    wait = parse_retry_after(text, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@fuzz(texts | http_like)
def test_arbitrary_date_header_is_a_timestamp_or_none(text: str) -> None:
    answered_at_time = answered_at({"Date": text})
    assert answered_at_time is None or answered_at_time.tzinfo is UTC


@fuzz(
    instants | st.datetimes(naive.replace(year=2013), naive.replace(year=2030), timezones=offsets)
)
def test_date_header_is_read_to_the_second(instant: datetime) -> None:
    answered_at_time = answered_at({"Date": format_datetime(instant)})
    is_plausible = 2014 <= instant.astimezone(UTC).year < 2100
    assert answered_at_time == (instant.replace(microsecond=0) if is_plausible else None)
