"""Counts the records of a response while they pass, without holding them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import format_instant
from tap_clarity.measurements.fast.record_writer import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tap_clarity.streams.measurements import Piece

# No text value holds this: its quotation marks would be escaped.
TIME = re.compile(r'"time": ?"([^"]+)"')


class RecordCount:
    """How many records have passed.

    Attributes:
        all: All of them.
        since: Those with a time at or after each of the given instants.
    """

    def __init__(self, *starts: datetime) -> None:
        self.all = 0
        self.since = [0] * len(starts)
        self._starts = [format_instant(start) for start in starts]

    def watch(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Give the pieces as they are, and count their records."""
        for piece in pieces:
            times = TIME.findall(piece.text) if isinstance(piece, Lines) else [piece["time"]]
            self._add(Counter(times))
            yield piece

    def _add(self, times: Counter[str]) -> None:
        self.all += times.total()
        for number, start in enumerate(self._starts):
            self.since[number] += sum(count for time, count in times.items() if time >= start)
