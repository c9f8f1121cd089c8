"""How to go on with the recent measurements, so that no hole is left that can be filled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.instants import EPOCH, Window, floor
from tap_clarity.planning.windows import cut, without

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_clarity.frequencies import Frequency

TOKEN_LIFE = timedelta(hours=24)
CLOCK_ERROR = timedelta(minutes=15)
"""By how much the local clock may be off without loss."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known from the last run.

    Attributes:
        token: Continues from the last reply; None if there is none, or it has been refused.
        issued_at: When that reply was asked for, by the local clock.
        covered_until: Up to when everything has been asked for; None if nothing ever was.
        same_query: Whether all this belongs to the query of this run.
        same_datasources: Whether the organisation may read the same datasources as then.
    """

    token: str | None
    issued_at: datetime | None
    covered_until: datetime | None
    same_query: bool = True
    same_datasources: bool = True


@dataclass(frozen=True, slots=True)
class GoOn:
    """Continue from where the token was issued: nothing is missed, nothing comes twice."""

    token: str


@dataclass(frozen=True, slots=True)
class AskCache:
    """Ask for everything from `start` on; `hole` is what the cache no longer has, if anything."""

    start: datetime
    hole: Window | None


def next_step(known: Known, frequency: Frequency, now: datetime) -> GoOn | AskCache:
    """Decide how to get the measurements since the last run."""
    same = known.same_query and known.same_datasources
    if same and known.token and known.issued_at and now - known.issued_at < TOKEN_LIFE:
        return GoOn(known.token)
    return ask_cache(known, frequency, now)


def ask_cache(known: Known, frequency: Frequency, now: datetime) -> AskCache:
    """Decide from when on to ask the cache, without a token."""
    same = known.same_query and known.same_datasources
    oldest = now - frequency.cache
    # Where the clock was put back, the last run's word on what it covered is worth nothing.
    if known.covered_until is None or known.covered_until - now > CLOCK_ERROR:
        return AskCache(oldest, None)
    safe = _safe_until(min(known.covered_until, now), frequency)
    if safe < oldest:
        # One step of overlap, so that the seam belongs to both.
        hole = Window(safe, floor(oldest, frequency.step) + frequency.step)
        return AskCache(oldest, hole)
    # What another query covered, or other datasources, says nothing about this one's.
    return AskCache(safe if same else oldest, None)


def windows_of(holes: Iterable[Window], building: Iterable[Window], days: int) -> list[Window]:
    """Cut holes into the fewest windows for reports, but for what is being built."""
    taken = list(building)
    missing = [left for hole in holes for left in without(hole, taken)]
    return [window for left in missing for window in cut(left, days)]


def _safe_until(asked_at: datetime, frequency: Frequency) -> datetime:
    """Give the instant before which nothing more can have come after it was asked for.

    A measurement arrives after its period has ended, and may be late.
    """
    period = frequency.period or timedelta(0)
    margin = CLOCK_ERROR + period + frequency.lateness
    return floor(max(asked_at, EPOCH) - margin, frequency.step)
