"""The wire: what the HTTP library is not trusted with.

The API key and passwords stay where they belong, no address is logged, nothing is kept of what a
server would have us keep, and a reply comes at a bearable pace, and to an end.
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
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from tap_clarity.api.errors import TransientError, UnavailableError

if TYPE_CHECKING:
    import socket

    from _typeshed import WriteableBuffer
    from urllib3 import PoolManager, ProxyManager

KEY_HEADER = "x-api-key"
SLOWEST = 1000.0
"""Bytes a second below which a reply is given up: a drip would keep any timeout from ending it."""
LONGEST_HEAD = 60_000
"""Bytes of a reply's headers."""
LONGEST_REPLY = 1 << 34
"""Bytes behind them, framing and trailers included; `bodies` has closer limits for what is kept."""


def new_session(user_agent: str) -> requests.Session:
    """Open a session that speaks to any host as carefully as this."""
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
        """Look where a reply leads; requests would read its body whole, and it may have no end."""
        target = super().get_redirect_target(resp)
        if target:
            resp.close()
        return target

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Leave the key behind when a redirect leads elsewhere.

        Raises:
            UnavailableError: If it leads out of encryption.
        """
        before, after = urlsplit(response.request.url), urlsplit(prepared_request.url)
        if before.scheme == "https" != after.scheme:
            raise UnavailableError("a redirect out of encryption, which is not followed")
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            prepared_request.headers.pop(KEY_HEADER, None)


class _Adapter(HTTPAdapter):
    """Sends requests over connections that watch the pace of what comes back."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **kwargs)
        _equip(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:  # noqa: ANN401
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        _equip(manager)
        return manager


class _Wire(io.RawIOBase):
    """What a socket brings of one reply, as long as it neither drips nor floods."""

    def __init__(self, raw: io.RawIOBase, patience: float) -> None:
        self._raw = raw
        self._patience = patience
        self._began = 0.0
        self.left = LONGEST_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._raw.readinto(buffer) or 0
        now = time.monotonic()
        self._began = self._began or now
        self._patience += count / SLOWEST
        if now > self._began + self._patience:
            raise TransientError("the reply comes too slowly")
        self.left -= count
        if self.left < 0:
            raise UnavailableError("the reply is beyond reason: it does not end")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    # Headers may drip as well as a body, and there may be no end of interim replies and trailers.
    def __init__(self, sock: socket.socket, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(sock, **kwargs)
        self._wire = _Wire(self.fp.detach(), sock.gettimeout() or 0.0)
        self.fp = io.BufferedReader(self._wire)

    def begin(self) -> None:
        super().begin()
        self._wire.left = LONGEST_REPLY


# The debuglevel that a program sets for all connections would print the API key.
class _HTTPConnection(HTTPConnection):
    response_class = _Response
    debuglevel = 0


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response
    debuglevel = 0


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def _equip(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
