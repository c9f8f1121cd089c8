"""Ways to make the tap tell its secrets, so that who looks for them is seen to find them."""

from __future__ import annotations

import logging
import tempfile
from typing import TYPE_CHECKING, Any

from tap_clarity.api import response_body as bodies
from tap_clarity.api import session as wire
from tap_clarity.api import transport
from tap_clarity.api.errors import ClarityError, TransientError
from tap_clarity.planning.bookmarks import ReportBookmark

if TYPE_CHECKING:
    import io

    import requests

    from tap_clarity.api.transport import Request, Response, Transport


def let_the_library_log() -> None:
    """As if its loggers had not been silenced."""
    silent = wire.new_session

    def new_session(user_agent: str) -> requests.Session:
        session = silent(user_agent)
        logging.getLogger("urllib3.connectionpool").disabled = False
        return session

    vars(transport)["new_session"] = new_session


def print_headers() -> None:
    """As if a program had set this for all connections."""
    wire._HTTPConnection.debuglevel = 1  # noqa: SLF001


def log_bodies() -> None:
    """Log what is sent."""
    usual = transport.Transport._send  # noqa: SLF001

    def send(self: Transport, request: Request) -> Response:
        transport.logger.debug("%s %s", request, request.body)
        return usual(self, request)

    transport.Transport._send = send  # type: ignore[method-assign]  # noqa: SLF001


def pass_on_errors() -> None:
    """Say what the library says."""

    def network_error(error: Exception) -> ClarityError:
        request = getattr(error, "request", None)
        return TransientError(f"{error} ({request and request.url})")

    for module in (transport, bodies):
        vars(module)["network_error"] = network_error


def leave_files() -> None:
    """Keep replies in files that have names, and forget them."""

    def keep(**_: Any) -> io.BufferedRandom:  # noqa: ANN401
        with tempfile.NamedTemporaryFile(delete=False) as file:
            return open(file.name, "w+b")  # noqa: PTH123

    tempfile.SpooledTemporaryFile = keep  # type: ignore[assignment,misc]


def tell_in_state() -> None:
    """Write the key into the state."""
    write = ReportBookmark.to_state

    def to_state(self: ReportBookmark) -> dict[str, Any]:
        return write(self) | {"key": "k-cAnArY-88127731"}

    ReportBookmark.to_state = to_state  # type: ignore[method-assign]


def fail() -> None:
    """Stumble over a bug, with the secrets at hand."""

    def receive(*_: Any) -> None:  # noqa: ANN401
        raise RuntimeError("a bug")

    transport.Transport._receive = receive  # type: ignore[method-assign,assignment]  # noqa: SLF001
