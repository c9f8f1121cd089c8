"""What is made of statuses, headers and the pages that come with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.api.error_mapping import (
    API,
    FILES,
    MAX_RETRY_AFTER,
    NETWORK,
    Statuses,
    error_message,
    network_error,
    parse_retry_after,
    status_error,
)
from tap_clarity.api.errors import (
    AccessDeniedError,
    ClarityError,
    FileError,
    KeyRejectedError,
    NotFoundError,
    RequestRejectedError,
    TooManyRequestsError,
    TransientError,
)
from tap_clarity.api.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 3, 10, 9, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statuses", "status", "kind"),
    [
        (API, 400, RequestRejectedError),
        (API, 401, KeyRejectedError),
        (API, 403, AccessDeniedError),
        (API, 404, NotFoundError),
        (API, 408, TransientError),
        (API, 418, RequestRejectedError),
        (API, 429, TooManyRequestsError),
        (API, 500, TransientError),
        (API, 504, TransientError),
        (API, 999, TransientError),
        (FILES, 400, FileError),
        (FILES, 401, FileError),
        (FILES, 403, FileError),
        (FILES, 404, FileError),
        (FILES, 429, TooManyRequestsError),
        (FILES, 503, TransientError),
    ],
)
def test_each_status_is_one_kind_of_error(
    statuses: Statuses, status: int, kind: type[ClarityError]
) -> None:
    error = status_error(statuses, status, {}, "so it says", NOW)
    assert type(error) is kind
    assert str(error).endswith(f"(HTTP {status}, 'so it says')")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": ["Unauthorized user"]}', "Unauthorized user"),
        (b'{"message": "no", "Code": "X"}', "no"),
        (b'{"message": ["one", 2]}', "one; 2"),
        (b'{"Code": "Forbidden", "Message": "not yours"}', "not yours"),
        (b'{"message": [], "Code": "Throttled"}', "Throttled"),
        (b'{"error": 5}', '{"error": 5}'),
        (b"plain words", "plain words"),
        (b"two\n\tlines\x1b[31m", "two lines [31m"),
        (b"", ""),
        (b"\xff", "\ufffd"),
        (b"[" * 100_000, "[" * 199 + "…"),
        (b"<!DOCTYPE html><html>", "an HTML or XML page"),
        (b" \n<html>", "an HTML or XML page"),
        (b"<Error><Code>AccessDenied</Code><Sig>canary</Sig></Error>", "AccessDenied"),
        (b"<Error><Code>can ary</Code></Error>", "an HTML or XML page"),
    ],
)
def test_the_message_of_an_error_becomes_one_short_line(body: bytes, message: str) -> None:
    assert error_message(body, str) == message


@pytest.mark.parametrize("others", [[], ["", "other"], ["another-token"]])
@pytest.mark.parametrize("body", [b'{"message": "canary, canary!"}', b"canary, canary!"])
def test_secrets_are_not_repeated(body: bytes, others: Iterable[str]) -> None:
    secrets = Redactor("canary")
    for other in others:
        secrets.add(other)
    assert error_message(body, secrets.redact) == "***, ***!"


def test_a_secret_is_hidden_before_the_line_is_cut() -> None:
    assert "canary" not in error_message(
        b"x" * 190 + b"canary-long-token", Redactor("canary-long-token").redact
    )


@given(body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=200, print_blob=True)
def test_any_message_is_one_printable_line(body: bytes) -> None:
    message = error_message(body, str)
    assert message.isprintable()
    assert len(message) <= 200


@given(st.text() | st.from_regex(r"[0-9A-Za-z, :+.-]{0,40}"))
@settings(max_examples=300, print_blob=True)
def test_no_retry_after_is_refused_or_out_of_bounds(value: str) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER


@given(st.integers(0, 365 * 86400))
def test_a_retry_after_is_the_same_in_seconds_and_as_a_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(str(seconds), NOW) == parse_retry_after(date, NOW) == seconds


def test_no_wait_is_asked_for_without_a_retry_after() -> None:
    assert parse_retry_after(None, NOW) is None
    assert parse_retry_after("as soon as possible", NOW) is None


def test_a_date_that_has_passed_asks_for_no_wait() -> None:
    assert parse_retry_after("Tue, 10 Mar 2026 09:19:00 GMT", NOW) == 0


def test_each_network_error_names_what_to_check_unless_it_is_transient() -> None:
    for _, kind, message in NETWORK:
        has_remedy = any(words in message for words in (": check", ": name", "where"))
        assert has_remedy or kind is TransientError


def test_the_message_of_a_library_is_not_passed_on() -> None:
    error = network_error(OSError("https://host/file?Signature=canary"))
    assert "canary" not in str(error)
    assert "canary" not in repr(error)
