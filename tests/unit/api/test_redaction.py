"""Redaction of secrets in texts that a server repeats them in, and in the log."""

from __future__ import annotations

import html
import io
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.api.redaction import MAX_SECRETS, SEED_LENGTH, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = 'SECRETKEY/ab"cd=='
TOKEN = "Canary77ab/cd+ef==GHIJKLMNOPQRSTUVW"  # noqa: S105
LINK = "https://files.invalid/a.csv?X-Amz-Expires=900&X-Amz-Date=20260310T092000Z&Signature="
SIGNATURES = ["Canary77ab%2bcd%2fefGHI", "Canary77ab+cd%2FefGHI", "Canary77abcd%3D%3D"]


def gson(text: str) -> str:
    return json.dumps(text).replace("=", "\\u003d").replace("+", "\\u002B")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "quoted": lambda text: quote(text, safe=""),
    "quoted in lower case": lambda text: quote(text, safe="").lower(),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "plus as a blank": lambda text: text.replace("+", " "),
    "JSON": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text).replace("/", "\\/")),
    "JSON of Gson": gson,
    "HTML": html.escape,
    "HTML of a template": lambda text: (
        html.escape(text).replace("=", "&#x3D;").replace("/", "&#47;")
    ),
    "capitals": str.upper,
    "truncated": lambda text: text[:16],
    "truncated and quoted": lambda text: quote(text[:16], safe=""),
    "behind a sign": lambda text: f"%{text}",
    "behind a backslash": lambda text: f"\\{text}",
}


@pytest.fixture
def secrets() -> Redactor:
    redactor = Redactor(KEY)
    redactor.add(TOKEN)
    for signature in SIGNATURES:
        redactor.add_link(LINK + signature)
    return redactor


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [KEY, TOKEN, *SIGNATURES, *map(unquote, SIGNATURES[1:])])
def test_a_secret_is_redacted_in_any_spelling(
    secrets: Redactor, secret: str, spelling: str
) -> None:
    redacted = secrets.redact(f"the {SPELLINGS[spelling](secret)} is wrong")
    assert "***" in redacted
    for part in ("canary", "secretkey", "cd", "ef", "ghi"):
        assert part not in redacted.casefold()
    assert redacted.startswith("the ")
    assert redacted.endswith(" is wrong")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("see https://host:80/a?b#c now", "see https://host:80/*** now"),
        ("see HTTP://user:pass@host/a", "see HTTP://host/***"),
        (r'{"u":"https:\/\/host\/a?s=x"}', '{"u":"https://host/***"}'),
        ("see https%3A%2F%2Fhost%2Fa%3Fs%3Dx", "see https://host/***"),
        ("https://host/***", "https://host/***"),
        ("no file at /a.csv?sig=x&b=c", "no file at /a.csv?***"),
        ("why? a=b", "why? a=b"),
        ("RPT-1 900 2026-03-10T09:20:00Z 20260310T092000Z", None),
        ("50% of \\x and &co; &amp; %zz \\", None),
        ("", None),
    ],
)
def test_links_are_cut_and_other_texts_stay(
    secrets: Redactor, text: str, redacted: str | None
) -> None:
    assert secrets.redact(text) == (text if redacted is None else redacted)


def test_a_link_in_a_text_becomes_a_secret() -> None:
    secrets = Redactor()
    secrets.redact(f"see {LINK}{TOKEN}")
    assert secrets.redact(f"{TOKEN} is wrong") == "*** is wrong"


@given(st.text(), st.text(), st.text(min_size=1))
@settings(max_examples=300)
def test_no_text_around_it_hides_a_key(before: str, after: str, key: str) -> None:
    assert key not in Redactor(key).redact(before + key + after).replace("***", "\0") or key == "\0"


@pytest.mark.parametrize("text", ["\\", "%25", "?", "?a", "&#", "http://", "https:\\", TOKEN[:8]])
def test_a_long_text_is_redacted_in_a_short_time(secrets: Redactor, text: str) -> None:
    assert len(secrets.redact(text * 1_000_000)) < 100_000


def test_secrets_are_limited_and_the_key_is_always_one(secrets: Redactor) -> None:
    for number in range(2 * MAX_SECRETS):
        secrets.add(f"{number:0{SEED_LENGTH}}-canary")
    assert len(secrets._secrets) <= MAX_SECRETS  # noqa: SLF001
    assert secrets.redact(KEY) == "***"


@pytest.mark.parametrize(
    ("text", "is_name"),
    [("JB1", True), ("a?b#c", True), (KEY, False), (f"x{KEY}", False), (LINK, False)],
)
def test_what_may_name_something(secrets: Redactor, text: str, *, is_name: bool) -> None:
    assert secrets.is_name(text) is is_name


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logger(log: io.StringIO) -> logging.Logger:
    """A logger whose handler belongs to its parent."""
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger("tests.redaction").handlers = [handler]
    return logging.getLogger("tests.redaction.child")


def test_the_log_is_redacted(secrets: Redactor, logger: logging.Logger, log: io.StringIO) -> None:
    secrets.install()
    logger.error("the column %s of %d is unknown", TOKEN, 7)
    logger.error("100%% of %s", "JB1")
    logger.error("a bug", exc_info=ValueError(TOKEN))
    first, second, third, *traceback = log.getvalue().splitlines()
    assert [first, second, third] == ["the column *** of 7 is unknown", "100% of JB1", "a bug"]
    assert traceback[-1] == "ValueError: ***"


def test_each_run_has_a_redactor_of_its_own(logger: logging.Logger, log: io.StringIO) -> None:
    Redactor("key-of-an-earlier-run").install()
    Redactor("key-of-this-run").install()
    logger.error("key-of-an-earlier-run, key-of-this-run")
    assert log.getvalue() == "key-of-an-earlier-run, ***\n"
    (handler,) = logging.getLogger("tests.redaction").handlers
    assert len(handler.filters) == 1
