"""HTTP to Clarity: one pool of connections, one policy of retries, and the key kept in."""

from __future__ import annotations

import logging
import math
import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import backoff
import requests
from urllib3.exceptions import NewConnectionError

from tap_clarity.api.bodies import receive
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    NotSentError,
    QuotaUsedUpError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
    error_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from backoff.types import Details

    from tap_clarity.clock import Clock

T = TypeVar("T")

KEY_HEADER = "x-api-key"
CONNECT_TIMEOUT = 10.0
TOTAL_WAIT = 180.0
"""Seconds that one call waits, in all, between its tries."""
LONGEST_STEP = 30.0
SHORT_RETRY_AFTER = 60.0
"""Seconds up to which a 429 is a matter of pace; beyond it the day's quota is used up."""
ERROR_BODY = 1 << 16

# The library's own texts hold the whole address, signatures included: none of them is passed on.
FAILURES: tuple[tuple[type[Exception], type[ClarityError], str], ...] = (
    (
        requests.exceptions.SSLError,
        UnavailableError,
        "the server's certificate is not trusted; name your authority's file in REQUESTS_CA_BUNDLE",
    ),
    (requests.exceptions.ProxyError, TransientError, "the proxy fails; check HTTPS_PROXY"),
    (requests.Timeout, TransientError, "no answer within the setting request_timeout"),
    # ValueError is how requests groups its complaints about addresses.
    (ValueError, UnavailableError, "the address cannot be used; check the setting api_url"),
    (requests.TooManyRedirects, UnavailableError, "redirected in a circle; check api_url"),
    (requests.RequestException, TransientError, "the connection was dropped"),
)

logger = logging.getLogger("tap-clarity.api")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to Clarity, as plain values."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    repeatable: bool = True
    """Whether asking twice does no harm; a report request costs quota each time."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply with status 2xx, its body received whole."""

    headers: Mapping[str, str]
    body: BinaryIO


class Connection:
    """Sends calls, tries them again while that helps, and names what went wrong."""

    def __init__(
        self, *, api_url: str, api_key: str, user_agent: str, read_timeout: float, clock: Clock
    ) -> None:
        self._api_url = api_url
        self._timeout = (CONNECT_TIMEOUT, read_timeout)
        self._clock = clock
        self._api = _session(user_agent)
        self._api.headers[KEY_HEADER] = api_key
        self._files = _session(user_agent)

    def ask(self, call: Call, read: Callable[[Reply], T]) -> T:
        """Send a call to the API and give what `read` makes of the reply.

        `read` raises TransientError for a reply that is not what it should be; that is tried
        again like any other fault.

        Raises:
            ClarityError: If Clarity refuses, or when patience has run out.
        """
        return self._patiently(str(call), lambda: self._attempt(call, read))

    def fetch(self, url: str, read: Callable[[Reply], T]) -> T:
        """Get a file from wherever a report's link leads; the API key stays at home."""
        return self._patiently("file download", lambda: read(self._download(url)))

    def _patiently(self, what: str, attempt: Callable[[], T]) -> T:
        retrying = backoff.on_exception(
            _waits, TransientError, jitter=None, logger=None, on_backoff=_log_retry
        )
        try:
            return retrying(attempt)()
        except TransientError as error:
            message = f"{what}: {error}; given up for now, nothing is lost: run again later"
            raise UnavailableError(message) from error
        except ClarityError as error:
            error.args = (f"{what}: {error}",)
            raise

    def _attempt(self, call: Call, read: Callable[[Reply], T]) -> T:
        try:
            return read(self._send(call))
        except NotSentError:
            raise
        except TooManyRequestsError as error:
            wait = math.inf if error.retry_after is None else error.retry_after
            if call.repeatable or wait <= SHORT_RETRY_AFTER:
                raise
            raise QuotaUsedUpError(str(error)) from None
        except TransientError as error:
            if call.repeatable:
                raise
            raise AmbiguousError(f"{error}; Clarity may have acted on it all the same") from None

    def _send(self, call: Call) -> Reply:
        try:
            response = self._api.request(
                call.method,
                self._api_url + call.path,
                params=call.query,
                json=call.body,
                timeout=self._timeout,
                stream=True,
            )
        except requests.RequestException as error:
            raise _failure(error) from None
        return self._accept(response)

    def _download(self, url: str) -> Reply:
        try:
            response = self._files.get(url, timeout=self._timeout, stream=True)
        except requests.RequestException as error:
            raise _failure(error) from None
        return self._accept(response)

    def _accept(self, response: requests.Response) -> Reply:
        with response:
            if response.ok:
                return Reply(response.headers, receive(response))
            said = response.raw.read(ERROR_BODY, decode_content=True)
            retry_after = response.headers.get("Retry-After")
            raise error_for(response.status_code, retry_after, said, self._clock.now())


class _Session(requests.Session):
    """A session that does not take the API key along when a redirect leads to another host."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        before, after = urlsplit(response.request.url), urlsplit(prepared_request.url)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            prepared_request.headers.pop(KEY_HEADER, None)
        super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]


def _session(user_agent: str) -> requests.Session:
    # urllib3 prints whole addresses at DEBUG: a report's link carries its signature in there.
    logging.getLogger("urllib3").setLevel(logging.INFO)
    session = _Session()
    session.headers.update({"User-Agent": user_agent, "Accept-Encoding": "gzip"})
    # requests knows REQUESTS_CA_BUNDLE by itself, and lets it win over this.
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    return session


def _waits(total: float = TOTAL_WAIT) -> Generator[float, TransientError, None]:
    """Give the seconds to wait after each failure; end where `total` would be exceeded.

    A wait that Clarity asks for is kept; the tap's own ones double, with jitter, so that many
    taps do not come back at the same moment.
    """
    failure = yield 0.0  # backoff primes the generator with an empty send
    spent, step = 0.0, 1.0
    while True:
        wait = failure.retry_after
        if wait is None:
            wait, step = step * random.uniform(0.5, 1.0), min(2 * step, LONGEST_STEP)  # noqa: S311
        if spent + wait > total:
            return
        spent += wait
        failure = yield wait


def _log_retry(details: Details) -> None:
    logger.warning("%s; trying again in %.1f s", details.get("exception"), details.get("wait"))


def _failure(error: requests.RequestException) -> ClarityError:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return NotSentError("no connection; check the network and the setting api_url")
    return next(kind(said) for cause, kind, said in FAILURES if isinstance(error, cause))
