"""Expected data: every record that a correct client can have read by a given time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.core.timestamps import to_datetime, to_millis
from tap_clarity.sandbox.testing.expected_records import Measurement, snake_case
from tap_clarity.sandbox.world import datasources, devices
from tap_clarity.sandbox.world.measurements import Cell, cells
from tap_clarity.sandbox.world.metrics import displayed_name
from tap_clarity.sandbox.world.row_positions import position
from tap_clarity.sandbox.world.world import Window, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.rows import Row

RESOURCES: Final[dict[str, Callable[[World, int], list[dict[str, Any]]]]] = {
    "datasources": datasources.datasource_list,
    "datasource_details": datasources.all_details,
    "subscriptions": datasources.subscriptions,
    "nodes": devices.nodes,
    "node_status_summaries": devices.status_summaries,
    "node_statuses": devices.all_statuses,
    "node_alarms": devices.all_alarms,
    "accessory_modules": devices.accessory_modules,
}


@dataclass(frozen=True, slots=True)
class ExpectedData:
    """The expected data of a world."""

    world: World

    def measurements(
        self,
        frequency: Frequency,
        start: datetime | str,
        end: datetime | str,
        as_of: datetime | str,
        datasource_ids: Iterable[str] | None = None,
    ) -> Iterator[Measurement]:
        """Generate every measurement of [start, end) that the org can have read by `as_of`."""
        known_at = to_millis(as_of)
        datasources = self.world.visible(known_at)
        if datasource_ids is not None:
            ids = frozenset(datasource_ids)
            datasources = [each for each in datasources if each.datasource_id in ids]
        window = Window(frequency, to_millis(start), to_millis(end))
        yield from self._arrived(self.world.rows(datasources, window), known_at)

    def measurements_of_sources(
        self,
        frequency: Frequency,
        start: datetime | str,
        end: datetime | str,
        as_of: datetime | str,
        source_ids: Iterable[str],
    ) -> Iterator[Measurement]:
        """Generate the measurements of some nodes or reference sites, by time and source."""
        known_at, ids = to_millis(as_of), frozenset(source_ids)
        window = Window(frequency, to_millis(start), to_millis(end))
        rows = self.world.rows(self.world.visible(known_at), window, by_source=True)
        yield from self._arrived((row for row in rows if row.source_id in ids), known_at)

    def records(self, resource: str, as_of: datetime | str) -> Iterator[dict[str, Any]]:
        """Generate the records of a resource other than measurements, such as `datasources`."""
        for record in RESOURCES[resource](self.world, to_millis(as_of)):
            yield {"org": self.world.org, **snake_case(record)}

    def node_ids(self, as_of: datetime | str) -> list[str]:
        """List the org's own nodes, measuring or not."""
        return devices.node_ids(self.world, to_millis(as_of))

    def reference_site_ids(self, as_of: datetime | str) -> list[str]:
        return self.world.reference_site_ids(to_millis(as_of))

    def measurement(self, row: Row, cell: Cell) -> Measurement:
        """Convert a cell of a row."""
        datasource, quirks = row.datasource, self.world.quirks
        end = row.period_end
        latitude, longitude = position(row, quirks)
        return Measurement(
            org=self.world.org,
            datasource_id=datasource.datasource_id,
            source_id=row.source_id,
            source_type=datasource.source_type,
            output_frequency=row.frequency,
            metric=displayed_name(cell.metric.name, quirks),
            time=to_datetime(row.time),
            period_end=None if end is None else to_datetime(end),
            raw=cell.raw,
            value=cell.value,
            status=cell.status,
            qc_assessment=cell.assessment,
            qc_flags=cell.flags,
            latitude=latitude,
            longitude=longitude,
        )

    def _arrived(self, rows: Iterable[Row], known_at: int) -> Iterator[Measurement]:
        for row in rows:
            if row.arrival <= known_at:
                yield from (self.measurement(row, cell) for cell in cells(row, known_at))
