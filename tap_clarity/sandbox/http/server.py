"""HTTP on loopback: bytes in, a `Request` to the sandbox, a `Response` out."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
import zlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from tap_clarity.sandbox.http.http_types import Request, Response
from tap_clarity.sandbox.http.transfer import PROMPT, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOPBACK: Final = "127.0.0.1"
_GZIP: Final = 16 + zlib.MAX_WBITS
_SMALL: Final = 512
# These end with their headers; a length or an encoding would be wrong.
_WITHOUT_BODY: Final = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class Server(ThreadingHTTPServer):
    """A server that hands every request to one function."""

    daemon_threads = True
    # Connections that a client leaves open must not hold up the end.
    block_on_close = False

    answer: Callable[[Request], Response]
    seconds: Callable[[], float] = staticmethod(time.time)
    """Seconds since the epoch, by the clock that dates the answers."""

    def __init__(self, port: int) -> None:
        super().__init__((LOOPBACK, port), Handler)

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

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Write a date header: now, unless told otherwise."""
        return super().date_time_string(self.server.seconds() if timestamp is None else timestamp)

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
        headers, body = self._framed(response)
        plan = response.delivery
        if plan == PROMPT:
            self._start(response.status, headers)
            for part in body:
                self.wfile.write(part)
        else:
            self._send_badly(response.status, headers, b"".join(body), plan)

    def _framed(self, response: Response) -> tuple[dict[str, str], Iterable[bytes]]:
        """Compress and frame a body: by its length where that is known, else in chunks."""
        headers = dict(response.headers)
        is_whole = isinstance(response.body, bytes)
        body = response.parts()
        if self._may_zip(response):
            headers["Content-Encoding"] = "gzip"
            body = zipped(body)
        if "Content-Length" in headers or response.status in _WITHOUT_BODY:
            return headers, body
        if is_whole or response.delivery != PROMPT:
            whole = b"".join(body)
            return {**headers, "Content-Length": str(len(whole))}, [whole]
        return {**headers, "Transfer-Encoding": "chunked"}, chunked(body)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_badly(
        self, status: int, headers: dict[str, str], body: bytes, plan: Delivery
    ) -> None:
        time.sleep(plan.wait)
        if plan.no_answer:
            self._hang_up()
            return
        split = int(len(body) * plan.stop_at)
        if plan.ending == "shortened":
            headers["Content-Length"] = str(split)
        self._start(status, headers)
        for piece in _pieces(body, split, plan):
            self.wfile.write(piece)
            time.sleep(plan.pause)
        if plan.ending == "reset":
            self._hang_up()
        elif plan.ending == "closed":
            self.close_connection = True

    def _hang_up(self) -> None:
        """Reset the connection: with no time to linger, closing sends RST instead of FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())

    def _may_zip(self, response: Response) -> bool:
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        is_small = isinstance(response.body, bytes) and len(response.body) < _SMALL
        return accepted and not is_small and "Content-Length" not in response.headers


def _pieces(body: bytes, split: int, plan: Delivery) -> Iterable[bytes]:
    """Cut what is sent of a body: at one place, or evenly."""
    if plan.ending != "whole":
        return [body[:split]]
    if split < len(body):
        return [body[:split], body[split:]]
    size = -(-len(body) // plan.pieces) or 1
    return [body[at : at + size] for at in range(0, len(body), size)]


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
