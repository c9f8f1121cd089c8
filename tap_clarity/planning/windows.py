"""Arithmetic of half-open windows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.instants import DAY, Window, floor

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def cut(whole: Window, days: int) -> list[Window]:
    """Cut into pieces of at most `days`, oldest first; all but the first begin at 00:00 UTC."""
    result = []
    start = whole.start
    while start < whole.end:
        end = min(floor(start, DAY) + timedelta(days=days), whole.end)
        result.append(Window(start, end))
        start = end
    return result


def newest(whole: Window, days: int) -> Window:
    """Give the last piece of a window, at most `days` long and from 00:00 UTC if it is not all."""
    earliest = whole.end - timedelta(days=days)
    midnight = floor(earliest, DAY)
    return Window(max(whole.start, midnight if midnight == earliest else midnight + DAY), whole.end)
