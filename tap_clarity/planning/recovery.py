"""How to go on with the recent measurements, so that no hole is left that can be filled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.timestamps import EPOCH, Window, floor
from tap_clarity.planning.windows import merged

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.frequencies import Frequency
    from tap_clarity.planning.bookmarks import RecentBookmark

TOKEN_LIFE = timedelta(hours=24)
"""The documented one; see `_token_life`."""
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
    if known.token and not _why_not_go_on(known, frequency, now):
        return GoOn(known.token)
    return ask_cache(known, frequency, now)


def ask_cache(known: Known, frequency: Frequency, now: datetime) -> AskCache:
    """Decide from when on to ask the cache, without a token."""
    # Clarity's clock may be a little ahead, and its cache then reaches back a little less. A start
    # before the cache may be rejected.
    oldest, why = _oldest(frequency, now), _why_not_go_on(known, frequency, now)
    # Where the clock was put back, the last run's word on what it covered is worth nothing.
    if known.covered_until is None or known.covered_until - now > CLOCK_ERROR:
        return AskCache(oldest, None, why)
    safe = safe_until(min(known.covered_until, now), frequency)
    if safe < oldest:
        # One step of overlap, so that the seam belongs to both.
        hole = Window(safe, floor(oldest, frequency.step) + frequency.step)
        return AskCache(oldest, hole, why)
    # What another query covered, or other datasources, says nothing about this one's.
    same = known.same_query and known.same_datasources
    return AskCache(safe if same else oldest, None, why)


def daily_query(queried_at: datetime | None, frequency: Frequency, now: datetime) -> AskCache:
    """Query the cache again from what the query before it, at `queried_at`, left open.

    Whether continuations bring late measurements is not documented. This query does, as far as the
    cache has them.
    """
    oldest = _oldest(frequency, now)
    start = max(oldest, safe_until(queried_at, frequency)) if queried_at else oldest
    return AskCache(start, None, "its daily query is due")


def is_query_due(queried_at: datetime | None, frequency: Frequency, now: datetime) -> bool:
    """Whether the cache is to be queried although there is a continuation token.

    That is so once per UTC day, and where the cache is less deep than that requires, twice.
    """
    if queried_at is None or queried_at > now:
        return True
    return queried_at.date() != now.date() or now - queried_at >= frequency.cache / 2


def without_start(step: AskCache, known: Known, frequency: Frequency, now: datetime) -> AskCache:
    """Give the step to note after a query without a start, which the service rejected.

    How far back such a response reaches is unknown: all since the wanted start is left to reports.
    A first run has no start that is wanted.
    """
    if known.covered_until is None:
        return step
    start = step.hole.start if step.hole else step.start
    return replace(step, hole=Window(start, floor(now, frequency.step)))


def is_off(clock: datetime, by_clarity: datetime) -> bool:
    """Whether the local clock is so wrong that what was decided by it has to be decided anew."""
    return abs(clock - by_clarity) > CLOCK_ERROR


def after_reply(
    bookmark: RecentBookmark, step: Step, token: str | None, at: datetime, records: int = 0
) -> RecentBookmark:
    """Note what a reply that came `at` an instant has covered, all of it written by now.

    Args:
        bookmark: Where the stream stood before.
        step: How the reply was requested.
        token: What continues after it, if anything.
        at: When it came.
        records: How many of its records have a time at or after `safe_until` of the last query.
    """
    is_query = isinstance(step, AskCache)
    found = [step.hole] if isinstance(step, AskCache) and step.hole else []
    return replace(
        bookmark,
        token=token,
        issued_at=at,
        covered_until=at,
        gaps=merged([*bookmark.gaps, *found]),
        cache_queried_at=at if is_query else bookmark.cache_queried_at,
        records_since_query=records + (0 if is_query else bookmark.records_since_query),
    )


def _why_not_go_on(known: Known, frequency: Frequency, now: datetime) -> str:
    if not known.same_query:
        return "the settings of the query have changed"
    if not known.same_datasources:
        return "the list of datasources has changed"
    if not known.token or not known.issued_at:
        return "there is no continuation token" if known.covered_until else "this is the first run"
    if now - known.issued_at >= _token_life(frequency):
        return f"the continuation token of {known.issued_at:%Y-%m-%d %H:%M} UTC has expired"
    if known.refused:
        return "Clarity has refused the continuation token"
    return ""


def safe_until(asked_at: datetime, frequency: Frequency) -> datetime:
    """Give the instant before which nothing more can have come after it was asked for.

    A measurement arrives after its period has ended, and may be late.
    """
    return floor(max(asked_at, EPOCH) - _margin(frequency), frequency.step)


def _margin(frequency: Frequency) -> timedelta:
    return CLOCK_ERROR + (frequency.period or timedelta(0)) + frequency.lateness


def _token_life(frequency: Frequency) -> timedelta:
    """Give the age at which a token counts as expired.

    A late measurement that arrives just after the token was issued must still be in the cache.
    """
    return min(TOKEN_LIFE, frequency.cache - _margin(frequency))


def _oldest(frequency: Frequency, now: datetime) -> datetime:
    """Give the earliest instant that the cache holds for certain."""
    return now - frequency.cache + CLOCK_ERROR
