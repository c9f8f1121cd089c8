"""The invented network: who measures where, with what, and who may read it since when."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks
from tap_clarity.sandbox.core import timestamps as instants
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE
from tap_clarity.sandbox.world.air import Site
from tap_clarity.sandbox.world.rng import blend, code, mix, unit

SourceType = Literal["CLARITY_NODE", "REFERENCE_SITE"]
Role = Literal["swapped", "reference", "halfway", "stopped", "lapsed", "bare", "shared", "plain"]

DEPLOYED: Final = instants.parse("2023-06-05T08:00:00Z")
FOREVER: Final = instants.parse("9999-01-01T00:00:00Z")

_CENTRE: Final = (43.21, -30.42)  # open sea: no reader takes Saltbay for a real city
_LETTERS: Final = string.ascii_uppercase
_ID_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRSTVWXYZ"
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


class Span(NamedTuple):
    """A time from an instant on, without an end when `end` is None."""

    start: int
    end: int | None = None

    def covers(self, instant: int) -> bool:
        return self.start <= instant and (self.end is None or instant < self.end)

    def seen_at(self, as_of: int) -> Span:
        """Hide an end that has not come yet."""
        return self if self.end is None or self.end <= as_of else Span(self.start)


class Stay(NamedTuple):
    """A source's time at a datasource."""

    source_id: str
    span: Span


class Access(NamedTuple):
    """A time in which the org may read, bounded by subscription and source."""

    subscription_id: str
    source_id: str
    span: Span


class Subscription(NamedTuple):
    """The right to read, and when it was attached to the datasource."""

    subscription_id: str
    kind: str
    period: Span
    attached: Span


@dataclass(frozen=True)
class Datasource:
    """A flow of data that outlives the devices which feed it."""

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
    stays: tuple[Stay, ...]
    subscriptions: tuple[Subscription, ...]
    unlisted_statuses: bool

    @cached_property
    def access(self) -> tuple[Access, ...]:
        """Cross the subscriptions with the sources."""
        return tuple(
            Access(subscription.subscription_id, stay.source_id, Span(start, end))
            for subscription in self.subscriptions
            for stay in self.stays
            for start, end in [_crossing(stay.span, subscription.attached)]
            if end is None or start < end
        )

    def access_at(self, instant: int) -> Access | None:
        return next((each for each in self.access if each.span.covers(instant)), None)

    def stay_at(self, instant: int) -> Stay | None:
        return next((each for each in self.stays if each.span.covers(instant)), None)

    def subscription_at(self, instant: int) -> Subscription | None:
        return next((each for each in self.subscriptions if each.attached.covers(instant)), None)

    def known_at(self, instant: int) -> bool:
        """Tell whether the org has had anything to do with it by then."""
        return any(each.attached.start <= instant for each in self.subscriptions)


def _crossing(one: Span, other: Span) -> Span:
    ends = [end for end in (one.end, other.end) if end is not None]
    return Span(max(one.start, other.start), min(ends, default=None))


@dataclass(frozen=True)
class Network:
    """All datasources by id, whoever may see them by now."""

    datasources: tuple[Datasource, ...]

    @cached_property
    def by_id(self) -> dict[str, Datasource]:
        return {each.datasource_id: each for each in self.datasources}


@lru_cache(maxsize=4)
def network(seed: int, size: int, anchor: int, quirks: Quirks) -> Network:
    """Build a network; only the quirks of ids and statuses make a difference."""
    built = (build(seed, index, anchor, quirks) for index in range(size))
    return Network(tuple(sorted(built, key=attrgetter("datasource_id"))))


def build(seed: int, index: int, anchor: int, quirks: Quirks) -> Datasource:
    """Make one datasource; its special days, if it has any, lie in the two after `anchor`."""
    own = blend(seed, index)
    role = _role(index)
    datasource_id = f"D{code(mix(own), _LETTERS, 4)}{index % 10_000:04d}"
    reference = role == "reference"
    latitude, longitude = _position(own, index)
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
        seed=own,
        site=Site(seed, 0.7 + 0.6 * unit(blend(own, 1)), 0.5 + unit(blend(own, 2)), 2 * unit(own)),
        stays=_stays(own, role, anchor, odd=Quirk.ODD_NODE_IDS in quirks and index % 2 == 0),
        subscriptions=_subscriptions(own, role, anchor),
        unlisted_statuses=Quirk.UNLISTED_STATUSES in quirks,
    )


def _role(index: int) -> Role:
    if index < len(_ROLES):
        return _ROLES[index]
    return "reference" if index % _REFERENCE_EVERY == 1 else "plain"


def _name(index: int) -> str:
    turn, place = divmod(index, len(_PLACES))
    return f"{_PLACES[place]} {turn + 1}" if turn else _PLACES[place]


def _position(own: int, index: int) -> tuple[float, float]:
    spread = 0.02 + 0.0002 * index
    return (
        round(_CENTRE[0] + spread * (unit(blend(own, 3)) - 0.5), 5),
        round(_CENTRE[1] + spread * (unit(blend(own, 4)) - 0.5), 5),
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


def source_id(own: int, turn: int, letter: str = "A") -> str:
    return letter + code(blend(own, 5, turn), _ID_ALPHABET, 7)


def subscription_id(own: int, turn: int) -> str:
    return "S" + code(blend(own, 6, turn), _ID_ALPHABET, 8)


def _stays(own: int, role: Role, anchor: int, *, odd: bool) -> tuple[Stay, ...]:
    letter = "R" if role == "reference" else "S" if odd else "A"
    first = source_id(own, 0, letter)
    if role == "swapped":
        out = anchor + DAY + 10 * HOUR + 37 * MINUTE
        back = out + 2 * HOUR + 13 * MINUTE
        return (Stay(first, Span(DEPLOYED, out)), Stay(source_id(own, 1, letter), Span(back)))
    if role == "stopped":
        return (Stay(first, Span(DEPLOYED, anchor + DAY + 15 * HOUR + 20 * MINUTE)),)
    return (Stay(first, Span(DEPLOYED)),)


def _subscriptions(own: int, role: Role, anchor: int) -> tuple[Subscription, ...]:
    """Draw who may read since when; a half-way datasource was measuring long before."""
    one, other = subscription_id(own, 0), subscription_id(own, 1)
    term = Span(DEPLOYED - DEPLOYED % DAY, instants.parse("2029-06-05"))
    if role == "reference":
        return (Subscription(one, "public", Span(DEPLOYED), Span(DEPLOYED)),)
    if role == "halfway":
        since = anchor + 9 * HOUR
        return (Subscription(one, "licensed", Span(anchor, term.end), Span(since)),)
    if role == "lapsed":
        end, again = anchor + 12 * HOUR, anchor + DAY + 17 * HOUR
        return (
            Subscription(one, "licensed", Span(term.start, end), Span(DEPLOYED, end)),
            Subscription(other, "licensed", Span(again, term.end), Span(again)),
        )
    kind = "shared" if role == "shared" else "licensed"
    return (Subscription(one, kind, term, Span(DEPLOYED)),)
