"""Maps HTTP statuses and network errors to the tap's own errors, by two tables.

A TransientError is retried, for as long as `transport.MAX_RETRY_TIME` allows; the others are not.
"""

from __future__ import annotations

import json
import re
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError, SSLError

from tap_clarity.api.errors import (
    AccessDeniedError,
    ClarityError,
    FileError,
    KeyRejectedError,
    NotFoundError,
    NotSentError,
    RequestRejectedError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

MAX_RETRY_AFTER = 366 * 86400.0

Statuses = dict[int, tuple[type[ClarityError], str]]
"""The error that an HTTP status stands for, and its message."""

_TRANSIENT: Statuses = {
    HTTPStatus.REQUEST_TIMEOUT: (TransientError, "the request has not arrived in time"),
    HTTPStatus.TOO_MANY_REQUESTS: (TooManyRequestsError, "Clarity is asked too often"),
    HTTPStatus.INTERNAL_SERVER_ERROR: (TransientError, "Clarity has a fault of its own"),
}
API: Statuses = _TRANSIENT | {
    HTTPStatus.OK: (TransientError, "the response has an unexpected status"),
    HTTPStatus.BAD_REQUEST: (
        RequestRejectedError,
        "Clarity refuses the request: check the settings that it names",
    ),
    HTTPStatus.UNAUTHORIZED: (
        KeyRejectedError,
        "Clarity does not know the API key: check the setting api_key",
    ),
    HTTPStatus.FORBIDDEN: (
        AccessDeniedError,
        (
            "the API key may not read this: check that it has a role in the organisation of the "
            "setting org, and the ids in the settings"
        ),
    ),
    HTTPStatus.NOT_FOUND: (
        NotFoundError,
        "Clarity knows no such thing: check the ids in the settings, and api_url",
    ),
}
"""HTTP statuses of the API. 400 and 500 stand for all others of their hundred, 200 for all below
400 that the request does not declare as complete."""
FILES: Statuses = _TRANSIENT | {
    HTTPStatus.OK: (FileError, "the response is not a complete file"),
    HTTPStatus.BAD_REQUEST: (FileError, "its link is refused; perhaps it has expired"),
}
"""HTTP statuses of the files' host, which knows neither key nor organisation."""

NETWORK: tuple[tuple[tuple[type[Exception], ...], type[ClarityError], str], ...] = (
    (
        (ssl.SSLCertVerificationError,),
        UnavailableError,
        "the server's certificate is not trusted: name your authority's file in REQUESTS_CA_BUNDLE",
    ),
    (
        (requests.exceptions.ProxyError,),
        NotSentError,
        "the proxy does not let it through: check HTTPS_PROXY and NO_PROXY",
    ),
    (
        (NewConnectionError, requests.ConnectTimeout),
        NotSentError,
        "no connection: check the network and the setting api_url",
    ),
    ((ReadTimeoutError,), TransientError, "no answer within the setting request_timeout"),
    ((SSLError,), TransientError, "no encrypted connection: check the setting api_url"),
    (
        (requests.TooManyRedirects,),
        UnavailableError,
        "redirected in a circle: check the setting api_url",
    ),
    (  # how requests groups its complaints about addresses
        (ValueError,),
        UnavailableError,
        "the address cannot be used: check the setting api_url",
    ),
    ((requests.RequestException, HTTPError), TransientError, "the connection was dropped"),
    (
        (OSError,),
        UnavailableError,
        "there are no certificates where REQUESTS_CA_BUNDLE or SSL_CERT_FILE say",
    ),
)
"""Errors of requests and urllib3; the first row that fits counts."""


def network_error(error: Exception) -> ClarityError:
    """Give the error that an exception of the HTTP libraries stands for.

    The libraries' own texts hold the whole address, signatures included: none is passed on.
    """
    causes = tuple(_causes(error))
    return next(
        kind(message)
        for kinds, kind, message in NETWORK
        if any(isinstance(cause, kinds) for cause in causes)
    )


def _causes(error: object) -> Iterator[Exception]:
    """Unwrap: requests wraps what urllib3 wraps, in `args` and `reason`."""
    while isinstance(error, Exception):
        yield error
        error = getattr(error, "reason", None) or next(iter(error.args), None)


def status_error(
    statuses: Statuses, status: int, headers: Mapping[str, str], detail: str, now: datetime
) -> ClarityError:
    """Give the error that a failed response stands for; `detail` is Clarity's own message."""
    kind, message = statuses.get(status, statuses[_group(status)])
    detail = f", {detail!r}" if detail else ""
    error = kind(f"{message} (HTTP {status}{detail})")
    if isinstance(error, TransientError):
        error.retry_after = parse_retry_after(headers.get("Retry-After"), now)
    return error


def _group(status: int) -> int:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HTTPStatus.INTERNAL_SERVER_ERROR
    return HTTPStatus.BAD_REQUEST if status >= HTTPStatus.BAD_REQUEST else HTTPStatus.OK


def error_message(body: bytes, redact: Callable[[str], str]) -> str:
    """Find Clarity's message in an error's body, whatever the shape, as one short line.

    Bodies were seen with `message` as a list; older ones have `Message` and `Code`. The files'
    host answers XML, which may repeat a link's signature.
    """
    return one_line(redact(_find_message(body.decode("utf-8", "replace"))))


def _find_message(text: str) -> str:
    if text.lstrip().startswith("<"):
        code = re.search(r"<Code>(\w+)</Code>", text)
        return code[1] if code else "an HTML or XML page"
    try:
        found: Any = json.loads(text)
        if isinstance(found, dict):
            names = ("message", "Message", "Code")
            found = next((found[name] for name in names if found.get(name)), found)
        parts = found if isinstance(found, list) else [found]
        return "; ".join(
            part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
            for part in parts
        )
    except (ValueError, RecursionError):
        return text


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date, as seconds from `now`."""
    if value is None:
        return None
    try:
        if value.strip().replace(".", "", 1).isdecimal():
            seconds = float(value)
        else:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER)
