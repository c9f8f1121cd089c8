"""Corruption of files that are sent whole: damaged bytes and rows, blank or partial files."""

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
_TIME_COLUMNS: Final = {"time", "startofperiod", "endofperiod"}


def corrupt_file(response: Response, kind: str, at: float) -> Response:
    """Corrupt the bytes of a file or one of its rows; its Content-Length is right."""
    return _replaced(response, FILE_CORRUPTIONS[kind](response.whole_body(), at))


def blank_file(response: Response, text: str) -> Response:
    """Replace a file by a text, gzipped where its Content-Encoding says so."""
    body = text.encode()
    zipped = response.headers.get("Content-Encoding") == "gzip"
    return _replaced(response, gzip.compress(body, mtime=0) if zipped else body)


def first_lines(body: bytes, at: float) -> bytes:
    """Truncate a text after the last whole line of its first part."""
    zipped = body.startswith(_GZIP_MAGIC)
    text = gzip.decompress(body) if zipped else body
    part = text[: int(len(text) * at)]
    part = part[: part.rfind(b"\n") + 1] or part
    return gzip.compress(part, mtime=0) if zipped else part


def _replaced(response: Response, body: bytes) -> Response:
    headers = {**response.headers, "Content-Length": str(len(body))}
    return replace(response, body=body, headers=headers)


def _truncated(body: bytes, at: float) -> bytes:
    return body[: int(len(body) * at)]


def _with_flipped_byte(body: bytes, at: float) -> bytes:
    place = min(int(len(body) * at), len(body) - 1)
    return body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]


def _row_corruption(change: Callable[[Lines, int], None]) -> Callable[[bytes, float], bytes]:
    def corrupt(body: bytes, at: float) -> bytes:
        if body.startswith(_PARQUET_MAGIC):
            return body
        zipped = body.startswith(_GZIP_MAGIC)
        text = (gzip.decompress(body) if zipped else body).decode()
        lines = list(csv.reader(io.StringIO(text)))
        if len(lines) > 1:
            change(lines, 1 + min(int((len(lines) - 1) * at), len(lines) - 2))
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(lines)
        corrupted = written.getvalue().encode()
        return gzip.compress(corrupted, mtime=0) if zipped else corrupted

    return corrupt


def _drop_field(lines: Lines, row: int) -> None:
    lines[row].pop()


def _duplicate(lines: Lines, row: int) -> None:
    lines.insert(row, list(lines[row]))


def _move_outside(lines: Lines, row: int) -> None:
    for column, name in enumerate(lines[0]):
        if name.lower().replace(" ", "") in _TIME_COLUMNS:
            lines[row][column] = f"1999{lines[row][column][4:]}"


def _replace_number(lines: Lines, row: int) -> None:
    raw = (at for at, name in enumerate(lines[0]) if name.lower().endswith("raw"))
    filled = next((column for column in raw if lines[row][column]), None)
    if filled is not None:
        lines[row][filled] = "one"


FILE_CORRUPTIONS: Final[dict[str, Callable[[bytes, float], bytes]]] = {
    "cut-gzip": _truncated,
    "flip-byte": _with_flipped_byte,
    "row-width": _row_corruption(_drop_field),
    "row-twice": _row_corruption(_duplicate),
    "row-outside": _row_corruption(_move_outside),
    "row-not-a-number": _row_corruption(_replace_number),
}
