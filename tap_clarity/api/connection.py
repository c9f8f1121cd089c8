"""HTTP to Clarity: one pool of connections, one policy of retries, and the key kept in."""

from __future__ import annotations

import logging
import math
import os
import random
import zlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import backoff
import requests
from urllib3.exceptions import HTTPError

from tap_clarity.api.bodies import receive, unzipped
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    NotSentError,
    QuotaUsedUpError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
)
from tap_clarity.api.failures import API, FILES, Statuses, message_of, network_error, status_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from tap_clarity.clock import Clock

T = TypeVar("T")

KEY_HEADER = "x-api-key"
CONNECT_TIMEOUT = 10.0
PATIENCE = timedelta(minutes=3)
"""How long after its first failure a call is still tried again."""
LONGEST_PAUSE = 30.0
SHORT_RETRY_AFTER = 60.0
"""Seconds up to which a 429 is a matter of pace; beyond it the day's quota is used up."""
ERROR_BODY = 1 << 16

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
    secret: str = ""
    """A text in the body that no message may repeat."""

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
        self._api_key = api_key
        self._read_timeout = read_timeout
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
        """Try again what is worth it, until the next try would come after the end of patience."""
        pauses, end = _pauses(), None
        while True:
            try:
                return attempt()
            except TransientError as error:
                failure = error
            except ClarityError as error:
                error.args = (f"{what}: {error}",)
                raise
            now = self._clock.now()
            end = end or now + PATIENCE
            pause = max(next(pauses), failure.retry_after or 0.0)
            if now + timedelta(seconds=pause) > end:
                raise UnavailableError(f"{what}: {failure}; {_advice(failure, now)}") from failure
            logger.warning("%s: %s; trying again in %.1f s", what, failure, pause)
            self._clock.sleep(pause)

    def _attempt(self, call: Call, read: Callable[[Reply], T]) -> T:
        try:
            return read(self._call(call))
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
            raise AmbiguousError(
                f"{error}; Clarity may have acted on it all the same, so it is not repeated now: "
                "run again later"
            ) from None

    def _call(self, call: Call) -> Reply:
        url = self._api_url + call.path
        response = self._send(self._api, call.method, url, params=call.query, json=call.body)
        return self._accept(response, API, (self._api_key, call.secret))

    def _download(self, url: str) -> Reply:
        return self._accept(self._send(self._files, "GET", url), FILES)

    def _send(
        self,
        session: requests.Session,
        method: str,
        url: str,
        **content: Any,  # noqa: ANN401
    ) -> requests.Response:
        timeout = (CONNECT_TIMEOUT, self._read_timeout)
        try:
            return session.request(method, url, timeout=timeout, stream=True, **content)
        except (OSError, HTTPError) as error:
            raise network_error(error) from None

    def _accept(
        self, response: requests.Response, statuses: Statuses, secrets: Iterable[str] = ()
    ) -> Reply:
        with response:
            if response.ok:
                return Reply(response.headers, receive(response, self._read_timeout))
            said = message_of(self._error_body(response), secrets)
            now = self._clock.now()
            raise status_error(statuses, response.status_code, response.headers, said, now)

    def _error_body(self, response: requests.Response) -> bytes:
        """Read what is said of an error, whose status counts even if that cannot be read."""
        try:
            with receive(response, self._read_timeout) as body:
                return unzipped(body).read(ERROR_BODY)
        except (TransientError, OSError, EOFError, zlib.error):
            return b""


class _Session(requests.Session):
    """A session that sends the API key to its own host only."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Leave the key behind when a redirect leads elsewhere."""
        before, after = urlsplit(response.request.url), urlsplit(prepared_request.url)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            prepared_request.headers.pop(KEY_HEADER, None)


def _session(user_agent: str) -> requests.Session:
    for module in ("connection", "connectionpool", "poolmanager", "util.retry"):
        # They print whole addresses: a report's link carries its signature in there.
        logging.getLogger(f"urllib3.{module}").disabled = True
    session = _Session()
    session.auth = lambda request: request  # or requests would look for passwords in ~/.netrc
    session.headers.update({"User-Agent": user_agent, "Accept-Encoding": "gzip"})
    # requests knows REQUESTS_CA_BUNDLE by itself, and lets it win over this.
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    return session


def _pauses() -> Iterator[float]:
    """Double, with jitter, so that many taps do not come back at the same moment."""
    steps = backoff.expo(max_value=LONGEST_PAUSE)
    next(steps)  # one that only backoff's own loop needs, which waits by another clock than ours
    return (step * random.uniform(0.5, 1.0) for step in steps)  # noqa: S311


def _advice(failure: TransientError, now: datetime) -> str:
    if failure.retry_after and failure.retry_after > LONGEST_PAUSE:
        then = now + timedelta(seconds=failure.retry_after)
        return f"nothing is lost: run again after {then:%Y-%m-%d %H:%M:%S} UTC"
    return "given up for now, nothing is lost: run again later"
