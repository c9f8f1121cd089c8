"""HTTP on loopback: bytes in, a `Request` to the sandbox, a `Response` out."""

from __future__ import annotations

import json
import sys
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tap_clarity.sandbox.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOPBACK: Final = "127.0.0.1"
_GZIP: Final = 16 + zlib.MAX_WBITS
_SMALL: Final = 512


class Server(ThreadingHTTPServer):
    """A server that hands every request to one function."""

    daemon_threads = True
    # Connections that a client leaves open must not hold up the end.
    block_on_close = False

    def __init__(self, port: int, answer: Callable[[Request], Response]) -> None:
        super().__init__((LOOPBACK, port), Handler)
        self.answer = answer

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Pass over clients that hang up; everything else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 with connections kept open."""

    protocol_version = "HTTP/1.1"
    # Headers and body go out apart: with Nagle's algorithm each answer waits 40 ms.
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent: the request log tells more."""

    def _serve(self) -> None:
        self._send(self.server.answer(self._request()))

    def _request(self) -> Request:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        return Request(
            method=self.command,
            path=unquote(url.path),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_parsed(self.rfile.read(length)),
        )

    def _send(self, response: Response) -> None:
        body, headers = response.body, dict(response.headers)
        if self._may_zip(headers, body):
            body = zipped([body] if isinstance(body, bytes) else body)
            headers["Content-Encoding"] = "gzip"
        if isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
        elif "Content-Length" not in headers:
            headers["Transfer-Encoding"] = "chunked"
            body = chunked(body)
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for part in [body] if isinstance(body, bytes) else body:
            self.wfile.write(part)

    def _may_zip(self, headers: dict[str, str], body: bytes | Iterable[bytes]) -> bool:
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        is_small = isinstance(body, bytes) and len(body) < _SMALL
        return accepted and not is_small and "Content-Length" not in headers


def _parsed(body: bytes) -> Any:  # noqa: ANN401
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def zipped(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Compress a body on its way."""
    squeeze = zlib.compressobj(3, zlib.DEFLATED, _GZIP)
    for part in parts:
        yield squeeze.compress(part)
    yield squeeze.flush()


def chunked(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Frame a body whose length nobody knows yet."""
    for part in parts:
        if part:
            yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"
