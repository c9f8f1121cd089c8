"""The HTTP server on loopback: parses requests, hands them to one function, sends responses."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tap_clarity.sandbox.http.http_types import STATUSES_WITHOUT_BODY, Request, Response
from tap_clarity.sandbox.http.transfer import IMMEDIATE, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOPBACK: Final = "127.0.0.1"
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_MIN_GZIP_BYTES: Final = 512


class Server(ThreadingHTTPServer):
    """A server that hands every request to `handle`."""

    daemon_threads = True
    # Connections that a client leaves open must not delay closing.
    block_on_close = False

    handle: Callable[[Request], Response]
    current_time: Callable[[], float] = staticmethod(time.time)
    """Seconds since the epoch, for the Date header."""

    def __init__(self, port: int) -> None:
        super().__init__((LOOPBACK, port), Handler)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Ignore clients that close the connection; print everything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of a connection: HTTP/1.1, kept open."""

    protocol_version = "HTTP/1.1"
    # Headers and body are sent separately: Nagle's algorithm would delay responses by 40 ms.
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: the request log has more."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Format the Date header, by default for the current time."""
        if timestamp is None:
            timestamp = self.server.current_time()
        return super().date_time_string(timestamp)

    def _serve(self) -> None:
        self._send(self.server.handle(self._request()))

    def _request(self) -> Request:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        return Request(
            method=self.command,
            path=unquote(url.path),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_parse_body(self.rfile.read(length)),
        )

    def _send(self, response: Response) -> None:
        headers, body = self._framed(response)
        if response.transfer == IMMEDIATE:
            self._start(response.status, headers)
            for part in body:
                self.wfile.write(part)
        else:
            self._transfer(response.status, headers, b"".join(body), response.transfer)

    def _framed(self, response: Response) -> tuple[dict[str, str], Iterable[bytes]]:
        """Compress a body, and frame it: by its length where that is known, else in chunks."""
        headers = dict(response.headers)
        is_whole = isinstance(response.body, bytes)
        body = response.parts()
        if self._may_compress(response):
            headers["Content-Encoding"] = "gzip"
            body = compressed(body)
        if "Content-Length" in headers or response.status in STATUSES_WITHOUT_BODY:
            return headers, body
        if is_whole or response.transfer != IMMEDIATE:
            whole = b"".join(body)
            return {**headers, "Content-Length": str(len(whole))}, [whole]
        return {**headers, "Transfer-Encoding": "chunked"}, chunked(body)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _transfer(self, status: int, headers: dict[str, str], body: bytes, plan: Transfer) -> None:
        time.sleep(plan.wait)
        if plan.no_response:
            self._reset()
            return
        split = int(len(body) * plan.stop_at)
        if plan.ending == "shortened":
            headers["Content-Length"] = str(split)
        self._start(status, headers)
        for piece in _pieces(body, split, plan):
            self.wfile.write(piece)
            time.sleep(plan.pause)
        if plan.ending == "reset":
            self._reset()
        elif plan.ending == "closed":
            self.close_connection = True

    def _reset(self) -> None:
        """Reset the connection: with no time to linger, closing sends RST instead of FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())

    def _may_compress(self, response: Response) -> bool:
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        is_small = isinstance(response.body, bytes) and len(response.body) < _MIN_GZIP_BYTES
        return accepted and not is_small and "Content-Length" not in response.headers


def _pieces(body: bytes, split: int, plan: Transfer) -> Iterable[bytes]:
    """Split what is sent of a body: at `split`, or evenly."""
    if plan.ending != "whole":
        return [body[:split]]
    if split < len(body):
        return [body[:split], body[split:]]
    size = -(-len(body) // plan.pieces) or 1
    return [body[at : at + size] for at in range(0, len(body), size)]


def _parse_body(body: bytes) -> Any:  # noqa: ANN401
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def compressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Compress the parts of a body."""
    compressor = zlib.compressobj(3, zlib.DEFLATED, _GZIP_BITS)
    for part in parts:
        yield compressor.compress(part)
    yield compressor.flush()


def chunked(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Frame a body whose length is not known yet."""
    for part in parts:
        if part:
            yield b"%x\r\n%b\r\n" % (len(part), part)
    yield b"0\r\n\r\n"
