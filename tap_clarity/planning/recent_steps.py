"""How to request recent measurements so that no gap is left that can be filled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.timestamps import EPOCH, Window, floor
from tap_clarity.planning.windows import merged

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.frequencies import Frequency
    from tap_clarity.planning.bookmarks import RecentBookmark

TOKEN_LIFE = timedelta(hours=24)
"""The documented one; see `_token_life`."""
MAX_CLOCK_SKEW = timedelta(minutes=15)
"""Between the local clock and Clarity's; beyond it, Clarity's counts."""

MAX_CREDIBLE_SKEW = timedelta(days=31)
"""How far Clarity's clock may be ahead of a local clock that nothing else speaks against."""


class QueryReason(Enum):
    """Why the recent cache is queried, rather than continued from."""

    FIRST_RUN = auto()
    QUERY_CHANGED = auto()
    DATASOURCES_CHANGED = auto()
    NO_TOKEN = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_REJECTED = auto()
    DAILY_QUERY = auto()


class TokenState(NamedTuple):
    """What is known from the last run.

    Attributes:
        token: Continues from the last response; None if there is none.
        issued_at: When that response came.
        covered_until: Up to when everything has been requested; None before the first run.
        is_same_query: Whether all this belongs to the query of this run.
        is_same_datasources: Whether the organization may read the same datasources as then.
    """

    token: str | None
    issued_at: datetime | None
    covered_until: datetime | None
    is_same_query: bool = True
    is_same_datasources: bool = True


class ContinueToken(NamedTuple):
    """Continue from the response that issued the token."""

    token: str


@dataclass(frozen=True, slots=True)
class QueryCache:
    """Query the recent cache for everything from `start` on.

    Attributes:
        start: The first timestamp to request.
        gap: What the cache may no longer have; None if it has everything.
        reason: Why there is no continuing, for the log.
    """

    start: datetime
    gap: Window | None
    reason: QueryReason = field(default=QueryReason.NO_TOKEN, compare=False)


Step = ContinueToken | QueryCache


def next_step(state: TokenState, frequency: Frequency, now: datetime) -> Step:
    """Decide how to request the measurements since the last run."""
    problem = _token_problem(state, frequency, now)
    if state.token and problem is None:
        return ContinueToken(state.token)
    return query_cache(state, frequency, now, problem or QueryReason.NO_TOKEN)


def next_step_at(step: Step, state: TokenState, frequency: Frequency, now: datetime) -> Step:
    """Decide a step again, as of another time; a token that was rejected stays so."""
    if isinstance(step, QueryCache) and step.reason is QueryReason.TOKEN_REJECTED:
        return query_cache(state, frequency, now, step.reason)
    return next_step(state, frequency, now)


def query_cache(
    state: TokenState, frequency: Frequency, now: datetime, reason: QueryReason
) -> QueryCache:
    """Decide from when on to query the recent cache, without a token."""
    # Clarity's clock may be a little ahead, and its cache then reaches back a little less. A start
    # before the cache may be rejected.
    oldest = _oldest(frequency, now)
    # Where the clock was put back, what the last run claims to have covered counts for nothing.
    if state.covered_until is None or state.covered_until - now > MAX_CLOCK_SKEW:
        return QueryCache(oldest, None, reason)
    safe = safe_until(min(state.covered_until, now), frequency)
    if safe < oldest:
        # One step of overlap, so that the seam belongs to both.
        gap = Window(safe, floor(oldest, frequency.step) + frequency.step)
        return QueryCache(oldest, gap, reason)
    # What another query covered, or other datasources, says nothing about this one's.
    is_same = state.is_same_query and state.is_same_datasources
    return QueryCache(safe if is_same else oldest, None, reason)


def daily_query(queried_at: datetime | None, frequency: Frequency, now: datetime) -> QueryCache:
    """Query the cache again from what the query before it, at `queried_at`, left open.

    Whether continuations bring late measurements is not documented. This query does, as far as the
    cache has them.
    """
    oldest = _oldest(frequency, now)
    start = max(oldest, safe_until(queried_at, frequency)) if queried_at else oldest
    return QueryCache(start, None, QueryReason.DAILY_QUERY)


