"""Writes measurements: the path of a record from a file or response to the output.

    open   bytes ──> a table (CSV, Parquet) or measurements (JSON); rows are read on demand
    write  fast path       table ──> lines ───────────────────────┬─> standard output
                                                                  ├─> BATCH files
           reference path  measurements ──> records ──> lines ────┘
                                                   └──> the SDK ────> standard output

The fast path is for tables whose records the SDK would write unchanged. Both give equal records.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from singer_sdk.mapper import SameRecordTransform

from tap_clarity.api.errors import BlankFileError
from tap_clarity.api.response_body import open_decompressed
from tap_clarity.measurements.csv_wide import Table
from tap_clarity.measurements.fast.record_writer import Envelope, record_lines, reference_lines
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.measurements.records import LongLayout, WideLayout
from tap_clarity.measurements.schema import wide_columns
from tap_clarity.output.batch import BatchFiles
from tap_clarity.output.line_writer import LineWriter, RecordLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk import Stream, Tap, metrics

    from tap_clarity.core.clock import Clock
    from tap_clarity.core.timestamps import Window
    from tap_clarity.measurements.fast.record_writer import Lines
    from tap_clarity.measurements.model import Expected, Measurement
    from tap_clarity.measurements.records import Layout, Record
    from tap_clarity.output.record_count import RecordCount
    from tap_clarity.settings import Settings


class OpenedMeasurements(NamedTuple):
    """A file or response whose header is validated, and whose rows are not read yet.

    Attributes:
        body: The bytes; closed when they are read.
        measurements: The rows; validated on demand.
    """

    body: BinaryIO
    measurements: Iterable[Measurement]


class MeasurementWriter:
    """Writes the measurements of one stream.

    Attributes:
        counter: The SDK's metric of written records; it counts those of the reference path itself.
    """

    counter: metrics.Counter

    def __init__(
        self, stream: Stream, tap: Tap, settings: Settings, expected: Expected, clock: Clock
    ) -> None:
        self._stream = stream
        self._tap = tap
        self._settings = settings
        self._expected = expected
        self._clock = clock

    def open(
        self, body: BinaryIO, window: Window | None = None, *, may_be_blank: bool = False
    ) -> OpenedMeasurements:
        """Open a response, or a report's file with its window; the body is closed on an error.

        Raises:
            BlankFileError: If a file is blank.
            ValueError: If it does not hold measurements.
        """
        expected = self._expected._replace(window=window, may_be_blank=may_be_blank)
        try:
            measurements = read_measurements(open_decompressed(body), expected)
        except ValueError:
            body.close()
            raise
        if window and measurements == ():
            body.close()
            raise BlankFileError("it is blank")
        return OpenedMeasurements(body, measurements)

    def write(
        self, opened: OpenedMeasurements, count: RecordCount | None = None
    ) -> Iterator[Record]:
        """Write the records in their order; a STATE that follows comes after all of them.

        The reference path to standard output yields its records: the SDK applies stream maps,
        flattening and deselection, and writes each record before it takes the next one. Otherwise
        nothing is yielded, because the lines are written here.

        Raises:
            UnreadableError: For the first row that is not what was requested; the records before it
                are written.
        """
        with opened.body:
            if isinstance(opened.measurements, Table) and self._is_unchanged_by_sdk:
                lines = record_lines(opened.measurements, self._layout, self._envelope())
            else:
                records = self._layout.records(opened.measurements)
                if not self._batch_files:
                    for record in records:
                        if count:
                            count.add_record(record)
                        yield record
                    return
                lines = reference_lines(map(self._without_deselected, records))
            for some in lines:
                if count:
                    count.add_lines(some)
                self._write_lines(some)

    def flush(self) -> None:
        """Write the BATCH file of the records that wait for more."""
        if self._batch_files:
            self._batch_files.flush()

    def _write_lines(self, lines: Lines) -> None:
        if self._batch_files:
            self._batch_files.add(lines)
        else:
            self._tap.write_message(RecordLines(lines.text))
        self.counter.increment(lines.records)

    @property
    def _is_unchanged_by_sdk(self) -> bool:
        """Whether the SDK would do nothing to a record but write it."""
        (first, *more) = self._stream.stream_maps
        return (
            isinstance(first, SameRecordTransform)
            and not more
            and not first.flattening_enabled
            and self._stream.ABORT_AT_RECORD_COUNT is None
            and all(self._is_selected(name) for name in self._stream.schema["properties"])
            and isinstance(self._tap.message_writer, LineWriter)
        )

    @cached_property
    def _layout(self) -> Layout:
        settings = self._settings
        if settings.measurement_layout == "long":
            return LongLayout(settings.org, self._expected)
        return WideLayout(settings.org, self._expected, wide_columns(settings.frequency.name))

    def _envelope(self) -> Envelope:
        if self._batch_files:
            return Envelope()
        return Envelope.of_message(self._stream.name, self._clock.now().isoformat())

    @cached_property
    def _batch_files(self) -> BatchFiles | None:
        """Where the records go with `batch_config`; None if they go to standard output."""
        config = self._stream.config.get("batch_config")
        if not config:
            return None
        properties = self._without_deselected(self._stream.schema["properties"])
        return BatchFiles(config, self._stream.name, properties, self._tap.write_message)

    def _without_deselected(self, properties: dict[str, Any]) -> dict[str, Any]:
        return {name: properties[name] for name in properties if self._is_selected(name)}

    def _is_selected(self, name: str) -> bool:
        return self._stream.mask["properties", name]
