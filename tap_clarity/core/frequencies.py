"""What differs between Clarity's three output frequencies."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Frequency(NamedTuple):
    """One output frequency, with Clarity's limits for it and the tap's defaults.

    Source: the guide's pages on recent measurements (cache) and on metrics (periods).
    """

    name: str
    step: timedelta
    """What a head of new data is rounded down to."""
    period: timedelta | None
    """Length of the period that one measurement covers; None for single samples."""
    cache: timedelta
    """How far back the recent query reaches."""
    lateness: timedelta
    """How late a measurement may arrive and still be expected."""
    report_window_days: int
    lookback_days: int


FREQUENCIES = {
    "minute": Frequency("minute", MINUTE, None, 24 * HOUR, 3 * HOUR, 7, 3),
    "hour": Frequency("hour", HOUR, HOUR, 48 * HOUR, 3 * HOUR, 31, 3),
    "day": Frequency("day", DAY, DAY, 10 * DAY, 2 * DAY, 366, 10),
}
