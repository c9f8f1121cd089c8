"""The bytes of a reply: received to the end before anything is made of them."""

from __future__ import annotations

import gzip
import json
import math
import tempfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from urllib3.exceptions import HTTPError

from tap_clarity.api.error_mapping import network_error
from tap_clarity.api.errors import MalformedReplyError, TransientError, UnavailableError
from tap_clarity.core.validators import is_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from urllib3 import HTTPResponse

CHUNK = 1 << 16
IN_MEMORY = 1 << 20
"""Bytes up to which a body stays in memory; a longer one goes to an unnamed temporary file."""
GZIP = b"\x1f\x8b"

# No honest reply comes near these; a hostile one must fill neither memory nor disk.
LONGEST_JSON = 1 << 23
"""Bytes of JSON that are read at once: the status of 18,000 nodes."""
MOST_MARKS = 500_000
"""Commas and brackets in it: each may cost a hundred bytes of memory."""
HIGHEST_RATIO = 500
"""How many times its size a body may unzip to: reports were seen at 16, empty ones come to 110."""
SMALL = 1 << 24
"""Bytes to which any body may unzip."""
INTEGERS = range(-(2**63), 2**63)
"""What databases hold."""


def receive(response: requests.Response, longest: int) -> BinaryIO:
    """Store a reply's body as it was sent, neither unzipped nor decoded.

    Raises:
        TransientError: If the connection broke, stalled, dripped, or ended before the declared
            length.
        UnavailableError: If it has more bytes than `longest`, or says so.
    """
    body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    try:
        _prove_size(response.raw.length_remaining or 0, longest)
        for chunk in _chunks(response.raw):
            body.write(chunk)
            _prove_size(body.tell(), longest)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body  # type: ignore[return-value]


def _chunks(raw: HTTPResponse) -> Iterator[bytes]:
    try:
        # Not stream(), which waits for whole chunks.
        while chunk := raw.read1(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise network_error(error) from None


def _prove_size(size: int, longest: int) -> None:
    if size > longest:
        raise UnavailableError(f"the reply is beyond reason: more than {longest:,} bytes")


def unzipped(body: BinaryIO) -> BinaryIO:
    """Open a body for reading from its start, gzipped or not, whatever the headers said."""
    body.seek(0)
    zipped = body.read(len(GZIP)) == GZIP
    body.seek(0)
    return gzip.GzipFile(fileobj=body, mode="rb") if zipped else body  # type: ignore[return-value]


def prove_whole(body: BinaryIO) -> None:
    """Read a gzipped body to its end, so that its trailer vouches for every byte.

    Raises:
        TransientError: If the body is cut or damaged; it is closed then.
        UnavailableError: If it is a bomb; as above.
    """
    longest = max(SMALL, HIGHEST_RATIO * body.seek(0, 2))
    with _proven(body) as content:
        length = 0
        while chunk := content.read(CHUNK):
            length += len(chunk)
            if length > longest:
                raise UnavailableError(
                    f"the reply is beyond reason: it unzips to {longest:,} bytes"
                )


@contextmanager
def _proven(body: BinaryIO) -> Iterator[BinaryIO]:
    try:
        yield unzipped(body)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        body.close()
        message = f"the reply is cut or damaged ({error})"
        raise TransientError(message) from error
    except UnavailableError:
        body.close()
        raise


def read_json(body: BinaryIO) -> Any:  # noqa: ANN401
    """Read a whole body as JSON, and close it.

    Raises:
        TransientError: If it is anything else.
        UnavailableError: If there is too much of it.
        MalformedReplyError: If it holds a text or number that no database does.
    """
    with body, _proven(body) as content:
        text = content.read(LONGEST_JSON + 1)
        _prove_size(len(text), LONGEST_JSON)
    if sum(map(text.count, (b",", b"[", b"{"))) > MOST_MARKS:
        raise UnavailableError(f"the reply is beyond reason: more than {MOST_MARKS:,} values")
    try:
        document = json.loads(
            text.decode("utf-8-sig"),
            parse_constant=_refuse,
            parse_float=_read_float,
            parse_int=_read_integer,
        )
    except (ValueError, RecursionError) as error:
        raise TransientError(f"the reply is not JSON ({_describe(text)})") from error
    if b"\\u" in text and not all(map(is_text, _texts(document))):
        raise MalformedReplyError(
            "the reply has a text that no database holds, with a NUL or half a character: "
            "ask Clarity's support"
        )
    return document


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise MalformedReplyError(
            "the reply has a number beyond double precision: ask Clarity's support"
        )
    return number


def _read_integer(text: str) -> int:
    number = int(text)
    if number not in INTEGERS:
        raise MalformedReplyError("the reply has a number beyond 64 bits: ask Clarity's support")
    return number


def _texts(document: Any) -> Iterator[str]:  # noqa: ANN401
    """Give all names and texts in a JSON document."""
    parts = [document]
    while parts:
        match parts.pop():
            case str(text):
                yield text
            case list(items):
                parts += items
            case dict(members):
                parts += [*members, *members.values()]


def _describe(text: bytes) -> str:
    start = text.lstrip()[:1]
    if not start:
        return "it is empty"
    return "an HTML or XML page" if start == b"<" else "cut or garbled"
