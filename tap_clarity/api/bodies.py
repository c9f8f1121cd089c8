"""The bytes of a reply: received to the end before anything is made of them."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from urllib3.exceptions import HTTPError

from tap_clarity.api.errors import TransientError
from tap_clarity.api.failures import network_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from urllib3 import HTTPResponse

CHUNK = 1 << 16
SLOWEST = 1000.0
"""Bytes a second below which a reply is given up: a drip would keep any timeout from ending it."""
IN_MEMORY = 1 << 20
"""Bytes up to which a body stays in memory; a longer one goes to an unnamed temporary file."""
GZIP = b"\x1f\x8b"


def receive(response: requests.Response, patience: float) -> BinaryIO:
    """Store a reply's body as it was sent, neither unzipped nor decoded.

    Raises:
        TransientError: If the connection broke, stalled for `patience` seconds, ended before the
            declared length, or brings so little that the end cannot be waited for.
    """
    body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    try:
        for chunk in _chunks(response.raw, patience):
            body.write(chunk)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body  # type: ignore[return-value]


def _chunks(raw: HTTPResponse, patience: float) -> Iterator[bytes]:
    began, received = time.monotonic(), 0
    try:
        # Not stream(), which is silent until a whole chunk has dripped in.
        while chunk := raw.read1(CHUNK, decode_content=False):
            yield chunk
            received += len(chunk)
            if time.monotonic() - began > patience + received / SLOWEST:
                raise TransientError("the reply comes too slowly")
    except (HTTPError, OSError) as error:
        raise network_error(error) from None


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
    """
    content = unzipped(body)
    try:
        while content.read(CHUNK):
            pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        body.close()
        message = f"the reply is cut or damaged ({error})"
        raise TransientError(message) from error


def read_json(body: BinaryIO) -> Any:  # noqa: ANN401
    """Read a whole body as JSON, and close it.

    Raises:
        TransientError: If it is anything else.
    """
    prove_whole(body)
    with body:
        text = unzipped(body).read()
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise TransientError(f"the reply is not JSON ({_describe(text)})") from error


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _describe(text: bytes) -> str:
    start = text.lstrip()[:1]
    if not start:
        return "it is empty"
    return "an HTML or XML page" if start == b"<" else "cut or garbled"
