"""The bytes of a response: received to the end before anything is made of them."""

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
from tap_clarity.api.errors import MalformedResponseError, TransientError, UnavailableError
from tap_clarity.core.validators import is_storable_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests
    from urllib3 import HTTPResponse

JsonObject = dict[str, Any]

CHUNK_BYTES = 1 << 16
MAX_IN_MEMORY = 1 << 20
"""Bytes up to which a body stays in memory; a longer one goes to an unnamed temporary file."""
GZIP_MAGIC = b"\x1f\x8b"

# No honest response comes near these; a hostile one must fill neither memory nor disk.
MAX_JSON_BYTES = 1 << 23
"""Bytes of JSON that are read at once: the status of 18,000 nodes."""
MAX_JSON_VALUES = 500_000
"""Commas and brackets in it: each may cost a hundred bytes of memory."""
MAX_JSON_DEPTH = 100
"""Lists and objects inside each other: what reads and writes them deeper may exhaust the stack."""
MAX_COMPRESSION_RATIO = 500
"""How many times its size a body may unzip to: reports were seen at 16, empty ones come to 110."""
MIN_DECOMPRESSED_LIMIT = 1 << 24
"""Bytes to which any body may unzip."""
MAX_GZIP_OVERHEAD = 1 << 17
"""Bytes that a gzipped body may have beside twice its content: headers are slow to read."""
GZIP_FORMAT = 31
"""zlib's number for a gzip header and the largest window."""
INT64 = range(-(2**63), 2**63)
"""Integers that databases hold."""


def receive(response: requests.Response, max_bytes: int) -> BinaryIO:
    """Store a response's body as it was sent, neither unzipped nor decoded.

    Raises:
        TransientError: If the connection broke or stalled, if the body came too slowly, or if it
            ended before the declared length.
        UnavailableError: If it has more bytes than `max_bytes`, or declares more.
    """
    body = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY)  # noqa: SIM115
    try:
        _check_size(response.raw.length_remaining or 0, max_bytes)
        for chunk in _chunks(response.raw):
            body.write(chunk)
            _check_size(body.tell(), max_bytes)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body  # type: ignore[return-value]


def _chunks(raw: HTTPResponse) -> Iterator[bytes]:
    try:
        # Not stream(), which waits for whole chunks.
        while chunk := raw.read1(CHUNK_BYTES, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise network_error(error) from None


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise UnavailableError(f"the reply is beyond reason: more than {max_bytes:,} bytes")


def open_decompressed(body: BinaryIO) -> BinaryIO:
    """Open a body for reading from its start, gzipped or not, whatever the headers declare."""
    body.seek(0)
    is_gzip = body.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    body.seek(0)
    return gzip.GzipFile(fileobj=body, mode="rb") if is_gzip else body  # type: ignore[return-value]


def verify_body(body: BinaryIO) -> None:
    """Read a gzipped body to its end, so that its checksum covers every byte.

    Raises:
        TransientError: If the body is truncated or corrupt; it is closed then.
        UnavailableError: If it decompresses to too many bytes; as above.
    """
    max_bytes = max(MIN_DECOMPRESSED_LIMIT, MAX_COMPRESSION_RATIO * body.seek(0, 2))
    with _closing_on_error(body):
        length = 0
        for piece in _decompress(body):
            length += len(piece)
            if length > max_bytes:
                raise UnavailableError(
                    f"the reply is beyond reason: it unzips to {max_bytes:,} bytes"
                )


@contextmanager
def _closing_on_error(body: BinaryIO) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error) as error:
        body.close()
        message = f"the reply is cut or damaged ({error})"
        raise TransientError(message) from error
    except UnavailableError:
        body.close()
        raise


