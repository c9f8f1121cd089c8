"""How to go on with the recent measurements: by the token, or by asking the cache."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.instants import Window

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.frequencies import Frequency

TOKEN_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class GoOn:
    """Continue from where the token was issued: nothing is missed, nothing comes twice."""

    token: str


@dataclass(frozen=True, slots=True)
class AskCache:
    """Ask for everything from `start` on; `hole` is what the cache no longer has, if anything."""

    start: datetime
    hole: Window | None


def next_step(
    token: str | None,
    issued_at: datetime | None,
    covered_until: datetime | None,
    frequency: Frequency,
    now: datetime,
) -> GoOn | AskCache:
    """Decide how to get the measurements since the last run.

    Args:
        token: The last continuation token, if it belongs to the same query.
        issued_at: When it was asked for.
        covered_until: Up to when measurements are known to have been asked for; None if never.
        frequency: The output frequency.
        now: The present instant.
    """
    if token and issued_at and now - issued_at < TOKEN_LIFE:
        return GoOn(token)
    oldest = now - frequency.cache
    if covered_until is None:
        return AskCache(oldest, None)
    # A measurement may arrive late: what was asked for shortly after it was measured is not safe.
    safe = min(covered_until, now) - frequency.lateness
    return AskCache(max(safe, oldest), Window(safe, oldest) if safe < oldest else None)
