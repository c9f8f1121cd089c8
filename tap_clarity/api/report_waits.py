"""How long reports are waited for: the budget of a run, the pause between polls, an estimate."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.planning.report_steps import MAX_PENDING_TIME

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.timestamps import Window

MAX_POLL_INTERVAL = 60.0
POLL_INTERVAL_GROWTH = 1.5


@dataclass(slots=True)
class WaitBudget:
    """How many seconds of waiting for reports a run has left, over all its streams."""

    seconds: float


class ReadyFiles(NamedTuple):
    """The files of a completed report, and the time range that they serve."""

    urls: tuple[str, ...]
    served: Window


@dataclass(slots=True)
class PollState:
    """What this run knows of one pending report.

    Attributes:
        next_at: When to poll it next.
        interval: The pause before the next poll, in seconds, jitter apart.
        inconclusive: How many of the last polls have decided nothing.
        files: Where its files are and what they serve; None as long as it is not complete.
        is_left: Whether it is left to the next run.
    """

    next_at: datetime
    interval: float
    inconclusive: int = 0
    files: ReadyFiles | None = None
    is_left: bool = False

    @property
    def is_polled(self) -> bool:
        """Whether it has to be polled again in this run."""
        return self.files is None and not self.is_left

    def postpone(self, now: datetime) -> None:
        """Schedule the next poll after a pause that grows, with jitter."""
        pause = self.interval * random.uniform(0.8, 1.0)  # noqa: S311
        self.next_at = now + timedelta(seconds=pause)
        self.interval = min(POLL_INTERVAL_GROWTH * self.interval, MAX_POLL_INTERVAL)


class BuildTimes:
    """How long Clarity took for the reports of this run, for estimates."""

    def __init__(self) -> None:
        self._finished: list[timedelta] = []

    def add(self, requested_at: datetime, now: datetime) -> None:
        """Record that a report is complete; one of an earlier run may have been so for long."""
        if timedelta(0) <= now - requested_at < MAX_PENDING_TIME:
            self._finished.append(now - requested_at)

    def estimate(self, last_request: datetime, rounds: int, now: datetime) -> str:
        """Tell when all reports will be complete: the last one, and rounds of later requests."""
        if not self._finished:
            return "no estimate of the end yet"
        mean = sum(self._finished, timedelta()) / len(self._finished)
        # A request from the future was recorded by a clock that was ahead.
        end = max(now, min(last_request, now) + mean) + rounds * mean
        return f"estimated end {end:%Y-%m-%d %H:%M} UTC"
