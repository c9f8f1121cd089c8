"""The world behind the emulated API, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tap_clarity.sandbox.api import column_labels as labels
from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks, Switches
from tap_clarity.sandbox.core import timestamps as instants
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, instant
from tap_clarity.sandbox.world import devices, metadata, network
from tap_clarity.sandbox.world.air import CYCLE
from tap_clarity.sandbox.world.measurements import PERIODS, Cell, Row, cells, rows
from tap_clarity.sandbox.world.positions import position
from tap_clarity.sandbox.world.records import snake
from tap_clarity.sandbox.world.rng import blend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_clarity.sandbox.behavior.parameters import Parameters
    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.network import Datasource, Network

_FIRST_ANCHOR: Final = instant("2023-06-26")
_SLICES: Final[dict[Frequency, int]] = {"minute": HOUR, "hour": HOUR, "day": DAY}
_NETWORK_QUIRKS: Final = frozenset({Quirk.UNLISTED_STATUSES, Quirk.ODD_NODE_IDS})


class Window(NamedTuple):
    """The half-open range of a question."""

    frequency: Frequency
    start: int
    end: int


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
    """Everything that is so, whether or not anybody asks: a function of these values."""

    seed: int
    size: int
    anchor: int
    org: str
    switches: Switches = field(default_factory=Switches, compare=False)

    @property
    def quirks(self) -> Quirks:
        return self.switches.current

    @property
    def parameters(self) -> Parameters:
        return self.switches.parameters

    @property
    def _network(self) -> Network:
        quirks = self.quirks & _NETWORK_QUIRKS
        return network.network(self.seed, self.size, self.anchor, quirks)

    @property
    def datasources(self) -> tuple[Datasource, ...]:
        """All datasources by id, whoever may see them by now."""
        return self._network.datasources

    @cached_property
    def signing_key(self) -> bytes:
        """The secret behind tokens and links; the same after a restart."""
        return blend(self.seed, 0x5EC2E7).to_bytes(8, "big")

    def visible(self, as_of: int) -> list[Datasource]:
        """List what the org may see, past subscriptions included."""
        return [each for each in self.datasources if each.known_at(as_of)]

    def find(self, datasource_id: str, as_of: int) -> Datasource | None:
        found = self._network.by_id.get(datasource_id)
        return found if found and found.known_at(as_of) else None

    def node_ids(self, as_of: datetime | str) -> list[str]:
        """Name the org's own nodes, measuring or not."""
        return [node.node_id for node in devices.nodes_of(self, instant(as_of))]

    def reference_site_ids(self, as_of: datetime | str) -> list[str]:
        visible = self.visible(instant(as_of))
        sites = (each for each in visible if each.source_type == "REFERENCE_SITE")
        return sorted(each.stays[0].source_id for each in sites)

    def rows(
        self,
        datasources: Sequence[Datasource],
        window: Window,
        *,
        newest_first: bool = False,
        by_source: bool = False,
    ) -> Iterator[Row]:
        """Give a window's rows by time and then id, arrived or not."""
        frequency, samples = window.frequency, PERIODS[window.frequency] == 0
        first = self.parameters.first_instant
        if first is not None:
            window = Window(frequency, max(window.start, first), window.end)
        for low, high in _slices(window, newest_first=newest_first):
            found = chain.from_iterable(rows(each, frequency, low, high) for each in datasources)
            batch = sorted(found, key=attrgetter("source_id")) if by_source else found
            # A stable sort: samples of one instant keep the order of their ids.
            yield from _by_time(batch, newest_first=newest_first) if samples else batch

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
        wanted = None if datasource_ids is None else frozenset(datasource_ids)
        chosen = [e for e in self.visible(until) if wanted is None or e.datasource_id in wanted]
        window = Window(frequency, instant(start), instant(end))
        yield from self._told(self.rows(chosen, window), until)

    def truth_of_sources(
        self,
        frequency: Frequency,
        start: datetime | str,
        end: datetime | str,
        as_of: datetime | str,
        source_ids: Iterable[str],
    ) -> Iterator[Measurement]:
        """Tell the same of some nodes or reference sites, by time and source."""
        until, wanted = instant(as_of), frozenset(source_ids)
        window = Window(frequency, instant(start), instant(end))
        found = self.rows(self.visible(until), window, by_source=True)
        yield from self._told((row for row in found if row.source_id in wanted), until)

    def _told(self, found: Iterator[Row], until: int) -> Iterator[Measurement]:
        for row in found:
            if row.arrival <= until:
                yield from (self.measurement(row, cell) for cell in cells(row, until))

    def resource(self, name: str, as_of: datetime | str) -> Iterator[dict[str, Any]]:
        """Tell every record of a resource beside the measurements, such as `datasources`."""
        for record in RESOURCES[name](self, instant(as_of)):
            yield {"org": self.org, **snake(record)}

    def measurement(self, row: Row, cell: Cell) -> Measurement:
        """Say a cell in plain words."""
        datasource = row.datasource
        end = row.period_end
        latitude, longitude = position(row, self.quirks)
        return Measurement(
            org=self.org,
            datasource_id=datasource.datasource_id,
            source_id=row.source_id,
            source_type=datasource.source_type,
            output_frequency=row.frequency,
            metric=labels.canonical(cell.metric.name, self.quirks),
            time=instants.to_datetime(row.time),
            period_end=None if end is None else instants.to_datetime(end),
            raw=cell.raw,
            value=cell.value,
            status=cell.status,
            qc_assessment=cell.assessment,
            qc_flags=cell.flags,
            latitude=latitude,
            longitude=longitude,
        )


RESOURCES: Final[dict[str, Callable[[World, int], list[dict[str, Any]]]]] = {
    "datasources": metadata.datasource_list,
    "datasource_details": metadata.all_details,
    "subscriptions": metadata.subscriptions,
    "nodes": devices.nodes,
    "node_status_summaries": devices.status_summaries,
    "node_statuses": devices.all_statuses,
    "node_alarms": devices.all_alarms,
    "accessory_modules": devices.accessory_modules,
}


def _slices(window: Window, *, newest_first: bool) -> Iterator[tuple[int, int]]:
    """Cut a range at whole multiples of a size; no period spans two slices."""
    size = _SLICES[window.frequency]
    first, last = window.start // size, -(-window.end // size)
    turns = range(last - 1, first - 1, -1) if newest_first else range(first, last)
    for turn in turns:
        yield max(window.start, turn * size), min(window.end, (turn + 1) * size)


def _by_time(batch: Iterable[Row], *, newest_first: bool) -> list[Row]:
    return sorted(batch, key=attrgetter("time"), reverse=newest_first)
