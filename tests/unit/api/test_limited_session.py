"""A response that comes too slowly or never ends is aborted, wherever it does so."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from tap_clarity.api.errors import UnavailableError
from tap_clarity.api.response_body import read_json
from tap_clarity.api.transport import Request
from tests.support.http_server import send_response, serve_http

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http.server import BaseHTTPRequestHandler

    from tests.support.api_types import Connect
    from tests.support.fake_clock import FakeClock

CALL = Request("GET", "/x")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "status line": (b"HTTP/1.1 200 ", b"x"),
    "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "one header": (OK + b"a: ", b"x"),
    "headers": (OK, b"a: b\r\n"),
    "size of a chunk": (CHUNKED, b"0"),
    "extension of a chunk": (CHUNKED + b"1;", b"x"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n"),
}


def send(handler: BaseHTTPRequestHandler, pieces: Iterable[bytes], pause: float = 0) -> None:
    handler.close_connection = True
    for piece in pieces:
        handler.wfile.write(piece)
        time.sleep(pause)


@pytest.mark.parametrize(("start", "rest"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_given_up(
    connect: Connect, start: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_clarity.api.limited_session.MAX_RESPONSE_BYTES", 1 << 20)
    monkeypatch.setattr("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(0))
    flood = itertools.chain([start], itertools.repeat(rest * 1000))
    with (
        serve_http(lambda handler: send(handler, flood)) as endless,
        pytest.raises(UnavailableError, match=r"GET /x: the (reply is beyond|connection was)"),
    ):
        connect(endless.url).request(CALL, lambda answer: read_json(answer.body))
    assert len(endless.requests) == 1


@pytest.mark.parametrize(("start", "rest"), ENDLESS.values(), ids=ENDLESS)
def test_what_drips_is_given_up(
    connect: Connect, start: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_clarity.api.limited_session.MIN_BYTES_PER_SECOND", 1e6)
    monkeypatch.setattr("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(0))
    drip = itertools.chain([start], itertools.repeat(rest))
    with (
        serve_http(lambda handler: send(handler, drip, pause=0.005)) as dripping,
        # On a busy machine a pause may be as long as the timeout.
        pytest.raises(UnavailableError, match=r"GET /x: (the reply comes too slowly|no answer)"),
    ):
        connect(dripping.url, read_timeout=0.2).request(CALL, lambda answer: read_json(answer.body))


def test_a_length_beyond_reason_is_not_waited_for(connect: Connect, clock: FakeClock) -> None:
    def announce(handler: BaseHTTPRequestHandler) -> None:
        send(handler, [OK, b"Content-Length: 10000000000\r\n\r\n"])
        time.sleep(1)

    with (
        serve_http(announce) as large,
        pytest.raises(UnavailableError, match="beyond reason: more than 8,388,608 bytes"),
    ):
        connect(large.url, read_timeout=0.2).request(CALL, lambda answer: read_json(answer.body))
    assert not clock.pauses


def test_a_server_may_think_as_long_as_the_timeout_allows(
    connect: Connect, clock: FakeClock
) -> None:
    def think(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.7)
        send(handler, [OK, b"Content-Length: 2\r\n", b"\r\n", b"{}"], pause=0.1)

    with serve_http(think) as thinking:
        assert (
            connect(thinking.url, read_timeout=1.0).request(CALL, lambda a: read_json(a.body)) == {}
        )
    assert not clock.pauses


def test_connections_are_kept(connect: Connect) -> None:
    clients = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        clients.add(handler.client_address)
        send_response(handler)

    with serve_http(answer) as here:
        transport = connect(here.url)
        for _ in range(3):
            transport.request(CALL, lambda answer: read_json(answer.body))
    assert len(here.requests) == 3
    assert len(clients) == 1


def test_the_library_cannot_be_made_to_print_what_is_sent(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(HTTPConnection, "debuglevel", 1)
    with serve_http(send_response) as here:
        connect(here.url).request(CALL, lambda answer: read_json(answer.body))
    assert here.requests[0].headers["x-api-key"] == "sandbox-key"
    assert capfd.readouterr().out == ""
