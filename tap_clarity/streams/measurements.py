"""What the measurement streams have in common."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from singer_sdk import metrics
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform

from tap_clarity.api.errors import BlankFileError
from tap_clarity.api.response_body import unzipped
from tap_clarity.measurements.csv_wide import Table
from tap_clarity.measurements.fast.record_writer import (
    Envelope,
    Lines,
    lines_slowly,
    record_lines,
    record_message,
)
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.measurements.model import Expected
from tap_clarity.measurements.records import LongLayout, WideLayout
from tap_clarity.measurements.schema import measurement_keys, measurement_schema, wide_columns
from tap_clarity.output.batch import BatchFiles
from tap_clarity.output.line_writer import LineWriter, RecordLines
from tap_clarity.planning.bookmarks import RecentBookmark, ReportBookmark
from tap_clarity.planning.report_ledger import ReportLedger, read_usage
from tap_clarity.streams.base import ClarityStream, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_sdk import Tap
    from singer_sdk.singerlib import Catalog

    from tap_clarity.core.timestamps import Window
    from tap_clarity.measurements.records import Layout
    from tap_clarity.planning.state_values import State
    from tap_clarity.settings import Settings
    from tap_clarity.streams.context import Run
    from tap_clarity.streams.report_journal import ReportJournal

B = TypeVar("B", RecentBookmark, ReportBookmark)
Piece = Record | Lines
"""Records, one by one or written out already."""


def measurement_query(settings: Settings) -> dict[str, Any]:
    """Give the part of a request that is common to recent queries and reports."""
    query: dict[str, Any] = {
        "org": settings.org,
        "outputFrequency": settings.frequency.name,
        "qcAssessment": settings.qc_assessment,
        "qcFlags": settings.qc_flags,
    }
    if settings.metric_select is not None:
        query["metricSelect"] = settings.metric_select
    return query


class MeasurementStream(ClarityStream):
    """Measurements, long or wide; where it goes on is its own matter, in its own state."""

    # The decoder builds each record from a fixed list of fields, typed already.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    id_field: str = "datasource_id"
    report: str
    """Name of the report that it requests."""

    def __init__(self, tap: Tap, run: Run) -> None:
        layout, frequency = run.settings.measurement_layout, run.settings.frequency.name
        self._own_schema = measurement_schema(self.id_field, layout, frequency)
        super().__init__(tap, run)
        self.primary_keys = measurement_keys(self.id_field, layout)

    @property
    @abstractmethod
    def journal(self) -> ReportJournal[Any]:
        """The owner of the stream's bookmark, and the journal of its report jobs."""

    @property
    def schema(self) -> dict[str, Any]:
        return self._own_schema

    @property
    def replication_method(self) -> str:
        """LOG_BASED: no replication key, and never a full table whose missing rows are deleted."""
        return "LOG_BASED"

    def apply_catalog(self, catalog: Catalog) -> None:
        entry = catalog.get_stream(self.name)
        if entry and entry.schema.properties:
            made_for = "long" if "metric" in entry.schema.properties else "wide"
            layout = self.run.settings.measurement_layout
            if made_for != layout:
                message = (
                    f"the catalog was made for measurement_layout {made_for}, not {layout}: "
                    "discover it anew (Meltano: --refresh-catalog)"
                )
                raise ConfigValidationError(message, errors=[message], schema={})
        super().apply_catalog(catalog)

    def open_measurements(
        self, body: BinaryIO, window: Window | None = None, *, may_be_blank: bool = False
    ) -> Iterator[Piece]:
        """Open a reply or file.

        Raises:
            ValueError: If it is not one of measurements; on demand, for the first row that is not
                what was asked for.
        """
        expected = Expected(self.id_field, self.run.settings.frequency, window, may_be_blank)
        try:
            measurements = read_measurements(unzipped(body), expected)
        except ValueError:
            body.close()
            raise
        if window and measurements == ():
            body.close()
            raise BlankFileError("it is blank")
        if isinstance(measurements, Table) and self._may_write_lines:
            return _closing(body, record_lines(measurements, self._envelope()))
        records = self._layout.records(measurements)
        if self._batches:
            return _closing(body, lines_slowly(map(self._selected_part, records)))
        return _closing(body, records)

    def emit(self, pieces: Iterable[Piece]) -> Iterator[Record]:
        """Write what is lines already, to the last one, and hand the records to the SDK."""
        try:
            for piece in pieces:
                if isinstance(piece, Lines):
                    self._write(piece)
                else:
                    yield piece
        finally:
            if self._batches:
                self._batches.finish()

    def _write(self, lines: Lines) -> None:
        if self._batches:
            self._batches.add(lines)
        else:
            self._tap.write_message(RecordLines(lines.text))
        self._counter.increment(lines.records)

    def get_record_counter(
        self, *, endpoint: str | None = None, log_interval: float = metrics.DEFAULT_LOG_INTERVAL
    ) -> metrics.Counter:
        self._counter = super().get_record_counter(endpoint=endpoint, log_interval=log_interval)
        return self._counter

    @cached_property
    def _layout(self) -> Layout:
        settings = self.run.settings
        expected = Expected(self.id_field, settings.frequency)
        if settings.measurement_layout == "long":
            return LongLayout(settings.org, expected)
        return WideLayout(settings.org, expected, wide_columns(settings.frequency.name))

    def _envelope(self) -> Envelope:
        time_extracted = self.run.clock.now().isoformat()
        bare = ("", "\n")  # a file holds nothing but records
        start, end = bare if self._batches else record_message(self.name, time_extracted)
        return Envelope(start, end, self._layout)

    @cached_property
    def _batches(self) -> BatchFiles | None:
        """Where the records go with `batch_config`; None if they go to standard output."""
        config = self.config.get("batch_config")
        if not config:
            return None
        properties = self._selected_part(self.schema["properties"])
        return BatchFiles(config, self.name, properties, self._tap.write_message)

    def _selected_part(self, of_all: dict[str, Any]) -> dict[str, Any]:
        return {name: of_all[name] for name in of_all if self.mask["properties", name]}

    @property
    def _may_write_lines(self) -> bool:
        """Whether the SDK's own path would do nothing to a record but write it."""
        (first, *more) = self.stream_maps
        return (
            isinstance(first, SameRecordTransform)
            and not more
            and not first.flattening_enabled
            and self.ABORT_AT_RECORD_COUNT is None
            and all(self.mask["properties", name] for name in self.schema["properties"])
            and isinstance(self._tap.message_writer, LineWriter)
        )

    def read_bookmark(self, kind: type[B]) -> B:
        """Read what the last run has left; of an unusable state, only the count of requests."""
        try:
            return kind.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "State of %s is unusable: %s; starting without state", self.name, error
            )
            return kind(ledger=ReportLedger(usage=read_usage(self.stream_state)))

    def save(self, state: State) -> None:
        """Replace the stream's state, in one step, and write it out."""
        self.stream_state.update(state)
        self.run.emit_state()


def _closing(body: BinaryIO, pieces: Iterable[Piece]) -> Iterator[Piece]:
    with body:
        yield from pieces