def is_query_due(queried_at: datetime | None, frequency: Frequency, now: datetime) -> bool:
    """Whether the cache is to be queried although there is a continuation token.

    That is so once per UTC day, and where the cache is less deep than that requires, twice.
    """
    if queried_at is None or queried_at > now:
        return True
    return queried_at.date() != now.date() or now - queried_at >= frequency.cache / 2


def query_without_start(
    step: QueryCache, state: TokenState, frequency: Frequency, now: datetime
) -> QueryCache:
    """Give the step to record after a query without a start, which the service rejected.

    How far back such a response reaches is unknown: reports fill all since the start of the step.
    A first run leaves no gap.
    """
    if state.covered_until is None:
        return step
    start = step.gap.start if step.gap else step.start
    return replace(step, gap=Window(start, floor(now, frequency.step)))


def response_time(
    local: datetime, clarity: datetime | None, covered_until: datetime | None
) -> datetime:
    """Decide when Clarity answered, where its clock and the local one may be wrong.

    Args:
        local: By the local clock.
        clarity: By the Date header; None if there is none.
        covered_until: When Clarity answered the last run, a third witness; None in the first run.

    Returns:
        Clarity's time. Where the third witness speaks against it, time does not go back, and no
        month is skipped: a gap of years would use up the report quota for weeks.
    """
    if clarity is None:
        return local
    if covered_until is None or not is_clock_skewed(local, clarity):
        return clarity
    if clarity < covered_until:
        return covered_until
    is_credible = local < covered_until or clarity - local <= MAX_CREDIBLE_SKEW
    return clarity if is_credible else local


def is_clock_skewed(local: datetime, clarity: datetime) -> bool:
    """Tell whether the local clock differs so much that Clarity's time has to count."""
    return abs(local - clarity) > MAX_CLOCK_SKEW


def after_response(
    bookmark: RecentBookmark, step: Step, token: str | None, at: datetime, records: int = 0
) -> RecentBookmark:
    """Give the bookmark after all records of a response have been written.

    Args:
        bookmark: The bookmark before.
        step: How the response was requested.
        token: What continues after it, if anything.
        at: When Clarity answered.
        records: How many of its records have a time at or after `safe_until` of the last query.
    """
    is_query = isinstance(step, QueryCache)
    found = [step.gap] if isinstance(step, QueryCache) and step.gap else []
    return replace(
        bookmark,
        token=token,
        issued_at=at,
        covered_until=at,
        gaps=merged([*bookmark.gaps, *found]),
        cache_queried_at=at if is_query else bookmark.cache_queried_at,
        records_since_query=records + (0 if is_query else bookmark.records_since_query),
    )


def _token_problem(state: TokenState, frequency: Frequency, now: datetime) -> QueryReason | None:
    if not state.is_same_query:
        return QueryReason.QUERY_CHANGED
    if not state.is_same_datasources:
        return QueryReason.DATASOURCES_CHANGED
    if not state.token or not state.issued_at:
        return QueryReason.NO_TOKEN if state.covered_until else QueryReason.FIRST_RUN
    if now - state.issued_at >= _token_life(frequency):
        return QueryReason.TOKEN_EXPIRED
    return None


def safe_until(requested_at: datetime, frequency: Frequency) -> datetime:
    """Give the time before which nothing more can have come after it was requested.

    A measurement arrives after its period has ended, and may be late.
    """
    return floor(max(requested_at, EPOCH) - _margin(frequency), frequency.step)


def _margin(frequency: Frequency) -> timedelta:
    return MAX_CLOCK_SKEW + (frequency.period or timedelta(0)) + frequency.lateness


def _token_life(frequency: Frequency) -> timedelta:
    """Give the age at which a token counts as expired.

    A late measurement that arrives just after the token was issued must still be in the cache.
    """
    return min(TOKEN_LIFE, frequency.cache - _margin(frequency))


def _oldest(frequency: Frequency, now: datetime) -> datetime:
    """Give the earliest time that the cache holds for certain."""
    return now - frequency.cache + MAX_CLOCK_SKEW
