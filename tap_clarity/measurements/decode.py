"""Reads measurements in whatever format they come: the content decides, not the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tap_clarity.measurements.csv_wide import read_csv
from tap_clarity.measurements.json_long import read_json_long
from tap_clarity.measurements.model import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_clarity.measurements.model import Expected, Measurement

PARQUET = b"PAR1"
PEEK = 64


def read_measurements(content: BinaryIO, expected: Expected) -> Iterable[Measurement]:
    """Read measurements from a seekable, unzipped reply or file; its header is read at once.

    Raises:
        UnreadableError: If it is neither CSV, JSON (of a recent reply) nor Parquet of measurements;
            on demand, for the first row that is not what was asked for.
    """
    start = content.read(PEEK)
    content.seek(0)
    if start.startswith(PARQUET):
        # pyarrow is an extra, and slow to import.
        from tap_clarity.measurements.parquet_wide import read_parquet  # noqa: PLC0415

        return read_parquet(content, expected)
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if not first:
        raise UnreadableError("it is empty")
    if first in b"{[":
        if expected.window:
            raise UnreadableError("it is JSON, which no report's file is")
        return read_json_long(content, expected)
    if first == b"<":
        raise UnreadableError("it is an HTML or XML page")
    return read_csv(content, expected)
