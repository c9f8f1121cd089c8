"""Counts the records of a response while they are written, without holding them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import format_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.measurements.fast.record_writer import Lines
    from tap_clarity.measurements.records import Record

# No text value holds this: its quotation marks would be escaped.
TIME = re.compile(r'"time": ?"([^"]+)"')


class RecordCount:
    """How many records have been written.

    Attributes:
        all: All of them.
        since: Those with a time at or after each of the given timestamps.
    """

    def __init__(self, *starts: datetime) -> None:
        self.all = 0
        self.since = [0] * len(starts)
        self._starts = [format_timestamp(start) for start in starts]

    def add_lines(self, lines: Lines) -> None:
        """Count the records in lines."""
        self._add(Counter(TIME.findall(lines.text)))

    def add_record(self, record: Record) -> None:
        """Count a record."""
        self._add(Counter([record["time"]]))

    def _add(self, times: Counter[str]) -> None:
        self.all += times.total()
        for number, start in enumerate(self._starts):
            self.since[number] += sum(count for time, count in times.items() if time >= start)
