"""The bytes of a reply: received to the end before anything is made of them."""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from urllib3.exceptions import HTTPError

from tap_clarity.api.errors import TransientError

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 16
IN_MEMORY = 1 << 20
"""Bytes up to which a body stays in memory; a longer one goes to an unnamed temporary file."""
GZIP = b"\x1f\x8b"


def receive(response: requests.Response) -> BinaryIO:
    """Store a reply's body as it was sent, neither unzipped nor decoded.

    Raises:
        TransientError: If the connection broke, stalled, or ended before the declared length.
    """
    body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
    try:
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            body.write(chunk)
    except (HTTPError, OSError) as error:
        body.close()
        message = f"the reply broke off ({type(error).__name__})"
        raise TransientError(message) from error
    body.seek(0)
    return body  # type: ignore[return-value]


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
    with body:
        try:
            return json.loads(unzipped(body).read())
        except (ValueError, RecursionError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            message = f"the reply is not JSON ({describe(body)})"
            raise TransientError(message) from error


def describe(body: BinaryIO) -> str:
    """Say in a few words what a body looks like instead of what was expected."""
    body.seek(0)
    start = body.read(CHUNK).lstrip()
    if not start:
        return "it is empty"
    if start.startswith(GZIP):
        return "gzipped, cut or damaged"
    if start[:1] == b"<":
        return "an HTML or XML page"
    return "cut or garbled"
