"""What can be wrong inside a file that arrives whole."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.sandbox.http.http_types import Response

Lines = list[list[str]]

_GZIP_MAGIC: Final = b"\x1f\x8b"
_PARQUET_MAGIC: Final = b"PAR1"
_TIMES: Final = {"time", "startofperiod", "endofperiod"}


def spoiled_file(response: Response, kind: str, at: float) -> Response:
    """Spoil a file's bytes or one of its rows; its announced length stays true."""
    return _replaced(response, FILE_FAULTS[kind](response.whole_body(), at))


def blank_file(response: Response, text: str) -> Response:
    """Send a text as the whole file, gzipped where the file's header says so."""
    body = text.encode()
    zipped = response.headers.get("Content-Encoding") == "gzip"
    return _replaced(response, gzip.compress(body, mtime=0) if zipped else body)


def first_lines(body: bytes, at: float) -> bytes:
    """Cut a text after the lines of its first part, so that what is left reads well."""
    zipped = body.startswith(_GZIP_MAGIC)
    text = gzip.decompress(body) if zipped else body
    part = text[: int(len(text) * at)]
    part = part[: part.rfind(b"\n") + 1] or part
    return gzip.compress(part, mtime=0) if zipped else part


def _replaced(response: Response, body: bytes) -> Response:
    headers = {**response.headers, "Content-Length": str(len(body))}
    return replace(response, body=body, headers=headers)


def _cut(body: bytes, at: float) -> bytes:
    return body[: int(len(body) * at)]


def _flip(body: bytes, at: float) -> bytes:
    place = min(int(len(body) * at), len(body) - 1)
    return body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]


def _row_fault(change: Callable[[Lines, int], None]) -> Callable[[bytes, float], bytes]:
    def spoil(body: bytes, at: float) -> bytes:
        if body.startswith(_PARQUET_MAGIC):
            return body
        zipped = body.startswith(_GZIP_MAGIC)
        text = (gzip.decompress(body) if zipped else body).decode()
        lines = list(csv.reader(io.StringIO(text)))
        if len(lines) > 1:
            change(lines, 1 + min(int((len(lines) - 1) * at), len(lines) - 2))
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(lines)
        spoiled = written.getvalue().encode()
        return gzip.compress(spoiled, mtime=0) if zipped else spoiled

    return spoil


def _drop_field(lines: Lines, row: int) -> None:
    lines[row].pop()


def _double(lines: Lines, row: int) -> None:
    lines.insert(row, list(lines[row]))


def _move_outside(lines: Lines, row: int) -> None:
    for at, name in enumerate(lines[0]):
        if name.lower().replace(" ", "") in _TIMES:
            lines[row][at] = f"1999{lines[row][at][4:]}"


def _spell_number(lines: Lines, row: int) -> None:
    raw = (at for at, name in enumerate(lines[0]) if name.lower().endswith("raw"))
    filled = next((at for at in raw if lines[row][at]), None)
    if filled is not None:
        lines[row][filled] = "one"


FILE_FAULTS: Final[dict[str, Callable[[bytes, float], bytes]]] = {
    "cut-gzip": _cut,
    "flip-byte": _flip,
    "row-width": _row_fault(_drop_field),
    "row-twice": _row_fault(_double),
    "row-outside": _row_fault(_move_outside),
    "row-not-a-number": _row_fault(_spell_number),
}
