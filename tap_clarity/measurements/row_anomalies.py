"""Counts rows that repeat a key, and rows outside the requested window: neither is an error."""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from datetime import timedelta
from sys import getsizeof
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import EPOCH
from tap_clarity.measurements.model import UnreadableError

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.timestamps import Window

MAX_REMEMBERED_BYTES = 1 << 23
"""About; enough for a million rows."""
MAX_TIMES_PER_ID = 1 << 14
"""Of an id whose rows are not in order; more than a year of hours. It bounds each insertion."""
_TIME_BYTES = 8
_ID_BYTES = 300
"""About, besides the id's text: an array and an entry in a dictionary."""
_MILLISECOND = timedelta(milliseconds=1)
_ALWAYS = (-(1 << 62), 1 << 62)

logger = logging.getLogger("tap-clarity.measurements")


def epoch_milliseconds(time: datetime) -> int:
    """Convert a timestamp of whole milliseconds."""
    return (time - EPOCH) // _MILLISECOND


class RowCheck:
    """Counts duplicates and rows outside the window among the rows of one file or response.

    A duplicate has the id and time of an earlier row. The rows may come in any order: the times of
    each id are remembered, sorted. Files are ordered by time or grouped by datasource, so a row's
    time is nearly always the last or the first of its id. Where the memory is full, only the first
    and the last time of each id are kept: rows in order are still told apart, others may be
    duplicates that are not counted.

    Attributes:
        duplicates: How many duplicates have been found.
        is_exact: Whether there cannot be more.
        outside: How many rows are outside the window.
    """

    def __init__(self, window: Window | None) -> None:
        self.duplicates = 0
        self.is_exact = True
        self.outside = 0
        self._window = window
        self._start, self._end = (
            map(epoch_milliseconds, (window.start, window.end)) if window else _ALWAYS
        )
        self._times: dict[str, array[int]] = {}
        self._room = MAX_REMEMBERED_BYTES // _TIME_BYTES

    def add(self, time: int, id_: str) -> None:
        """Add the key of the next row; the time in milliseconds."""
        if not self._start <= time < self._end:
            self.outside += 1
        try:
            times = self._times[id_]
        except KeyError:
            times = self._times[id_] = array("q")
            self._room -= _id_size(id_)
        if not times or time > times[-1]:
            times.append(time)
        elif not self._insert(times, time):
            self.duplicates += 1
            return
        self._room -= 1
        if self._room < 0:
            self._shrink()

    def _insert(self, times: array[int], time: int) -> bool:
        """Remember a time that is not the last of its id; False if it is there already."""
        if len(times) > MAX_TIMES_PER_ID:
            self._room += len(times) - 2
            del times[1:-1]
            self.is_exact = False
        position = bisect_left(times, time)
        if times[position] == time:
            return False
        times.insert(position, time)
        return True

    def _shrink(self) -> None:
        """Keep the first and the last time of each id, or nothing if the ids fill the memory."""
        self.is_exact = False
        size = MAX_REMEMBERED_BYTES // _TIME_BYTES
        if sum(map(_id_size, self._times)) > size // 2:
            self._times.clear()
        self._times = {id_: times[:1] + times[1:][-1:] for id_, times in self._times.items()}
        self._room = size - sum(_id_size(id_) + len(times) for id_, times in self._times.items())

    def finish(self, rows: int) -> None:
        """Log what was found among so many rows, in at most one line each.

        Raises:
            UnreadableError: If there are rows, but none inside the window.
        """
        if rows and self.outside == rows:
            raise UnreadableError("all rows are outside the requested window")
        if self.duplicates:
            logger.warning(
                "Duplicate rows: %s%s have the id and time of an earlier row; all are written, "
                "and the last one wins",
                "" if self.is_exact else "at least ",
                f"{self.duplicates:,}",
            )
        if self.outside:
            logger.warning(
                "Rows outside the requested window (%s): %s; they are written",
                self._window,
                f"{self.outside:,}",
            )


def _id_size(id_: str) -> int:
    """Return how many times would take the memory of an id, about."""
    return (_ID_BYTES + getsizeof(id_)) // _TIME_BYTES
