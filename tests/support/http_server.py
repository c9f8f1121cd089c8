"""HTTP servers on loopback that respond as a test wants, and record requests."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class HttpServer:
    """Where it is, and what it was asked."""

    url: str
    requests: list[ReceivedRequest] = field(default_factory=list)


@contextmanager
def serve_http(
    respond: Callable[[BaseHTTPRequestHandler], None],
    tls: ssl.SSLContext | None = None,
) -> Iterator[HttpServer]:
    """Serve an answer to whatever is asked, encrypted if `tls` says how."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(ReceivedRequest(self.command, self.path, headers))
            self.rfile.read(int(headers.get("content-length", 0)))
            respond(self)

        do_GET = do_POST = do_CONNECT = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    http_server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls:
        http_server.socket = tls.wrap_socket(http_server.socket, server_side=True)
        scheme = "https"
    server = HttpServer(f"{scheme}://localhost:{http_server.server_port}")
    threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        http_server.shutdown()
        http_server.server_close()


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def send_response(
    handler: BaseHTTPRequestHandler, body: bytes = b"{}", status: int = 200, **headers: str
) -> None:
    """Send a whole reply."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def drop_connection(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
