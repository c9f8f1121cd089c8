"""Bodies are received to the end, at a minimum speed, and verified before they are used."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tempfile
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.api.errors import TransientError, UnavailableError
from tap_clarity.api.response_body import (
    MAX_IN_MEMORY,
    MAX_JSON_DEPTH,
    open_decompressed,
    read_json,
    read_text,
    verify_body,
)
from tap_clarity.api.transport import Request
from tests.support.http_server import send_response, serve_http

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from tests.support.api_types import Connect

CALL = Request("GET", "/x")
LENGTHS = {"known": {}, "chunked": {"Transfer_Encoding": "chunked"}}
DOCUMENT: Any = {"name": "Müllerstraße, »5«", "values": [1.5, None, True]}


def drip(handler: BaseHTTPRequestHandler, headers: dict[str, str]) -> None:
    """Send a byte every hundredth of a second, without end."""
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    while True:
        handler.wfile.write(b"1\r\n \r\n" if headers else b" ")
        time.sleep(0.01)


@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS)
def test_a_drip_that_never_ends_is_given_up(
    connect: Connect, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(seconds=1))
    with serve_http(lambda handler: drip(handler, headers)) as dripping:
        transport = connect(dripping.url, read_timeout=0.4)
        with pytest.raises(UnavailableError, match="GET /x: the reply comes too slowly; given up"):
            transport.request(CALL, lambda answer: read_json(answer.body))
    assert len(dripping.requests) == 2


def test_a_page_of_an_error_that_drips_does_not_hide_the_error(connect: Connect) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(400)
        handler.end_headers()
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.01)

    with serve_http(refuse) as refusing, pytest.raises(Exception, match=r"refuses .* \(HTTP 400\)"):
        connect(refusing.url, read_timeout=0.2).request(CALL, lambda answer: answer)


def test_a_steady_reply_may_take_longer_than_the_timeout(connect: Connect) -> None:
    text = json.dumps(["x" * 100] * 300).encode()

    def send_in_parts(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        for at in range(0, len(text), 1000):
            handler.wfile.write(text[at : at + 1000])
            time.sleep(0.02)

    with serve_http(send_in_parts) as slow:
        transport = connect(slow.url, read_timeout=0.3)
        began = time.monotonic()
        assert len(transport.request(CALL, lambda answer: read_json(answer.body))) == 300
        assert time.monotonic() - began > 0.3
    assert len(slow.requests) == 1


@pytest.mark.parametrize("size", [0, 1, MAX_IN_MEMORY - 1, MAX_IN_MEMORY, 3 * MAX_IN_MEMORY])
def test_bodies_of_any_size_arrive_as_they_were_sent(connect: Connect, size: int) -> None:
    sent = bytes(range(256)) * (size // 256 + 1)
    with serve_http(lambda handler: send_response(handler, sent[:size])) as sending:
        received = connect(sending.url).download(sending.url, lambda answer: answer.body)
    with received:
        assert received.read() == sent[:size]


def test_a_reply_for_which_there_is_no_room_ends_the_run(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **_: Full())
    with serve_http(lambda handler: send_response(handler, b"{}")) as sending:
        with pytest.raises(OSError, match="No space left"):
            connect(sending.url).request(CALL, lambda answer: answer)
        assert len(sending.requests) == 1


@pytest.mark.parametrize("zipped", [False, True])
def test_json_is_read_whether_zipped_or_not(*, zipped: bool) -> None:
    text = json.dumps(DOCUMENT).encode()
    body = io.BytesIO(gzip.compress(text) if zipped else text)
    assert read_json(body) == DOCUMENT
    assert body.closed


WHOLE = json.dumps(DOCUMENT).encode()
NO_JSON = {
    "nothing": (b"", "it is empty"),
    "blanks": (b" \n", "it is empty"),
    "a page": (b"<!DOCTYPE html><h1>Back soon</h1>", "an HTML or XML page"),
    "a page after blanks": (b"\n <html>", "an HTML or XML page"),
    "a part": (WHOLE[:-1], "cut or garbled"),
    "too much": (WHOLE + b"}", "cut or garbled"),
    "noise": (b"\xff\xfe\x00", "cut or garbled"),
    "a zipped part": (gzip.compress(WHOLE[:-1]), "cut or garbled"),
    "no number": (b'{"value": NaN}', "cut or garbled"),
    "a bottomless pit": (b"[" * 100_000, "cut or garbled"),
    "a number without end": (b"9" * 10_000, "cut or garbled"),
}


@pytest.mark.parametrize(("body", "description"), NO_JSON.values(), ids=NO_JSON)
def test_what_is_not_json_is_described(body: bytes, description: str) -> None:
    file = io.BytesIO(body)
    with pytest.raises(TransientError) as caught:
        read_json(file)
    assert str(caught.value) == f"the reply is not JSON ({description})"
    assert file.closed


@pytest.mark.parametrize("cut", [slice(-1), slice(-9), slice(5)])
def test_a_truncated_response_is_an_error(cut: slice) -> None:
    file = io.BytesIO(gzip.compress(WHOLE)[cut])
    with pytest.raises(TransientError, match=r"^the reply is cut or damaged"):
        read_json(file)
    assert file.closed


@pytest.mark.parametrize("wrap", ["[%s]", '{"a": %s}', '{"a": [1, %s, "b"]}'])
def test_json_is_read_to_a_depth(wrap: str) -> None:
    levels = MAX_JSON_DEPTH // (wrap.count("[") + wrap.count("{"))
    text = "[0%s]" % (",0" * MAX_JSON_DEPTH)
    for _ in range(levels - 1):
        text = wrap % text
    assert read_json(io.BytesIO(text.encode())) == json.loads(text)
    text = wrap % wrap % text
    with pytest.raises(UnavailableError, match="more than 100 lists and objects inside each other"):
        read_json(io.BytesIO(text.encode()))


def test_a_flat_document_has_no_depth() -> None:
    document = ["[" * 1_000, {"a": [","] * 1_000}]
    assert read_json(io.BytesIO(json.dumps(document).encode())) == document


NAMED = b"\x1f\x8b\x08\x08" + b"\0" * 6
EMPTY = gzip.compress(b"")
SLOW = {
    "a file name without an end": NAMED + b"a" * 5_000_000,
    "a long file name": NAMED + b"a" * 5_000_000 + b"\0" + gzip.compress(WHOLE)[10:],
    "many file names": (NAMED + b"a" * 10_000 + b"\0" + gzip.compress(WHOLE)[10:]) * 500,
    "many empty members": EMPTY * 250_000,
}


@pytest.mark.parametrize("read", [read_json, verify_body])
@pytest.mark.parametrize("body", SLOW.values(), ids=SLOW)
def test_a_body_of_gzip_headers_is_rejected_fast(
    body: bytes, read: Callable[[BinaryIO], Any]
) -> None:
    file, began = io.BytesIO(body), time.monotonic()
    with pytest.raises(UnavailableError, match="its gzip headers are too long"):
        read(file)
    assert file.closed
    assert time.monotonic() - began < 1


@given(st.lists(st.tuples(st.binary(max_size=99), st.sampled_from([0, 1, 30_000])), max_size=4))
@settings(max_examples=50, print_blob=True)
def test_members_of_a_gzipped_body_are_read_one_after_another(
    members: list[tuple[bytes, int]],
) -> None:
    zipped = EMPTY + b"".join(gzip.compress(content) + b"\0" * zeros for content, zeros in members)
    assert read_text(io.BytesIO(zipped)) == b"".join(content for content, _ in members)
    with pytest.raises(TransientError, match="cut or damaged"):
        read_text(io.BytesIO(zipped + b"x"))


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda noise: b"\x1f\x8b" + noise))
@settings(max_examples=200, print_blob=True)
def test_noise_is_never_more_than_a_fault_that_may_pass(noise: bytes) -> None:
    for read in (read_json, verify_body):
        with contextlib.suppress(TransientError):
            read(io.BytesIO(noise))


@given(content=st.binary(max_size=500), data=st.data())
@settings(max_examples=100, print_blob=True)
def test_a_cut_gzip_is_never_taken_for_whole(content: bytes, data: st.DataObject) -> None:
    zipped = gzip.compress(content)
    end = data.draw(st.integers(2, len(zipped) - 1))
    with pytest.raises(TransientError, match="cut or damaged"):
        verify_body(io.BytesIO(zipped[:end]))


@given(content=st.binary(min_size=1, max_size=500), data=st.data())
@settings(max_examples=200, print_blob=True)
def test_a_changed_byte_is_found_wherever_it_matters(content: bytes, data: st.DataObject) -> None:
    zipped = bytearray(gzip.compress(content))
    place = data.draw(st.integers(2, len(zipped) - 1))
    zipped[place] ^= data.draw(st.integers(1, 255))
    body = io.BytesIO(zipped)
    try:
        verify_body(body)
    except TransientError:
        assert body.closed
    else:
        assert open_decompressed(body).read() == content
