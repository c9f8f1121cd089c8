"""Changes to the tap that leak secrets, to show that the search for secrets finds them."""

from __future__ import annotations

import logging
import tempfile
from typing import TYPE_CHECKING, Any

from tap_clarity.api import limited_session, response_body, transport
from tap_clarity.api.errors import ClarityError, TransientError
from tap_clarity.api.redaction import Redactor
from tap_clarity.planning.bookmarks import ReportBookmark

if TYPE_CHECKING:
    import io

    import requests

    from tap_clarity.api.transport import Request, Response, Transport


def disable_log_filter() -> None:
    """As if nobody redacted what is logged."""
    Redactor.install = lambda _: None  # type: ignore[method-assign,assignment]


def enable_library_logging_unfiltered() -> None:
    disable_log_filter()
    enable_library_logging()


def log_bodies_unfiltered() -> None:
    disable_log_filter()
    log_bodies()


def quote_library_errors_unfiltered() -> None:
    disable_log_filter()
    quote_library_errors()


def enable_library_logging() -> None:
    """As if its loggers had not been silenced."""
    original_new_session = limited_session.new_session

    def new_session(user_agent: str) -> requests.Session:
        session = original_new_session(user_agent)
        logging.getLogger("urllib3.connectionpool").disabled = False
        return session

    vars(transport)["new_session"] = new_session


def print_headers() -> None:
    """As if a program had set this for all connections."""
    limited_session._HTTPConnection.debuglevel = 1  # noqa: SLF001


def log_bodies() -> None:
    """Log what is sent."""
    original_call = transport.Transport._send  # noqa: SLF001

    def send(self: Transport, request: Request) -> Response:
        transport.logger.debug("%s %s", request, request.body)
        return original_call(self, request)

    transport.Transport._send = send  # type: ignore[method-assign]  # noqa: SLF001


def quote_library_errors() -> None:
    """Say what the library says."""

    def network_error(error: Exception) -> ClarityError:
        request = getattr(error, "request", None)
        return TransientError(f"{error} ({request and request.url})")

    for module in (transport, response_body):
        vars(module)["network_error"] = network_error


def keep_temporary_files() -> None:
    """Keep replies in files that have names, and forget them."""

    def keep(**_: Any) -> io.BufferedRandom:  # noqa: ANN401
        with tempfile.NamedTemporaryFile(delete=False) as file:
            return open(file.name, "w+b")  # noqa: PTH123

    tempfile.SpooledTemporaryFile = keep  # type: ignore[assignment,misc]


def write_key_to_state() -> None:
    """Write the key into the state."""
    write = ReportBookmark.to_state

    def to_state(self: ReportBookmark) -> dict[str, Any]:
        return write(self) | {"key": "k-cAnArY-88127731"}

    ReportBookmark.to_state = to_state  # type: ignore[method-assign]


def raise_error() -> None:
    """Stumble over a bug, with the secrets at hand."""

    def raise_runtime_error(*_: Any) -> None:  # noqa: ANN401
        raise RuntimeError("a bug")

    transport.Transport._receive = raise_runtime_error  # type: ignore[method-assign,assignment]  # noqa: SLF001
