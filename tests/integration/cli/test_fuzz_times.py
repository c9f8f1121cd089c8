"""Whatever stands where a time should: it is that instant, or refused; and no wait is endless."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

from hypothesis import strategies as st

from tap_clarity.api.error_mapping import MAX_RETRY_AFTER, parse_retry_after
from tap_clarity.api.recent import answered_at
from tap_clarity.core.timestamps import format_instant, parse_instant
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
figures = st.sampled_from(["0", "10", "31", "59", "99", "2026", "9999", "9" * 20, "9" * 5000, "-1"])
http_like = st.builds(
    "{0} {1} {2} {3} {4}:{5}:{6} {7}{8}".format,
    st.sampled_from(["Tue,", "", "xyz"]),
    figures | st.just("10"),
    st.sampled_from(["Mar", "Mrz", ""]),
    figures | st.just("2026"),
    *[figures | st.just("09")] * 3,
    st.sampled_from(["GMT", "-0000", "Z", "+", "-"]),
    figures | st.just(""),
)


@fuzz(instants, st.sampled_from("T "), st.sampled_from(["milliseconds", "microseconds", "seconds"]))
def test_an_instant_is_read_to_the_millisecond(instant: datetime, between: str, to: str) -> None:
    text = instant.isoformat(between, to)
    read = parse_instant(text)
    assert read.tzinfo is UTC
    assert (
        timedelta(0) <= instant - read < (timedelta(seconds=1) if to == "seconds" else MILLISECOND)
    )
    assert parse_instant(format_instant(read)) == read


@fuzz(texts | iso_like)
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    try:
        read = parse_instant(text)
    except ValueError:
        return
    assert parse_instant(format_instant(read)) == read
    assert read.year == int(text[:4]) or abs(read.year - int(text[:4])) == 1


@fuzz(st.integers(0, 400 * 86400), offsets)
def test_a_wait_is_as_long_as_it_says(seconds: int, offset: timezone) -> None:
    then = (NOW + timedelta(seconds=seconds)).astimezone(offset)
    wait = min(seconds, MAX_RETRY_AFTER)
    assert parse_retry_after(str(seconds), NOW) == wait
    assert parse_retry_after(format_datetime(then), NOW) == wait


@fuzz(texts | http_like | st.from_regex(r"[+-]?[0-9.e]{0,400}", fullmatch=True))
def test_no_text_asks_for_an_endless_wait(text: str) -> None:
    wait = parse_retry_after(text, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@fuzz(texts | http_like)
def test_any_date_of_an_answer_is_an_instant_or_none(text: str) -> None:
    at = answered_at({"Date": text})
    assert at is None or at.tzinfo is UTC


@fuzz(
    instants | st.datetimes(naive.replace(year=2013), naive.replace(year=2030), timezones=offsets)
)
def test_the_date_of_an_answer_is_read_to_the_second(instant: datetime) -> None:
    at = answered_at({"Date": format_datetime(instant)})
    is_sane = 2014 <= instant.astimezone(UTC).year < 2100
    assert at == (instant.replace(microsecond=0) if is_sane else None)
