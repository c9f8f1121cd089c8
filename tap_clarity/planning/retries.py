"""Windows whose reports fail or are rejected: kept apart, retried at growing intervals of days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.timestamps import Window
from tap_clarity.planning.windows import overlaps, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RETRY_DAYS = (0, 1, 2, 4, 7)
"""Days until the next attempt, by the number of attempts so far; the last for all further ones."""
UNRESOLVED_DAYS = 3
"""After so many days a window that still fails ends each run with a non-zero status."""
MAX_FAILING = 6
"""How many failing ranges a stream's state holds; beyond it the nearest ones are joined."""


class FailingWindow(NamedTuple):
    """A window that no report has covered so far.

    Attributes:
        window: The time range.
        attempts: How many reports for it have failed or were rejected.
        since: The UTC day of the first failure.
        retry_on: The UTC day of the next attempt.
    """

    window: Window
    attempts: int
    since: date
    retry_on: date

    def is_due(self, today: date) -> bool:
        """Whether its next attempt is due; days that a clock ahead has recorded do not count."""
        return self.retry_on <= today or today < self.since

    def is_unresolved(self, today: date) -> bool:
        """Whether it has failed for so long that somebody has to look at it."""
        return (today - self.since).days >= UNRESOLVED_DAYS


def add_failure(
    failing: Iterable[FailingWindow], window: Window, today: date, min_days: int = 0
) -> tuple[FailingWindow, ...]:
    """Count a failed attempt at a window.

    Args:
        failing: The failing windows so far.
        window: The window of the report that failed, or of the request that was rejected.
        today: The present UTC day.
        min_days: Fewest days until the next attempt.
    """
    before = [each for each in failing if overlaps(each.window, window)]
    attempts = 1 + max((each.attempts for each in before), default=0)
    days = max(min_days, RETRY_DAYS[min(attempts, len(RETRY_DAYS)) - 1])
    since = min([today, *(each.since for each in before)])
    added = FailingWindow(window, attempts, since, today + timedelta(days=days))
    return _compact(sorted([*remove_covered(failing, window), added]))


def remove_covered(failing: Iterable[FailingWindow], covered: Window) -> tuple[FailingWindow, ...]:
    """Drop what a report has covered since; a window may leave two, until another one fails."""
    return tuple(
        each._replace(window=part) for each in failing for part in without(each.window, [covered])
    )


def retries_due(failing: Iterable[FailingWindow], today: date) -> list[Window]:
    """Give the failing windows whose next attempt is due."""
    return [each.window for each in failing if each.is_due(today)]


def _compact(failing: Sequence[FailingWindow]) -> tuple[FailingWindow, ...]:
    """Join windows that touch and share their fate, then the nearest ones until a state has room.

    What lies between joined windows is read again when they are retried.
    """
    kept: list[FailingWindow] = []
    for each in failing:
        if kept and kept[-1].window.end == each.window.start and kept[-1][1:] == each[1:]:
            kept[-1] = each._replace(window=Window(kept[-1].window.start, each.window.end))
        else:
            kept.append(each)
    while len(kept) > MAX_FAILING:
        at = min(range(len(kept) - 1), key=lambda n: kept[n + 1].window.start - kept[n].window.end)
        first, second = kept[at : at + 2]
        kept[at : at + 2] = [
            FailingWindow(
                Window(first.window.start, max(first.window.end, second.window.end)),
                max(first.attempts, second.attempts),
                min(first.since, second.since),
                max(first.retry_on, second.retry_on),
            )
        ]
    return tuple(kept)
