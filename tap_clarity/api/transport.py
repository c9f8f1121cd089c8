"""HTTP to Clarity: one pool of connections, one policy of retries, and the key kept in."""

from __future__ import annotations

import logging
import math
import random
import zlib
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urljoin, urlsplit

import backoff
from urllib3.exceptions import HTTPError

from tap_clarity.api.error_mapping import (
    API,
    FILES,
    Statuses,
    message_of,
    network_error,
    status_error,
)
from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    MalformedReplyError,
    NotSentError,
    QuotaUsedUpError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
)
from tap_clarity.api.response_body import IN_MEMORY, LONGEST_JSON, receive, unzipped
from tap_clarity.api.session import KEY_HEADER, new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from datetime import datetime

    import requests

    from tap_clarity.core.clock import Clock

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
PATIENCE = timedelta(minutes=3)
"""Retry time limit of one API request, and of all file downloads of a run together."""
LONGEST_PAUSE = 30.0
SHORT_RETRY_AFTER = 60.0
"""Seconds up to which a 429 is a matter of pace; beyond it the day's quota is used up."""
ERROR_BODY = 1 << 16
WHOLE = frozenset({HTTPStatus.OK.value})
"""HTTP statuses of a complete response, unless a request declares others: 206 is a part."""
LONGEST_FILE = 1 << 33
"""Bytes of a report's file, zipped or not. A full one has 60 MB, zipped, and 1 GB otherwise."""

logger = logging.getLogger("tap-clarity.api")


class Call(NamedTuple):
    """One request to Clarity, as plain values."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    repeatable: bool = True
    """Whether asking twice does no harm; a report request costs quota each time."""
    secret: str = ""
    """A text in the body that no message may repeat."""
    longest: int = LONGEST_JSON
    """Bytes that the reply's body may have, as it is sent."""
    statuses: frozenset[int] = WHOLE
    """HTTP statuses of a complete response to this request."""

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


class Reply(NamedTuple):
    """A reply with a status that the request declares as complete, its body received whole."""

    headers: Mapping[str, str]
    body: BinaryIO


@dataclass(slots=True)
class RetryTime:
    """The time that may still be lost to retries: of one request, or of several that share it."""

    seconds: float


class Accepted(NamedTuple):
    """What a response may be: its statuses, the meaning of other statuses, its maximum bytes."""

    statuses: frozenset[int]
    errors: Statuses
    longest: int


class Connection:
    """Sends calls, tries them again while that helps, and names what went wrong."""

    def __init__(
        self, *, api_url: str, api_key: str, user_agent: str, read_timeout: float, clock: Clock
    ) -> None:
        self._api_url = api_url
        self._api_key = api_key
        self._read_timeout = read_timeout
        self._clock = clock
        self._api = new_session(user_agent)
        self._api.headers[KEY_HEADER] = api_key
        self._files = new_session(user_agent)
        self._download_retries = RetryTime(PATIENCE.total_seconds())

    def ask(self, call: Call, read: Callable[[Reply], T]) -> T:
        """Send a call to the API and give what `read` makes of the reply.

        `read` raises TransientError for a reply that is not what it should be; that is tried
        again like any other fault.

        Raises:
            ClarityError: If Clarity refuses, or when patience has run out.
        """
        limit = RetryTime(PATIENCE.total_seconds())
        return self._patiently(str(call), lambda: self._attempt(call, read), limit)

    def fetch(self, url: str, read: Callable[[Reply], T]) -> T:
        """Download a file from wherever a report's link leads, without the API key.

        All downloads of a run share one retry time limit; after that each has one attempt.
        """
        return self._patiently(
            "file download", lambda: read(self._download(url)), self._download_retries
        )

    def path_of(self, link: str, path: str) -> str:
        """Give the path, and query, of a link in a response to the request for a path.

        Raises:
            MalformedReplyError: If it leads elsewhere, where the API key must not go.
        """
        try:
            url = urljoin(self._api_url + path, link)
        except ValueError:
            url = ""
        if not url.startswith(f"{self._api_url}/"):
            raise MalformedReplyError(
                f"GET {path}: the link to the next page leads out of the API, and is not followed: "
                "ask Clarity's support"
            )
        return url.removeprefix(self._api_url)

    def conceal(self, text: str) -> str:
        """Blot the API key out of a text that came from outside."""
        return text.replace(self._api_key, "***") if self._api_key else text

    def _patiently(self, what: str, attempt: Callable[[], T], left: RetryTime) -> T:
        """Retry transient faults until the next pause would exceed the retry time limit."""
        pauses, retried_at = _pauses(), None
        while True:
            try:
                return attempt()
            except TransientError as error:
                failure = error
            except ClarityError as error:
                error.args = (f"{what}: {error}",)
                raise
            now = self._clock.now()
            if retried_at:
                left.seconds -= (now - retried_at).total_seconds()
            pause = max(next(pauses), failure.retry_after or 0.0)
            if pause > left.seconds:
                raise UnavailableError(f"{what}: {failure}; {_advice(failure, now)}") from failure
            logger.warning("%s: %s; trying again in %.1f s", what, failure, pause)
            self._clock.sleep(pause)
            left.seconds -= pause
            retried_at = self._clock.now()

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
        accepted = Accepted(call.statuses, API, call.longest)
        return self._accept(response, accepted, (self._api_key, call.secret))

    def _download(self, url: str) -> Reply:
        schemes = {"https", urlsplit(self._api_url).scheme}
        if not _is_link(url, schemes):
            raise UnavailableError(f"its link is no {' or '.join(sorted(schemes))} address")
        response = self._send(self._files, "GET", url)
        secrets = (self._api_key, *_secrets_of(url))
        return self._accept(response, Accepted(WHOLE, FILES, LONGEST_FILE), secrets)

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
        except (OSError, HTTPError, ValueError) as error:
            raise network_error(error) from None

    def _accept(
        self, response: requests.Response, accepted: Accepted, secrets: Iterable[str]
    ) -> Reply:
        with response:
            status = response.status_code
            if status in accepted.statuses:
                return Reply(response.headers, receive(response, accepted.longest))
            # A success that is not expected may hold a part of a file, which is not a message.
            said = "" if response.ok else message_of(_error_body(response), secrets)
            now = self._clock.now()
            raise status_error(accepted.errors, status, response.headers, said, now)


def _error_body(response: requests.Response) -> bytes:
    """Read what is said of an error, whose status counts even if that cannot be read."""
    try:
        with receive(response, IN_MEMORY) as body:
            return unzipped(body).read(ERROR_BODY)
    except (ClarityError, OSError, EOFError, zlib.error):
        return b""


def _is_link(url: str, schemes: Container[str]) -> bool:
    """Whether it is the address of a file on the web: no path of this machine, or worse."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _secrets_of(url: str) -> Iterator[str]:
    """Give what no message may repeat of a signed link."""
    query = urlsplit(url).query
    yield query
    for part in query.split("&"):
        yield part.partition("=")[2]
    for _, value in parse_qsl(query):
        yield value


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
