"""The generated network: datasources, their sources, modules and subscriptions."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE, parse
from tap_clarity.sandbox.world.air import Site
from tap_clarity.sandbox.world.rng import combine, encode, fraction, mix

SourceType = Literal["CLARITY_NODE", "REFERENCE_SITE"]
Role = Literal["swapped", "reference", "halfway", "stopped", "lapsed", "bare", "shared", "plain"]

DEPLOYED_AT: Final = parse("2023-06-05T08:00:00Z")

_CENTRE: Final = (43.21, -30.42)  # open sea: no reader takes Saltbay for a real city
_LETTERS: Final = string.ascii_uppercase
_ROLES: Final[tuple[Role, ...]] = (
    "swapped",
    "reference",
    "halfway",
    "stopped",
    "lapsed",
    "bare",
    "shared",
)
_REFERENCE_EVERY: Final = 10
_PLACES: Final = (
    'Café "Zur Post", corner of Mühlenstraße',
    "Old Harbour / Ladeira São João",
    "Lighthouse Road",
    "Ağaç Parki, 2. kapi",
    "Ring road, kilometre 7",
    "Школа № 4",
    "Fish market",
    "St. Brigid's, playground",
    "北港 ferry landing",
    "Observatory Hill",
)
_GROUPS: Final = ("centre", None, "harbour", "schools", "ring road, north")
_TAGS: Final = ("roadside", "background", "école", "pilot, phase 2")
# Real nodes report about every 3 min 43 s, 4 min 40 s or 17 min 25 s.
_CADENCES: Final = (223_000, 280_000, 1_045_000)


class TimeRange(NamedTuple):
    """A time range [start, end), without an end when `end` is None."""

    start: int
    end: int | None = None

    def covers(self, timestamp: int) -> bool:
        return self.start <= timestamp and (self.end is None or timestamp < self.end)

    def as_known_at(self, as_of: int) -> TimeRange:
        """Hide an end that is later than `as_of`."""
        return self if self.end is None or self.end <= as_of else TimeRange(self.start)


class SourcePeriod(NamedTuple):
    """The time range in which a source feeds a datasource."""

    source_id: str
    time_range: TimeRange


class Access(NamedTuple):
    """A time range that the org may read, bounded by subscription and source."""

    subscription_id: str
    source_id: str
    time_range: TimeRange


class Subscription(NamedTuple):
    """The right to read, and when it was attached to the datasource."""

    subscription_id: str
    kind: str
    period: TimeRange
    attached: TimeRange


@dataclass(frozen=True)
class Datasource:
    """A series of measurements that outlasts the devices which feed it."""

    index: int
    datasource_id: str
    source_type: SourceType
    role: Role
    name: str
    group: str | None
    tags: tuple[str, ...]
    latitude: float
    longitude: float
    modules: frozenset[str]
    cadence: int
    seed: int
    site: Site
    source_history: tuple[SourcePeriod, ...]
    subscriptions: tuple[Subscription, ...]
    unlisted_statuses: bool

    @cached_property
    def access(self) -> tuple[Access, ...]:
        """Intersect the subscriptions with the sources."""
        return tuple(
            Access(subscription.subscription_id, source.source_id, TimeRange(start, end))
            for subscription in self.subscriptions
            for source in self.source_history
            for start, end in [_intersection(source.time_range, subscription.attached)]
            if end is None or start < end
        )

    def source_at(self, timestamp: int) -> SourcePeriod | None:
        return next(
            (each for each in self.source_history if each.time_range.covers(timestamp)), None
        )

    def subscription_at(self, timestamp: int) -> Subscription | None:
        return next((each for each in self.subscriptions if each.attached.covers(timestamp)), None)

    def is_known_at(self, timestamp: int) -> bool:
        """Whether the org has had a subscription by then."""
        return any(each.attached.start <= timestamp for each in self.subscriptions)


def _intersection(one: TimeRange, other: TimeRange) -> TimeRange:
    ends = [end for end in (one.end, other.end) if end is not None]
    return TimeRange(max(one.start, other.start), min(ends, default=None))


@dataclass(frozen=True)
class Network:
    """All datasources by id, visible to the org or not."""

    datasources: tuple[Datasource, ...]

    @cached_property
    def by_id(self) -> dict[str, Datasource]:
        return {each.datasource_id: each for each in self.datasources}


@lru_cache(maxsize=4)
def build_network(seed: int, size: int, anchor: int, quirks: Quirks) -> Network:
    """Generate a network; it depends only on the quirks of ids and statuses."""
    built = (build_datasource(seed, index, anchor, quirks) for index in range(size))
    return Network(tuple(sorted(built, key=attrgetter("datasource_id"))))


def build_datasource(seed: int, index: int, anchor: int, quirks: Quirks) -> Datasource:
    """Generate a datasource; its special events, if any, are in the two days after `anchor`."""
    own_seed = combine(seed, index)
    role = _role(index)
    datasource_id = f"D{encode(mix(own_seed), 4, _LETTERS)}{index % 10_000:04d}"
    reference = role == "reference"
    latitude, longitude = _coordinates(own_seed, index)
    return Datasource(
        index=index,
        datasource_id=datasource_id,
        source_type="REFERENCE_SITE" if reference else "CLARITY_NODE",
        role=role,
        name=_name(index),
        group=_GROUPS[index % len(_GROUPS)],
        tags=_TAGS[: index % (len(_TAGS) + 1)],
        latitude=latitude,
        longitude=longitude,
        modules=_modules(role, index),
        cadence=_CADENCES[index % len(_CADENCES)],
        seed=own_seed,
        site=Site(
            seed,
            0.7 + 0.6 * fraction(combine(own_seed, 1)),
            0.5 + fraction(combine(own_seed, 2)),
            2 * fraction(own_seed),
        ),
        source_history=_source_history(
            own_seed, role, anchor, odd=Quirk.ODD_NODE_IDS in quirks and index % 2 == 0
        ),
        subscriptions=_subscriptions(own_seed, role, anchor),
        unlisted_statuses=Quirk.UNLISTED_STATUSES in quirks,
    )


def _role(index: int) -> Role:
    if index < len(_ROLES):
        return _ROLES[index]
    return "reference" if index % _REFERENCE_EVERY == 1 else "plain"


def _name(index: int) -> str:
    number, place = divmod(index, len(_PLACES))
    return f"{_PLACES[place]} {number + 1}" if number else _PLACES[place]


def _coordinates(own_seed: int, index: int) -> tuple[float, float]:
    spread = 0.02 + 0.0002 * index
    return (
        round(_CENTRE[0] + spread * (fraction(combine(own_seed, 3)) - 0.5), 5),
        round(_CENTRE[1] + spread * (fraction(combine(own_seed, 4)) - 0.5), 5),
    )


def _modules(role: Role, index: int) -> frozenset[str]:
    if role == "reference":
        return frozenset({"pm", "no2", "ozone"})
    modules = {"pm", "internal"}
    if role != "bare":
        modules.add("no2")
    optional = {"wind": (5, 0), "blackcarbon": (11, 2), "ozone": (13, 4), "ultraviolet": (9, 0)}
    modules.update(name for name, (every, at) in optional.items() if index % every == at)
    return frozenset(modules)


def source_id(own_seed: int, number: int, letter: str = "A") -> str:
    return letter + encode(combine(own_seed, 5, number), 7)


def _subscription_id(own_seed: int, number: int) -> str:
    return "S" + encode(combine(own_seed, 6, number), 8)


def _source_history(
    own_seed: int, role: Role, anchor: int, *, odd: bool
) -> tuple[SourcePeriod, ...]:
    letter = "R" if role == "reference" else "S" if odd else "A"
    first = source_id(own_seed, 0, letter)
    if role == "swapped":
        removed = anchor + DAY + 10 * HOUR + 37 * MINUTE
        replaced = removed + 2 * HOUR + 13 * MINUTE
        return (
            SourcePeriod(first, TimeRange(DEPLOYED_AT, removed)),
            SourcePeriod(source_id(own_seed, 1, letter), TimeRange(replaced)),
        )
    if role == "stopped":
        return (
            SourcePeriod(first, TimeRange(DEPLOYED_AT, anchor + DAY + 15 * HOUR + 20 * MINUTE)),
        )
    return (SourcePeriod(first, TimeRange(DEPLOYED_AT)),)


def _subscriptions(own_seed: int, role: Role, anchor: int) -> tuple[Subscription, ...]:
    """Generate who may read since when; a half-way datasource measured long before."""
    first, second = _subscription_id(own_seed, 0), _subscription_id(own_seed, 1)
    term = TimeRange(DEPLOYED_AT - DEPLOYED_AT % DAY, parse("2029-06-05"))
    if role == "reference":
        return (Subscription(first, "public", TimeRange(DEPLOYED_AT), TimeRange(DEPLOYED_AT)),)
    if role == "halfway":
        since = anchor + 9 * HOUR
        return (Subscription(first, "licensed", TimeRange(anchor, term.end), TimeRange(since)),)
    if role == "lapsed":
        end, resumed = anchor + 12 * HOUR, anchor + DAY + 17 * HOUR
        return (
            Subscription(
                first, "licensed", TimeRange(term.start, end), TimeRange(DEPLOYED_AT, end)
            ),
            Subscription(second, "licensed", TimeRange(resumed, term.end), TimeRange(resumed)),
        )
    kind = "shared" if role == "shared" else "licensed"
    return (Subscription(first, kind, term, TimeRange(DEPLOYED_AT)),)
