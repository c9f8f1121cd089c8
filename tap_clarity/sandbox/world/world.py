"""The world: the datasources and rows that follow from a seed, and the quirks that are on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks, Switches
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, parse
from tap_clarity.sandbox.world.air import CYCLE
from tap_clarity.sandbox.world.network import build_network
from tap_clarity.sandbox.world.rng import combine
from tap_clarity.sandbox.world.rows import PERIODS, Row, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_clarity.sandbox.behavior.parameters import Parameters
    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.network import Datasource, Network

_FIRST_ANCHOR: Final = parse("2023-06-26")
_SLICES: Final[dict[Frequency, int]] = {"minute": HOUR, "hour": HOUR, "day": DAY}
_NETWORK_QUIRKS: Final = frozenset({Quirk.UNLISTED_STATUSES, Quirk.ODD_NODE_IDS})


class Window(NamedTuple):
    """The rows of a frequency in [start, end)."""

    frequency: Frequency
    start: int
    end: int


def anchor_for(start: int) -> int:
    """Return the day on which a world's special events begin.

    It is 2 to 30 days before the start and moves only every four weeks, so that a thirty-day
    load contains all events, and a sandbox started again tomorrow has the same history.
    """
    latest = start - 2 * DAY
    return latest - (latest - _FIRST_ANCHOR) % CYCLE


@dataclass(frozen=True)
class World:
    """The data of the emulated service: a function of these values."""

    seed: int
    size: int
    anchor: int
    org: str
    switches: Switches = field(default_factory=Switches, compare=False)

    @property
    def quirks(self) -> Quirks:
        return self.switches.quirks

    @property
    def parameters(self) -> Parameters:
        return self.switches.parameters

    @property
    def _network(self) -> Network:
        return build_network(self.seed, self.size, self.anchor, self.quirks & _NETWORK_QUIRKS)

    @property
    def datasources(self) -> tuple[Datasource, ...]:
        """All datasources by id, visible to the org or not."""
        return self._network.datasources

    @cached_property
    def signing_key(self) -> bytes:
        """The secret behind tokens and links; the same after a restart."""
        return combine(self.seed, 0x5EC2E7).to_bytes(8, "big")

    def visible(self, as_of: int) -> list[Datasource]:
        """List what the org may see, past subscriptions included."""
        return [each for each in self.datasources if each.is_known_at(as_of)]

    def find(self, datasource_id: str, as_of: int) -> Datasource | None:
        found = self._network.by_id.get(datasource_id)
        return found if found and found.is_known_at(as_of) else None

    def reference_site_ids(self, as_of: int) -> list[str]:
        sites = (each for each in self.visible(as_of) if each.source_type == "REFERENCE_SITE")
        return sorted(each.source_history[0].source_id for each in sites)

    def rows(
        self,
        datasources: Sequence[Datasource],
        window: Window,
        *,
        newest_first: bool = False,
        by_source: bool = False,
    ) -> Iterator[Row]:
        """Generate a window's rows by time and then id, arrived or not."""
        frequency, samples = window.frequency, PERIODS[window.frequency] == 0
        first = self.parameters.data_start
        if first is not None:
            window = Window(frequency, max(window.start, first), window.end)
        for low, high in _slices(window, newest_first=newest_first):
            found = chain.from_iterable(rows(each, frequency, low, high) for each in datasources)
            batch = sorted(found, key=attrgetter("source_id")) if by_source else found
            # A stable sort: samples of one timestamp keep the order of their ids.
            yield from _by_time(batch, newest_first=newest_first) if samples else batch


def _slices(window: Window, *, newest_first: bool) -> Iterator[tuple[int, int]]:
    """Split a range at whole multiples of a size; no period spans two slices."""
    size = _SLICES[window.frequency]
    first, last = window.start // size, -(-window.end // size)
    numbers = range(last - 1, first - 1, -1) if newest_first else range(first, last)
    for number in numbers:
        yield max(window.start, number * size), min(window.end, (number + 1) * size)


def _by_time(batch: Iterable[Row], *, newest_first: bool) -> list[Row]:
    return sorted(batch, key=attrgetter("time"), reverse=newest_first)
