"""What the measurement streams have in common."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from singer_sdk import metrics
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_clarity.measurements.model import Expected
from tap_clarity.measurements.schema import measurement_keys, measurement_schema
from tap_clarity.output.measurement_writer import MeasurementWriter
from tap_clarity.planning.bookmarks import RecentBookmark, ReportBookmark
from tap_clarity.planning.report_ledger import ReportLedger, read_usage
from tap_clarity.streams.base import ClarityStream

if TYPE_CHECKING:
    from singer_sdk import Tap
    from singer_sdk.singerlib import Catalog

    from tap_clarity.planning.state_values import State
    from tap_clarity.settings import Settings
    from tap_clarity.streams.context import RunContext
    from tap_clarity.streams.report_journal import ReportJournal

B = TypeVar("B", RecentBookmark, ReportBookmark)


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
    """Measurements, long or wide; each stream resumes from its own state."""

    # The decoder builds each record from a fixed list of fields, typed already.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    id_field: str = "datasource_id"
    report: str
    """Name of the report that it requests."""

    def __init__(self, tap: Tap, run: RunContext) -> None:
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

    @cached_property
    def writer(self) -> MeasurementWriter:
        """Writes the stream's records."""
        settings = self.run.settings
        expected = Expected(self.id_field, settings.frequency)
        return MeasurementWriter(self, self._tap, settings, expected, self.run.clock)

    def get_record_counter(
        self, *, endpoint: str | None = None, log_interval: float = metrics.DEFAULT_LOG_INTERVAL
    ) -> metrics.Counter:
        self.writer.counter = super().get_record_counter(
            endpoint=endpoint, log_interval=log_interval
        )
        return self.writer.counter

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