def _decompress(body: BinaryIO) -> Iterator[bytes]:
    """Give the content of a body in pieces, and check what gzip declares of it.

    Unlike `gzip`, it reads headers fast, and rejects a body that consists of them.
    """
    body.seek(0)
    chunk = body.read(CHUNK_BYTES)
    if not chunk.startswith(GZIP_MAGIC):
        yield chunk
        yield from iter(lambda: body.read(CHUNK_BYTES), b"")
        return
    member, length = zlib.decompressobj(GZIP_FORMAT), 0
    while chunk:
        while piece := member.decompress(chunk, CHUNK_BYTES):
            length += len(piece)
            yield piece
            chunk = member.unconsumed_tail
        if body.tell() > 2 * length + MAX_GZIP_OVERHEAD:
            raise UnavailableError("the reply is beyond reason: its gzip headers are too long")
        if not member.eof:
            chunk = body.read(CHUNK_BYTES)
        elif chunk := _skip_zeros(member.unused_data, body):
            member = zlib.decompressobj(GZIP_FORMAT)
    if not member.eof:
        raise EOFError("it ends before the end-of-stream marker")


def _skip_zeros(chunk: bytes, body: BinaryIO) -> bytes:
    """Give what follows the zeros that may end a member of a gzipped body; empty at its end."""
    while not (rest := chunk.lstrip(b"\0")) and (chunk := body.read(CHUNK_BYTES)):
        pass
    return rest


def read_object(body: BinaryIO, wrapper: str, *fields: str) -> JsonObject:
    """Read a body as one JSON object, bare or under a wrapper, that has one of the fields.

    Raises:
        ClarityError: As `read_json` does; TransientError if it is another JSON document.
    """
    document = read_json(body)
    if isinstance(document, dict):
        document = document.get(wrapper, document)
    if isinstance(document, dict) and not document.keys().isdisjoint(fields):
        return document
    raise TransientError(f"the reply is not a {wrapper}")


def read_json(body: BinaryIO) -> Any:  # noqa: ANN401
    """Read a whole body as JSON, and close it.

    Raises:
        TransientError: If it is anything else.
        UnavailableError: If it exceeds a limit.
        MalformedResponseError: If it holds a text or number that no database does.
    """
    return parse_json(read_text(body))


def read_text(body: BinaryIO) -> bytes:
    """Read and decompress a whole body, and close it; raises as `read_json` does."""
    text = bytearray()
    with body, _closing_on_error(body):
        for piece in _decompress(body):
            text += piece
            _check_size(len(text), MAX_JSON_BYTES)
    return bytes(text)


def count_values(text: bytes) -> int:
    """Count the commas and brackets of JSON: about as many as it has values."""
    return sum(map(text.count, (b",", b"[", b"{")))


def parse_json(text: bytes) -> Any:  # noqa: ANN401
    """Parse a whole body; raises as `read_json` does."""
    values = count_values(text)
    if values > MAX_JSON_VALUES:
        raise UnavailableError(f"the reply is beyond reason: more than {MAX_JSON_VALUES:,} values")
    try:
        document = json.loads(
            text.decode("utf-8-sig"),
            parse_constant=_reject_constant,
            parse_float=_read_float,
            parse_int=_read_integer,
        )
    except (ValueError, RecursionError) as error:
        raise TransientError(f"the reply is not JSON ({_describe(text)})") from error
    if values > MAX_JSON_DEPTH and _is_deeper(document, MAX_JSON_DEPTH):
        raise UnavailableError(
            f"the reply is beyond reason: more than {MAX_JSON_DEPTH} lists and objects inside each "
            "other"
        )
    if b"\\u" in text and not all(map(is_storable_text, _texts(document))):
        raise MalformedResponseError(
            "the reply has a text that no database holds, with a NUL or half a character: "
            "ask Clarity's support"
        )
    return document


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise MalformedResponseError(
            "the reply has a number beyond double precision: ask Clarity's support"
        )
    return number


def _read_integer(text: str) -> int:
    number = int(text)
    if number not in INT64:
        raise MalformedResponseError("the reply has a number beyond 64 bits: ask Clarity's support")
    return number


def _is_deeper(document: Any, depth: int) -> bool:  # noqa: ANN401
    """Whether a JSON document has lists and objects nested deeper than that."""
    level = [document]
    for _ in range(depth):
        lists = [[*each.values()] if isinstance(each, dict) else each for each in level]
        level = [part for each in lists for part in each if isinstance(part, list | dict)]
    return bool(level)


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
