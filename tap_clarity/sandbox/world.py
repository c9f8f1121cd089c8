"""The world behind the emulated API, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import instants, metadata, network
from tap_clarity.sandbox.air import CYCLE
from tap_clarity.sandbox.instants import DAY, HOUR, instant
from tap_clarity.sandbox.measure import PERIODS, Cell, Row, cells, rows
from tap_clarity.sandbox.mixing import blend
from tap_clarity.sandbox.plain import snake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_clarity.sandbox.metrics import Frequency
    from tap_clarity.sandbox.network import Datasource

_FIRST_ANCHOR: Final = instant("2023-06-26")
_SLICES: Final[dict[Frequency, int]] = {"minute": HOUR, "hour": HOUR, "day": DAY}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement in plain words, as the truth tells it."""

    org: str
    datasource_id: str
    source_id: str
    source_type: str
    output_frequency: str
    metric: str
    time: datetime
    period_end: datetime | None
    raw: float | None
    value: float | None
    status: str
    qc_assessment: str
    qc_flags: tuple[str, ...]
    latitude: float
    longitude: float


def anchor_for(start: int) -> int:
    """Choose the day on which a world's special days begin.

    It lies 2 to 30 days before the start and moves only every four weeks, so that a thirty-day
    load shows them all, and a sandbox started again tomorrow tells the same history.
    """
    settled = start - 2 * DAY
    return settled - (settled - _FIRST_ANCHOR) % CYCLE


@dataclass(frozen=True)
class World:
    """Everything that is so, whether or not anybody asks: a function of these four values."""

    seed: int
    size: int
    anchor: int
    org: str

    @cached_property
    def datasources(self) -> tuple[Datasource, ...]:
        """All datasources by id, whoever may see them by now."""
        built = (network.build(self.seed, index, self.anchor) for index in range(self.size))
        return tuple(sorted(built, key=attrgetter("datasource_id")))

    @cached_property
    def _by_id(self) -> dict[str, Datasource]:
        return {each.datasource_id: each for each in self.datasources}

    @cached_property
    def signing_key(self) -> bytes:
        """The secret behind tokens and links; the same after a restart."""
        return blend(self.seed, 0x5EC2E7).to_bytes(8, "big")

    def visible(self, as_of: int) -> list[Datasource]:
        """List what the org may see, past subscriptions included."""
        return [each for each in self.datasources if each.known_at(as_of)]

    def find(self, datasource_id: str, as_of: int) -> Datasource | None:
        found = self._by_id.get(datasource_id)
        return found if found and found.known_at(as_of) else None

    def rows(
        self,
        datasources: Sequence[Datasource],
        frequency: Frequency,
        start: int,
        end: int,
        *,
        newest_first: bool = False,
    ) -> Iterator[Row]:
        """Give the rows of [start, end) by time and then datasource, arrived or not."""
        for low, high in _slices(start, end, _SLICES[frequency], newest_first=newest_first):
            batch = chain.from_iterable(rows(each, frequency, low, high) for each in datasources)
            yield from batch if PERIODS[frequency] else _by_time(batch, newest_first=newest_first)

    def truth(
        self,
        frequency: Frequency,
        start: datetime | str,
        end: datetime | str,
        as_of: datetime | str,
        datasource_ids: Iterable[str] | None = None,
    ) -> Iterator[Measurement]:
        """Tell every measurement of [start, end) that the org can have had by `as_of`."""
        until = instant(as_of)
        chosen = self.visible(until)
        if datasource_ids is not None:
            wanted = set(datasource_ids)
            chosen = [each for each in chosen if each.datasource_id in wanted]
        for row in self.rows(chosen, frequency, instant(start), instant(end)):
            if row.arrival <= until:
                yield from (self.measurement(row, cell) for cell in cells(row, until))

    def resource(self, name: str, as_of: datetime | str) -> Iterator[dict[str, Any]]:
        """Tell every record of a resource beside the measurements, such as `datasources`."""
        for record in metadata.RESOURCES[name](self, instant(as_of)):
            yield {"org": self.org, **snake(record)}

    def measurement(self, row: Row, cell: Cell) -> Measurement:
        """Say a cell in plain words."""
        datasource = row.datasource
        end = row.period_end
        return Measurement(
            org=self.org,
            datasource_id=datasource.datasource_id,
            source_id=row.source_id,
            source_type=datasource.source_type,
            output_frequency=row.frequency,
            metric=cell.metric.name,
            time=instants.to_datetime(row.time),
            period_end=None if end is None else instants.to_datetime(end),
            raw=cell.raw,
            value=cell.value,
            status=cell.status,
            qc_assessment="invalid" if cell.flags else "valid",
            qc_flags=cell.flags,
            latitude=datasource.latitude,
            longitude=datasource.longitude,
        )


def _slices(start: int, end: int, size: int, *, newest_first: bool) -> Iterator[tuple[int, int]]:
    """Cut a range at whole multiples of a size; no period spans two slices."""
    first, last = start // size, -(-end // size)
    turns = range(last - 1, first - 1, -1) if newest_first else range(first, last)
    for turn in turns:
        yield max(start, turn * size), min(end, (turn + 1) * size)


def _by_time(batch: Iterable[Row], *, newest_first: bool) -> list[Row]:
    """Sort samples by time; stable, so that the datasources keep their order."""
    return sorted(batch, key=attrgetter("time"), reverse=newest_first)
