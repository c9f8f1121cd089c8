"""The wide Parquet of reports: the same table as the CSV, with typed cells."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from tap_clarity.core.timestamps import EPOCH
from tap_clarity.measurements.csv_wide import Header, Table
from tap_clarity.measurements.model import UnreadableError, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.measurements.model import Expected

BATCH_ROWS = 1000
MAX_FOOTER_ENTRIES = 100_000
"""Columns, and columns of all row groups, in a footer: each costs memory before any row is read."""
MILLISECONDS = range(
    *(int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (2014, 2101))
)
"""Of the years 2014 to 2100; in seconds or microseconds, these would be other years."""


def read_parquet(content: BinaryIO, expected: Expected) -> Table | tuple[()]:
    """Read measurements from Parquet; the footer is read at once, the rows on demand.

    The types of Clarity's Parquet are not documented, so each cell is read as CSV's text is.

    Returns:
        A table; nothing if a file without rows lacks columns, and the content may be blank.

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
            content, thrift_container_size_limit=MAX_FOOTER_ENTRIES, page_checksum_verification=True
        )
        names = file.schema_arrow.names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableError("the Parquet file is cut or damaged") from error
    try:
        header = Header(names, expected)
    except UnreadableError:
        if expected.may_be_blank and not file.metadata.num_rows:
            return ()
        raise
    return Table(header, _rows(file, header), expected)


def _rows(file: Any, header: Header) -> Iterator[list[str]]:  # noqa: ANN401
    """Give the rows as text; those of a batch are held at once."""
    times = header.positions("time", "period_end")
    texts = [_time_text if each in times else _text for each in range(header.width)]
    for batch in _batches(file):
        for cells in zip(*batch, strict=True):
            yield [text(cell) for text, cell in zip(texts, cells, strict=True)]


def _batches(file: Any) -> Iterator[list[list[Any]]]:  # noqa: ANN401
    import pyarrow as pa  # noqa: PLC0415

    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield [_exact_column(column).to_pylist() for column in batch.columns]
    except (pa.ArrowException, OSError, LookupError) as error:
        raise UnreadableError("the Parquet file is cut or damaged") from error


def _exact_column(column: Any) -> Any:  # noqa: ANN401
    """Convert what Python would hold otherwise: to it, the float 2.1 is 2.0999999046325684."""
    from pyarrow import string, timestamp, types  # noqa: PLC0415

    if types.is_float32(column.type):
        return column.cast(string())
    if types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(timestamp("us", column.type.tz), safe=False)
    return column


def _time_text(cell: Any) -> str:  # noqa: ANN401
    """Convert a cell of a time; a number is epoch milliseconds.

    Raises:
        UnreadableError: If a number is in another unit, which would be another time.
    """
    if isinstance(cell, float) and cell.is_integer():  # as integers are where some are missing
        cell = int(cell)
    if isinstance(cell, bool) or not isinstance(cell, int):
        return _text(cell)
    if cell not in MILLISECONDS:
        raise UnreadableError("a time that is a number, but not epoch milliseconds of 2014 to 2100")
    return (EPOCH + timedelta(milliseconds=cell)).isoformat()


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
