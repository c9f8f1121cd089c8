"""Arithmetic of half-open windows."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import DAY, Window, floor

if TYPE_CHECKING:
    from collections.abc import Iterable


def days_long(days: int) -> timedelta:
    """Give a length in days; one that no calendar holds is cut to what it holds."""
    return timedelta(days=min(days, date.max.toordinal()))


def merged(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap or touch, oldest first."""
    result: list[Window] = []
    for window in sorted(windows):
        if window.start >= window.end:
            continue
        if result and window.start <= result[-1].end:
            result[-1] = Window(result[-1].start, max(result[-1].end, window.end))
        else:
            result.append(window)
    return result


def without(whole: Window, covered: Iterable[Window]) -> list[Window]:
    """Give what is left of a window when others are taken out, oldest first."""
    result = []
    start = whole.start
    for window in merged(covered):
        if start < min(window.start, whole.end):
            result.append(Window(start, min(window.start, whole.end)))
        start = max(start, window.end)
    if start < whole.end:
        result.append(Window(start, whole.end))
    return result


def overlaps(one: Window, other: Window) -> bool:
    """Tell whether two windows have an instant in common."""
    return one.start < other.end and other.start < one.end


def cut(whole: Window, days: int) -> list[Window]:
    """Cut into pieces of at most `days`, oldest first; all but the first begin at 00:00 UTC."""
    longest = days_long(days)
    result = []
    start = whole.start
    while start < whole.end:
        midnight = floor(start, DAY)
        end = whole.end if whole.end - midnight <= longest else midnight + longest
        result.append(Window(start, end))
        start = end
    return result


def newest(whole: Window, days: int) -> Window:
    """Give the last piece of a window, at most `days` long and from 00:00 UTC if it is not all."""
    longest = days_long(days)
    if whole.end - whole.start <= longest:
        return whole
    earliest = whole.end - longest
    midnight = floor(earliest, DAY)
    return Window(midnight if midnight == earliest else midnight + DAY, whole.end)
