"""How to go on with the recent measurements, so that no hole is left that can be filled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.instants import DAY, EPOCH, Window, floor
from tap_clarity.planning.windows import cut, days_long, merged, without

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_clarity.frequencies import Frequency
    from tap_clarity.planning.bookmarks import RecentBookmark

TOKEN_LIFE = timedelta(hours=24)
CLOCK_ERROR = timedelta(minutes=15)
"""By how much the local clock may be off before Clarity's is asked for."""


class Known(NamedTuple):
    """What is known from the last run.

    Attributes:
        token: Continues from the last reply; None if there is none.
        issued_at: When that reply came.
        covered_until: Up to when everything has been asked for; None if nothing ever was.
        same_query: Whether all this belongs to the query of this run.
        same_datasources: Whether the organisation may read the same datasources as then.
        refused: Whether Clarity has refused the token.
    """

    token: str | None
    issued_at: datetime | None
    covered_until: datetime | None
    same_query: bool = True
    same_datasources: bool = True
    refused: bool = False


class GoOn(NamedTuple):
    """Continue from where the token was issued: nothing is missed, nothing comes twice."""

    token: str


@dataclass(frozen=True, slots=True)
class AskCache:
    """Ask for everything from `start` on; `hole` is what the cache may no longer have, if anything.

    `why` says, for people, why there is no going on.
    """

    start: datetime
    hole: Window | None
    why: str = field(default="", compare=False)


Step = GoOn | AskCache


def next_step(known: Known, frequency: Frequency, now: datetime) -> Step:
    """Decide how to get the measurements since the last run."""
    if known.token and not _why_not_go_on(known, now):
        return GoOn(known.token)
    return ask_cache(known, frequency, now)


def ask_cache(known: Known, frequency: Frequency, now: datetime) -> AskCache:
    """Decide from when on to ask the cache, without a token."""
    oldest, why = now - frequency.cache, _why_not_go_on(known, now)
    # Where the clock was put back, the last run's word on what it covered is worth nothing.
    if known.covered_until is None or known.covered_until - now > CLOCK_ERROR:
        return AskCache(oldest, None, why)
    safe = _safe_until(min(known.covered_until, now), frequency)
    # Clarity's clock may be a little ahead, and its cache then reaches back a little less.
    sure = oldest + CLOCK_ERROR
    if safe < sure:
        # One step of overlap, so that the seam belongs to both.
        hole = Window(safe, floor(sure, frequency.step) + frequency.step)
        return AskCache(oldest, hole, why)
    # What another query covered, or other datasources, says nothing about this one's.
    same = known.same_query and known.same_datasources
    return AskCache(safe if same else oldest, None, why)


def is_off(clock: datetime, by_clarity: datetime) -> bool:
    """Whether the local clock is so wrong that what was decided by it has to be decided anew."""
    return abs(clock - by_clarity) > CLOCK_ERROR


def after_reply(
    bookmark: RecentBookmark, step: Step, token: str | None, at: datetime
) -> RecentBookmark:
    """Note what a reply that came `at` an instant has covered, all of it written by now."""
    found = [step.hole] if isinstance(step, AskCache) and step.hole else []
    return replace(
        bookmark,
        token=token,
        issued_at=at,
        covered_until=at,
        holes=merged([*bookmark.holes, *found]),
    )


def windows_of(holes: Iterable[Window], building: Iterable[Window], days: int) -> list[Window]:
    """Cut holes into the fewest windows for reports, but for what is being built.

    Holes that fit into one report share it: what lies between them comes a second time, but a
    request less is spent.
    """
    taken, longest = list(building), days_long(days)
    spans: list[Window] = []
    for gap in merged(left for hole in holes for left in without(hole, taken)):
        if spans and gap.end - floor(spans[-1].start, DAY) <= longest:
            spans[-1] = Window(spans[-1].start, gap.end)
        else:
            spans.append(gap)
    return [window for span in spans for window in cut(span, days)]


def _why_not_go_on(known: Known, now: datetime) -> str:
    if not known.same_query:
        return "the settings of the query have changed"
    if not known.same_datasources:
        return "the list of datasources has changed"
    if not known.token or not known.issued_at:
        return "there is no continuation token" if known.covered_until else "this is the first run"
    if now - known.issued_at >= TOKEN_LIFE:
        return f"the continuation token of {known.issued_at:%Y-%m-%d %H:%M} UTC has expired"
    if known.refused:
        return "Clarity has refused the continuation token"
    return ""


def _safe_until(asked_at: datetime, frequency: Frequency) -> datetime:
    """Give the instant before which nothing more can have come after it was asked for.

    A measurement arrives after its period has ended, and may be late.
    """
    period = frequency.period or timedelta(0)
    margin = CLOCK_ERROR + period + frequency.lateness
    return floor(max(asked_at, EPOCH) - margin, frequency.step)
