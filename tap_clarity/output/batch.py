"""BATCH on request: records go to the target as files, and a message names each one."""

from __future__ import annotations

import gzip
import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, SDKBatchMessage
from singer_sdk.helpers.capabilities import BATCH_CONFIG

from tap_clarity.api.errors import one_line
from tap_clarity.output.line_writer import OutputClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_clarity.measurements.fast.record_writer import Lines

MAX_RECORDS = 50_000
MAX_BYTES = 8 << 20
"""Of a file's records, as JSON: the tap and the target hold a whole file in memory."""
_NOT_IN_SCHEMA = {"batch_config": {"batch_size"}, "storage": {"params"}}
"""What the SDK reads from the setting although its schema does not list it."""


class BatchFiles:
    """Buffers the records of a stream, and writes them to files of many each."""

    def __init__(
        self,
        config: Mapping[str, Any],
        stream: str,
        properties: Mapping[str, Any],
        write_message: Callable[[SDKBatchMessage], None],
    ) -> None:
        """Keep files for a stream.

        Args:
            config: The setting `batch_config`.
            stream: Name of the stream.
            properties: The JSON schemas of the records' properties.
            write_message: Writes a message for the target.
        """
        size = config.get("batch_size") or MAX_RECORDS
        self._config = BatchConfig.from_dict({**config, "batch_size": min(size, MAX_RECORDS)})
        self._stream = stream
        self._properties = properties
        self._write_message = write_message
        self._buffer: list[bytes] = []
        self._bytes = 0
        self._records = 0

    def add(self, lines: Lines) -> None:
        """Add records, and write a file whenever a limit is reached.

        Raises:
            OutputClosed: If a file could not be written.
        """
        while lines.records > (room := self._config.batch_size - self._records):
            first, lines = lines.split(room)
            self._append(first)
            self.flush()
        self._append(lines)
        if self._bytes >= MAX_BYTES:
            self.flush()

    def _append(self, lines: Lines) -> None:
        self._buffer.append(lines.text.encode())
        self._bytes += len(self._buffer[-1])
        self._records += lines.records

    def flush(self) -> None:
        """Write a file of the buffered records, if there are any; raises as `add` does."""
        records = b"".join(self._buffer)
        self._buffer, self._bytes, self._records = [], 0, 0
        if not records:
            return
        compression = self._config.encoding.compression
        if self._config.encoding.format == "parquet":
            content = _parquet(records, self._properties, compression)
            encoding = BaseBatchFileEncoding("parquet", compression)
        else:
            content = gzip.compress(records, compresslevel=1, mtime=0)
            encoding = BaseBatchFileEncoding("jsonl", "gzip")
        url = self._store(content, "parquet" if encoding.format == "parquet" else "jsonl.gz")
        self._write_message(SDKBatchMessage(self._stream, encoding, [url]))

    def _store(self, content: bytes, suffix: str) -> str:
        storage = self._config.storage
        name = f"{storage.prefix or ''}tap-clarity--{self._stream}-{uuid4()}.{suffix}"
        try:
            with storage.open(name, "wb") as file:
                file.write(content)
            return storage.get_url(name)
        except (OSError, ImportError, ValueError) as error:
            raise OutputClosed(
                f"a batch file could not be stored: {one_line(str(error))}; "
                "check batch_config.storage"
            ) from error


def _parquet(records: bytes, properties: Mapping[str, Any], compression: str | None) -> bytes:
    # pyarrow is an extra, and slow to import.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import json, parquet  # noqa: PLC0415

    kinds = {"string": pa.string(), "number": pa.float64(), "array": pa.list_(pa.string())}
    # Arrow finds the fields of objects in the records.
    known = [
        (name, kinds[kind])
        for name, schema in properties.items()
        for kind in schema["type"]
        if kind in kinds
    ]
    out = io.BytesIO()
    try:
        table = json.read_json(
            pa.BufferReader(records),
            json.ReadOptions(use_threads=False, block_size=len(records)),
            json.ParseOptions(explicit_schema=pa.schema(known)),
            # Arrow's own pools do not return freed memory.
            memory_pool=pa.system_memory_pool(),
        )
        parquet.write_table(table, out, compression="gzip" if compression == "gzip" else "snappy")
    except pa.ArrowException as error:
        raise OutputClosed(
            f"records do not fit into Parquet: {one_line(str(error))}; "
            "set batch_config.encoding.format to jsonl"
        ) from error
    return out.getvalue()


def batch_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Describe what is wrong with a well-typed `batch_config`, or with settings beside it."""
    batch: Mapping[str, Any] | None = config.get("batch_config")
    if batch is None:
        return
    yield from _unknown_settings(batch)
    encoding, storage = batch.get("encoding") or {}, batch.get("storage") or {}
    if not encoding.get("format"):
        yield "setting batch_config needs encoding.format: parquet or jsonl"
    if not storage.get("root"):
        yield "setting batch_config needs storage.root: where to write, such as file:///tmp/batches"
    if encoding.get("format") == "jsonl" and encoding.get("compression") == "none":
        yield "setting batch_config: jsonl is always gzipped: set encoding.compression to gzip"
    if encoding.get("format") == "parquet" and not find_spec("pyarrow"):
        yield "setting batch_config: parquet needs pip install 'tap-clarity[parquet]'"
    if not isinstance(size := batch.get("batch_size", 1), int) or size < 1:
        yield "setting batch_config: batch_size must be a whole number above 0"
    for other in ("stream_maps", "flattening_enabled"):
        if config.get(other):
            yield f"setting {other} does not work with batch_config: leave out one of them"


def _unknown_settings(batch: Mapping[str, Any]) -> Iterator[str]:
    schema = BATCH_CONFIG["properties"]["batch_config"]
    parts = {"batch_config": (schema, batch)}
    parts |= {
        name: (schema["properties"][name], batch[name])
        for name in ("encoding", "storage")
        if batch.get(name)
    }
    for part, (known, given) in parts.items():
        allowed = set(known["properties"]) | _NOT_IN_SCHEMA.get(part, set())
        for name in sorted(set(given) - allowed):
            where = "" if part == "batch_config" else f"{part}."
            yield f"setting batch_config: {where}{one_line(name)} is unknown"
