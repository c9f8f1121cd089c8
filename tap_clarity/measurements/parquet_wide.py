"""The wide Parquet of reports: the same table as the CSV, with typed cells."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from tap_clarity.instants import format_instant
from tap_clarity.measurements.csv_wide import Header, read_rows
from tap_clarity.measurements.model import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.measurements.model import Expected, Measurement

ROWS_AT_ONCE = 1000


def read_parquet(content: BinaryIO, expected: Expected) -> Iterator[Measurement]:
    """Read measurements from Parquet; the footer is read at once, the rows on demand.

    The types of Clarity's Parquet are not documented, so each cell goes the way of CSV's text.

    Raises:
        UnreadableError: As for CSV, and if the extra `parquet` is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise UnreadableError(
            "it is Parquet: install tap-clarity[parquet], or set report_file_format to csv"
        ) from None
    try:
        file = parquet.ParquetFile(content)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError("the Parquet file is cut or damaged") from error
    header = Header(file.schema_arrow.names, expected)
    return read_rows(_text_rows(file), header, expected)


def _text_rows(file: Any) -> Iterator[list[str]]:  # noqa: ANN401
    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield [_text(cell) for cell in row]


def _text(cell: Any) -> str:  # noqa: ANN401
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, datetime):
        # A time without a zone is UTC, as everywhere with Clarity.
        return cell.isoformat() if cell.tzinfo is None else format_instant(cell)
    return json.dumps(cell) if isinstance(cell, list) else repr(cell)
