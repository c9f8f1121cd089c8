"""The wide Parquet of reports: the same table as the CSV, with typed cells."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO

from tap_clarity.measurements.csv_wide import Header, Table
from tap_clarity.measurements.model import UnreadableError, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.measurements.model import Expected

ROWS_AT_ONCE = 1000
MOST_PARTS = 100_000
"""Columns, and columns of all row groups, that a footer may name: each costs memory at once."""


def read_parquet(content: BinaryIO, expected: Expected) -> Table:
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
        file = parquet.ParquetFile(
            content, thrift_container_size_limit=MOST_PARTS, page_checksum_verification=True
        )
        names = file.schema_arrow.names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableError("the Parquet file is cut or damaged") from error
    return Table(Header(names, expected), _text_rows(file), expected)


def _text_rows(file: Any) -> Iterator[list[str]]:  # noqa: ANN401
    for cells in _rows(file):
        yield [_text(cell) for cell in cells]


def _rows(file: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    import pyarrow as pa  # noqa: PLC0415

    try:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    except (pa.ArrowException, OSError, LookupError) as error:
        raise UnreadableError("the Parquet file is cut or damaged") from error


def _text(cell: Any) -> str:  # noqa: ANN401
    match cell:
        case None:
            return ""
        case str():
            return read_text(cell)
        case bytes():  # text, too, where the writer did not say so
            return read_text(cell.decode())
        case date():  # or datetime; without a zone it is UTC, as everywhere with Clarity
            return cell.isoformat()
        case list() | dict():
            return json.dumps(cell, default=str)
    return str(cell)
