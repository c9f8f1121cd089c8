"""HTTP requests and downloads: one pool of connections, one retry policy, and the key kept in."""

from __future__ import annotations

import logging
import math
import random
import re
import zlib
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import backoff
from urllib3.exceptions import HTTPError

from tap_clarity.api.error_mapping import (
    API,
    FILES,
    Statuses,
    error_message,
    network_error,
    status_error,
)
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    MalformedResponseError,
    NotSentError,
    QuotaExhaustedError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
    one_line,
)
from tap_clarity.api.limited_session import KEY_HEADER, new_session
from tap_clarity.api.redaction import Redactor
from tap_clarity.api.response_body import (
    MAX_IN_MEMORY,
    MAX_JSON_BYTES,
    open_decompressed,
    receive,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping
    from datetime import datetime

    import requests

    from tap_clarity.core.clock import Clock

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
MAX_RETRY_TIME = timedelta(minutes=3)
"""Retry time limit of one API request, and of all file downloads of a run together."""
MAX_RETRY_DELAY = 30.0
MAX_RATE_LIMIT_WAIT = 60.0
"""Seconds up to which a 429 is a rate limit; beyond it the day's report quota is exhausted."""
MAX_ERROR_BODY = 1 << 16
COMPLETE = frozenset({HTTPStatus.OK.value})
"""HTTP statuses of a complete response, unless a request declares others: 206 is a part."""
MAX_FILE_BYTES = 1 << 33
"""Bytes of a report's file, zipped or not. A full one has 60 MB, zipped, and 1 GB otherwise."""
MIN_SEGMENT_LENGTH = 16
"""Characters from which on a part of the path of a file's link may be secret."""

logger = logging.getLogger("tap-clarity.api")


class Request(NamedTuple):
    """One request to Clarity, as plain values."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    is_idempotent: bool = True
    """Whether sending it twice does no harm; a report request costs quota each time."""
    secret: str = ""
    """A token in it, which no message may repeat."""
    max_bytes: int = MAX_JSON_BYTES
    """Bytes that the response's body may have, as it is sent."""
    statuses: frozenset[int] = COMPLETE
    """HTTP statuses of a complete response to this request."""

    def __str__(self) -> str:
        return one_line(f"{self.method} {self.path.partition('?')[0]}")


class Response(NamedTuple):
    """A response with a status that the request declares as complete, its body received whole."""

    headers: Mapping[str, str]
    body: BinaryIO


@dataclass(slots=True)
class RetryBudget:
    """The time left for retries: of one request, or of several that share it."""

    seconds: float


class Accepted(NamedTuple):
    """What a response may be: its statuses, the meaning of other statuses, its maximum bytes."""

    statuses: frozenset[int]
    errors: Statuses
    max_bytes: int


class Transport:
    """Sends requests, retries transient faults, and raises the tap's own errors.

    Attributes:
        secrets: What no message may repeat: the API key, and all that was sent or received.
    """

    def __init__(
        self, *, api_url: str, api_key: str, user_agent: str, read_timeout: float, clock: Clock
    ) -> None:
        self.secrets = Redactor(api_key)
        self._api_url = api_url
        self._read_timeout = read_timeout
        self._clock = clock
        self._api = new_session(user_agent)
        self._api.headers[KEY_HEADER] = api_key
        self._files = new_session(user_agent)
        self._download_retries = RetryBudget(MAX_RETRY_TIME.total_seconds())

    def request(self, request: Request, read: Callable[[Response], T]) -> T:
        """Send a request to the API and give what `read` makes of the response.

        `read` raises TransientError for a response that is not what it should be; that is retried
        like any other fault.

        Raises:
            ClarityError: If Clarity rejects it, or when the retry time limit is used up.
        """
        self.secrets.add(request.secret)
        budget = RetryBudget(MAX_RETRY_TIME.total_seconds())
        return self._with_retries(str(request), lambda: self._attempt(request, read), budget)

    def download(self, url: str, read: Callable[[Response], T]) -> T:
        """Download a file from wherever a report's link leads, without the API key.

        All downloads of a run share one retry time limit; after that each has one attempt.
        """
        return self._with_retries(
            "file download", lambda: read(self._get_file(url)), self._download_retries
        )

    def resolve_link(self, link: str, path: str) -> str:
        """Give the path, and query, of a link in a response to the request for a path.

        Raises:
            MalformedResponseError: If it leads elsewhere, where the API key must not go, or is no
                address.
        """
        try:
            url = urljoin(self._api_url + path, link)
        except ValueError:
            url = ""
        self.secrets.add_link(url)
        # The HTTP library resolves dot segments of an absolute link, encoded ones too.
        segments = re.split(r"[/\\]", unquote(url.partition("?")[0]))
        if not url.startswith(f"{self._api_url}/") or {".", ".."} & {*segments}:
            raise MalformedResponseError(
                f"GET {path}: the link to the next page leads out of the API, and is not followed: "
                "ask Clarity's support"
            )
        return url.removeprefix(self._api_url)

    def _with_retries(self, label: str, attempt: Callable[[], T], budget: RetryBudget) -> T:
        """Retry transient faults until the next delay would exceed the retry time limit."""
        delays, retried_at = _retry_delays(), None
        while True:
            try:
                return attempt()
            except TransientError as error:
                failure = error
            except ClarityError as error:
                error.args = (f"{label}: {error}",)
                raise
            now = self._clock.now()
            if retried_at:
                budget.seconds -= (now - retried_at).total_seconds()
            delay = max(next(delays), failure.retry_after or 0.0)
            if delay > budget.seconds:
                raise UnavailableError(f"{label}: {failure}; {_advice(failure, now)}") from failure
            logger.warning("%s: %s; trying again in %.1f s", label, failure, delay)
            self._clock.sleep(delay)
            budget.seconds -= delay
            retried_at = self._clock.now()

    def _attempt(self, request: Request, read: Callable[[Response], T]) -> T:
        try:
            return read(self._send(request))
        except NotSentError:
            raise
        except TooManyRequestsError as error:
            wait = math.inf if error.retry_after is None else error.retry_after
            if request.is_idempotent or wait <= MAX_RATE_LIMIT_WAIT:
                raise
            raise QuotaExhaustedError(str(error)) from None
        except TransientError as error:
            if request.is_idempotent:
                raise
            raise AmbiguousError(
                f"{error}; Clarity may have acted on it all the same, so it is not repeated now: "
                "run again later"
            ) from None

    def _send(self, request: Request) -> Response:
        url = self._api_url + request.path
        response = self._open(self._api, request.method, url, request.query, request.body)
        accepted = Accepted(request.statuses, API, request.max_bytes)
        return self._receive(response, accepted, self.secrets.redact)

    def _get_file(self, url: str) -> Response:
        schemes = {"https", urlsplit(self._api_url).scheme}
        if not _is_web_address(url, schemes):
            raise UnavailableError(f"its link is no {' or '.join(sorted(schemes))} address")
        self.secrets.add_link(url)
        # Not among the secrets: a path names the report, which the log does, too.
        path = Redactor()
        for segment in urlsplit(url).path.split("/"):
            path.add(segment, MIN_SEGMENT_LENGTH)
        response = self._open(self._files, "GET", url)
        accepted = Accepted(COMPLETE, FILES, MAX_FILE_BYTES)
        return self._receive(
            response, accepted, lambda text: path.redact(self.secrets.redact(text))
        )

    def _open(
        self,
        session: requests.Session,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        timeout = (CONNECT_TIMEOUT, self._read_timeout)
        try:
            return session.request(
                method, url, params=query, json=body, timeout=timeout, stream=True
            )
        except (OSError, HTTPError, ValueError) as error:
            raise network_error(error) from None

    def _receive(
        self, response: requests.Response, accepted: Accepted, redact: Callable[[str], str]
    ) -> Response:
        with response:
            status = response.status_code
            if status in accepted.statuses:
                return Response(response.headers, receive(response, accepted.max_bytes))
            # A success that is not expected may hold a part of a file, which is not a message.
            detail = "" if response.ok else error_message(_error_body(response), redact)
            now = self._clock.now()
            raise status_error(accepted.errors, status, response.headers, detail, now)


def _error_body(response: requests.Response) -> bytes:
    """Read an error's body; the status counts even if it cannot be read."""
    try:
        with receive(response, MAX_IN_MEMORY) as body:
            return open_decompressed(body).read(MAX_ERROR_BODY)
    except (ClarityError, OSError, EOFError, zlib.error):
        return b""


def _is_web_address(url: str, schemes: Container[str]) -> bool:
    """Whether it is the address of a file on the web, rather than a path of this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _retry_delays() -> Iterator[float]:
    """Double, with jitter, so that many taps do not come back at the same moment."""
    steps = backoff.expo(max_value=MAX_RETRY_DELAY)
    next(steps)  # one that only backoff's own loop needs, which waits by another clock than ours
    return (step * random.uniform(0.5, 1.0) for step in steps)  # noqa: S311


def _advice(failure: TransientError, now: datetime) -> str:
    if failure.retry_after and failure.retry_after > MAX_RETRY_DELAY:
        then = now + timedelta(seconds=failure.retry_after)
        return f"nothing is lost: run again after {then:%Y-%m-%d %H:%M:%S} UTC"
    return "given up for now, nothing is lost: run again later"
