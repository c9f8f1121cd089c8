"""Report files on disk: writes gzipped CSV or Parquet as a stream, and serves it."""

from __future__ import annotations

import gzip
import importlib.util
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

from tap_clarity.sandbox.api import csv_wide
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.http.http_types import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tap_clarity.sandbox.api.csv_wide import Line, Table
    from tap_clarity.sandbox.behavior.quirks import Quirks

Gzip = Literal["declared", "bare", "none"]

PARQUET_MISSING: Final = (
    "this sandbox writes Parquet only where pyarrow is installed: "
    "pip install 'tap-clarity[parquet]', or ask for csv"
)
_PART_BYTES: Final = 1 << 16
_ROW_GROUP_LINES: Final = 5_000


def can_write_parquet() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def write_csv(path: Path, parts: Iterable[bytes], *, zipped: bool) -> None:
    with path.open("wb") as file:
        if not zipped:
            file.writelines(parts)
            return
        # Without name and time inside, the same report has the same bytes.
        with gzip.GzipFile("", "wb", compresslevel=3, fileobj=file, mtime=0) as compressed:
            for part in parts:
                compressed.write(part)


def blank_file(form: str, first_column: str) -> bytes:
    """Return the content of a file that has no measurements and no proper header."""
    texts = {"nothing": "", "newline": "\n", "quotes": '""', "id-column": first_column}
    return texts[form].encode()


def write_parquet(path: Path, table: Table, lines: Iterable[Line]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - needed only for Parquet
    import pyarrow.parquet as pq  # noqa: PLC0415

    quirks = table.query.quirks
    attributes = table.query.attributes() * len(table.columns)
    kinds = [_arrow_type(pa, name, quirks) for name in (*table.id_columns(), *attributes)]
    schema = pa.schema(list(zip(table.header(), kinds, strict=True)))
    missing = float("nan") if Unknown.PARQUET_NAN in quirks else None
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(lines):
            values = zip(*group, strict=True) if group else ([] for _ in kinds)
            arrays = [
                pa.array(_filled(each, missing) if pa.types.is_floating(kind) else each, kind)
                for each, kind in zip(map(list, values), kinds, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _filled(values: list[object], missing: float | None) -> list[object]:
    return [missing if each is None else each for each in values]


def _arrow_type(pa: Any, name: str, quirks: Quirks) -> Any:  # noqa: ANN401 - pyarrow ships no types
    if name in csv_wide.TIME_COLUMNS:
        as_integer = Unknown.PARQUET_EPOCH_MILLISECONDS in quirks
        return pa.int64() if as_integer else pa.timestamp("ms", tz="UTC")
    if name in csv_wide.LOCATION_COLUMNS:
        return pa.float64()
    if name in {"raw", "value"}:
        return pa.float32() if Unknown.PARQUET_FLOAT32 in quirks else pa.float64()
    is_encoded = Unknown.PARQUET_DICTIONARY in quirks
    return pa.dictionary(pa.int32(), pa.string()) if is_encoded else pa.string()


def _groups(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Group lines into row groups; no lines make one empty group."""
    group: list[Line] = []
    for line in lines:
        group.append(line)
        if len(group) == _ROW_GROUP_LINES:
            yield group
            group = []
    yield group


def file_response(path: Path, gzip_as: Gzip, *, is_parquet: bool) -> Response:
    headers = {"Content-Type": "text/csv", "Content-Length": str(path.stat().st_size)}
    if is_parquet and path.suffix == ".parquet":
        headers["Content-Type"] = "application/octet-stream"
    elif not is_parquet and gzip_as == "declared":
        headers["Content-Encoding"] = "gzip"
    return Response(HTTPStatus.OK, _parts(path), headers)


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_PART_BYTES):
            yield part
