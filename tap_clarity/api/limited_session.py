"""HTTP sessions with limits that requests and urllib3 do not have.

The API key and passwords go to no other host, no address is logged, no cookie is kept, and a
response has a minimum speed and a maximum size, headers and trailers included.
"""

from __future__ import annotations

import io
import logging
import os
import time
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from tap_clarity.api.errors import TransientError, UnavailableError

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer
    from urllib3.connectionpool import ConnectionPool

KEY_HEADER = "x-api-key"
MIN_BYTES_PER_SECOND = 1000.0
"""Below it a response is aborted: a byte now and then would keep any read timeout from expiring."""
MAX_HEADER_BYTES = 60_000
"""Bytes of a response's headers."""
MAX_RESPONSE_BYTES = 1 << 34
"""Bytes behind them, framing and trailers included; bodies that are kept have closer limits."""


def new_session(user_agent: str) -> requests.Session:
    """Open a session with these limits."""
    for module in ("connection", "connectionpool", "poolmanager", "util.retry"):
        # They print whole addresses: a report's link carries its signature in there.
        logging.getLogger(f"urllib3.{module}").disabled = True
    session = _Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    session.auth = lambda request: request  # or requests would look for passwords in ~/.netrc
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": user_agent, "Accept-Encoding": "gzip"})
    # requests knows REQUESTS_CA_BUNDLE by itself, and lets it win over this.
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    return session


class _Session(requests.Session):
    """A session that sends the API key to its own host only."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Close a redirect's response; requests would read its body, which may have no end."""
        target = super().get_redirect_target(resp)
        if target:
            resp.close()
        return target

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Leave cookies behind, and the key when a redirect leads elsewhere.

        Raises:
            UnavailableError: If it leads out of encryption.
        """
        # The policy of the session's cookies does not hold for those of a redirect.
        prepared_request.headers.pop("Cookie", None)
        before, after = urlsplit(response.request.url), urlsplit(prepared_request.url)
        if before.scheme == "https" != after.scheme:
            raise UnavailableError("a redirect out of encryption, which is not followed")
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            prepared_request.headers.pop(KEY_HEADER, None)


class _Adapter(HTTPAdapter):
    """Sends requests over connections that limit what comes back, proxies included."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> ConnectionPool:  # noqa: ANN401
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        connection = _HTTPSConnection if pool.scheme == "https" else _HTTPConnection
        pool.ConnectionCls = connection  # type: ignore[attr-defined] # the stubs name a base class
        return pool


class _LimitedReader(io.RawIOBase):
    """Reads one response from a socket; fails if it comes too slowly or does not end."""

    def __init__(self, raw: io.RawIOBase, allowed_seconds: float) -> None:
        self._raw = raw
        self._allowed_seconds = allowed_seconds
        self._started_at = 0.0
        self.bytes_left = MAX_HEADER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._raw.readinto(buffer) or 0
        now = time.monotonic()
        self._started_at = self._started_at or now
        self._allowed_seconds += count / MIN_BYTES_PER_SECOND
        if now > self._started_at + self._allowed_seconds:
            raise TransientError("the reply comes too slowly")
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise UnavailableError("the reply is beyond reason: it does not end")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(HTTPResponse):
    # Only here, below http.client, are headers, interim responses and trailers within reach.
    def __init__(self, sock: socket.socket, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(sock, **kwargs)
        self._reader = _LimitedReader(self.fp.detach(), sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.bytes_left = MAX_RESPONSE_BYTES


# The debuglevel that a program sets for all connections would print the API key.
class _HTTPConnection(HTTPConnection):
    response_class = _LimitedResponse
    debuglevel = 0


class _HTTPSConnection(HTTPSConnection):
    response_class = _LimitedResponse
    debuglevel = 0
