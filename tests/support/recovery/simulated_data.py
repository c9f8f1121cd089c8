"""The data of a simulation: each row once, each value as of any time."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING, Literal

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.core.timestamps import to_millis
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.rows import entered_cache
from tap_clarity.sandbox.world.world import Window
from tests.support.constants import NOW
from tests.support.tap_process import expected_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_clarity.sandbox.world.rows import Row
    from tests.support.tap_process import Key, Record

Frequency = Literal["minute", "hour", "day"]

METRIC: dict[Frequency, str] = {
    "minute": "pm2_5ConcMassIndividual",
    "hour": "pm2_5ConcMass1HourMean",
    "day": "pm2_5ConcMass24HourMean",
}
SLOW = 2
"""The datasource with the fewest samples."""
COLUMN: dict[str, str] = {
    "pm2_5ConcMassIndividual": "pm2_5_conc_mass_individual",
    "pm2_5ConcMass1HourMean": "pm2_5_conc_mass_1_hour_mean",
    "pm2_5ConcMass24HourMean": "pm2_5_conc_mass_24_hour_mean",
}
COMMON = frozenset(
    ("org", "source_type", "output_frequency", "time", "period_end", "latitude", "longitude")
)
ATTRIBUTES = ("raw", "value", "status", "qc_assessment", "qc_flags")


def create_sandbox(report_seconds: float = 20) -> Sandbox:
    """A city of three datasources: a node that is replaced, a reference site, a slow node."""
    return Sandbox(seed=1, datasources=3, now=NOW, frozen=True, report_seconds=report_seconds)


@cache
def all_rows(frequency: Frequency, start: str, end: str) -> tuple[Row, ...]:
    """Give all rows of the city in a time range that have the metric, by time.

    Of samples, those of one slow node are many enough.
    """
    sandbox = create_sandbox()
    window = Window(frequency, to_millis(start), to_millis(end))
    metric = {METRIC[frequency]}
    datasources = sandbox.world.datasources
    chosen = datasources if frequency != "minute" else [e for e in datasources if e.index == SLOW]
    found = sandbox.world.rows(chosen, window)
    return tuple(row for row in found if any(cells(row, row.arrival, metric)))


class ExpectedData:
    """The rows that a stream's target has to hold.

    Attributes:
        rows: All rows of the simulation, by time.
    """

    def __init__(
        self, sandbox: Sandbox, rows: Sequence[Row], ids: Sequence[str], id_field: str
    ) -> None:
        self._sandbox = sandbox
        self._id_field = id_field
        wanted = frozenset(ids)
        self.rows = [row for row in rows if self.id_of(row) in wanted]
        self._times = [row.time for row in self.rows]
        self._by_place = {(self.id_of(row), row.time): row for row in self.rows}

    def id_of(self, row: Row) -> str:
        return row.datasource.datasource_id if self._id_field == "datasource_id" else row.source_id

    def within(self, start: int, end: int) -> list[Row]:
        """Give the rows of a time range."""
        return self.rows[bisect_left(self._times, start) : bisect_left(self._times, end)]

    def find(self, key: Key) -> Row | None:
        """Find the row of a record."""
        return self._by_place.get((key[1], to_millis(key[4])))

    def record(self, row: Row, as_of: int) -> tuple[Key, Record]:
        """Give the record of a row as it stands at a time."""
        (cell,) = cells(row, as_of, {METRIC[row.frequency]})
        found = expected_records([self._sandbox.expected.measurement(row, cell)], self._id_field)
        ((key, record),) = found.items()
        return key, record

    def key(self, row: Row) -> Key:
        return self.record(row, row.arrival)[0]


def by_arrival(rows: Sequence[Row]) -> list[Row]:
    """Give the rows that the recent cache holds at some time, in the order of their arrival."""
    return sorted(filter(entered_cache, rows), key=lambda row: row.arrival)


def long_record(record: Record, metric: str) -> Record | None:
    """Give the long record of a metric of a wide one; None if it does not hold the metric."""
    column = COLUMN[metric]
    values = {name: record.get(f"{column}_{name}") for name in ATTRIBUTES}
    if all(values[name] is None for name in ("raw", "value", "status")):
        return None
    common = {name: record[name] for name in record if name in COMMON or name.endswith("_id")}
    return common | values | {"metric": metric}
