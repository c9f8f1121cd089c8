"""Detects the format of measurements by their content, not by what was requested."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from tap_clarity.measurements.csv_wide import read_csv
from tap_clarity.measurements.json_long import read_json_long
from tap_clarity.measurements.model import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_clarity.measurements.model import Expected, Measurement

PARQUET = b"PAR1"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CHUNK = 1 << 16


def read_measurements(content: BinaryIO, expected: Expected) -> Iterable[Measurement]:
    """Read measurements from a seekable, decompressed body; its header is read at once.

    With `may_be_blank`, content without a header or a list is empty: no bytes, white space, `""`, a
    header without the columns that rows would need, and in responses without a window `[]`, `{}`
    and `{"data": null}`.

    Raises:
        UnreadableError: If it is neither CSV, JSON (of recent data) nor Parquet of measurements;
            on demand, for the first row that is not what was requested.
    """
    start = _first_bytes(content)
    is_blank = expected.may_be_blank and _is_blank(start, content, expected)
    content.seek(0)
    if is_blank:
        return ()
    if start.startswith(PARQUET):
        # pyarrow is an extra, and slow to import.
        from tap_clarity.measurements.parquet_wide import read_parquet  # noqa: PLC0415

        return read_parquet(content, expected)
    first = start[:1]
    if not first:
        raise UnreadableError("it is empty")
    if first in b"{[":
        if expected.window:
            raise UnreadableError("it is JSON, which no report's file is")
        return read_json_long(content, expected)
    if first == b"<":
        raise UnreadableError("it is an HTML or XML page")
    return read_csv(content, expected)


def _first_bytes(content: BinaryIO) -> bytes:
    """Read to the first bytes that are not white space, and return some of them."""
    start = content.read(CHUNK).removeprefix(BYTE_ORDER_MARK).lstrip()
    while not start and (chunk := content.read(CHUNK)):
        start = chunk.lstrip()
    return start


def _is_blank(start: bytes, rest: BinaryIO, expected: Expected) -> bool:
    """Whether content is nothing but white space, empty quotes or, without a window, `[]`."""
    compact = b"".join(start.split())
    empty = {b"", b'""'} if expected.window else {b"", b'""', b"[]"}
    return compact in empty and not any(
        chunk.strip() for chunk in iter(partial(rest.read, CHUNK), b"")
    )
