"""Time as a set of half hours: a simple model to compare windows with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st

from tap_clarity.core.timestamps import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

HALF_HOUR = timedelta(minutes=30)
FIRST = datetime(2026, 2, 20, tzinfo=UTC)
HALF_HOURS = 48 * 14

SOME_EXAMPLES = settings(deadline=None, max_examples=150, print_blob=True)
MANY_EXAMPLES = settings(deadline=None, max_examples=400, print_blob=True)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parse_window(text: str) -> Window:
    """Read `2026-03-01 to 2026-03-04T12:00`."""
    start, end = text.split(" to ")
    return Window(at(start), at(end))


def parse_windows(*texts: str) -> list[Window]:
    return [parse_window(text) for text in texts]


def half_hours(windows: Iterable[Window]) -> set[int]:
    """Give all half hours that the windows hold, counted from FIRST."""
    return {
        number
        for window in windows
        for number in range((window.start - FIRST) // HALF_HOUR, (window.end - FIRST) // HALF_HOUR)
    }


def are_disjoint(windows: list[Window]) -> bool:
    """Tell whether no instant is in two of the windows, and none of them is empty."""
    return len(half_hours(windows)) == sum(len(half_hours([window])) for window in windows) and all(
        window.start < window.end for window in windows
    )


def is_midnight(instant: datetime) -> bool:
    return instant == instant.replace(hour=0, minute=0, second=0, microsecond=0)


def is_in_time(window: Window, days: int) -> bool:
    return window.end - window.start <= timedelta(days=days)


timestamps = st.integers(0, HALF_HOURS).map(lambda number: FIRST + number * HALF_HOUR)
windows = (
    st.tuples(timestamps, timestamps)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: Window(min(pair), max(pair)))
)
window_lists = st.lists(windows, max_size=5)
