"""What the measurement streams have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_clarity.api.bodies import unzipped
from tap_clarity.measurements.decode import read_measurements
from tap_clarity.measurements.model import Expected
from tap_clarity.measurements.records import long_records, wide_records
from tap_clarity.measurements.schema import measurement_keys, measurement_schema, wide_columns
from tap_clarity.streams.base import ClarityStream, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import Tap
    from singer_sdk.singerlib import Catalog

    from tap_clarity.instants import Window
    from tap_clarity.measurements.model import Measurement
    from tap_clarity.planning.bookmarks import State
    from tap_clarity.settings import Settings
    from tap_clarity.streams.run import Run


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


def datasource_choice(ids: tuple[str, ...] | None) -> dict[str, Any]:
    """Give the part of a request that says which datasources."""
    return {"allDatasources": True} if ids is None else {"datasourceIds": list(ids)}


class MeasurementStream(ClarityStream):
    """Measurements, long or wide; where it goes on is its own matter, in its own state."""

    # The decoder builds each record from a fixed list of fields, typed already.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    id_field: ClassVar[str] = "datasource_id"

    def __init__(self, tap: Tap, run: Run) -> None:
        layout, frequency = run.settings.measurement_layout, run.settings.frequency.name
        self._own_schema = measurement_schema(self.id_field, layout, frequency)
        super().__init__(tap, run)
        self.primary_keys = measurement_keys(self.id_field, layout)

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

    @property
    def expected(self) -> Expected:
        """What a reply has to keep to, whenever its times are."""
        return Expected(self.id_field, self.run.settings.frequency)

    def open_measurements(
        self, body: BinaryIO, window: Window | None = None
    ) -> Iterator[Measurement]:
        """Open a reply or file; raises ValueError if it is not one of measurements."""
        expected = Expected(self.id_field, self.run.settings.frequency, window)
        try:
            return _closing(body, read_measurements(unzipped(body), expected))
        except ValueError:
            body.close()
            raise

    def to_records(self, measurements: Iterator[Measurement]) -> Iterator[Record]:
        """Write measurements as records of the layout that was asked for."""
        settings = self.run.settings
        if settings.measurement_layout == "long":
            return long_records(measurements, settings.org, self.expected)
        columns = wide_columns(settings.frequency.name)
        return wide_records(measurements, settings.org, self.expected, columns)

    def save(self, state: State) -> None:
        """Replace the stream's state, in one step, and write it out."""
        self.stream_state.update(state)
        self.run.emit_state()


def _closing(body: BinaryIO, measurements: Iterator[Measurement]) -> Iterator[Measurement]:
    with body:
        yield from measurements
