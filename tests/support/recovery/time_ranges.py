"""Half-open time ranges in milliseconds, as the checks of a simulation compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_clarity.sandbox.core.timestamps import to_millis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class TimeRange(NamedTuple):
    """A half-open time range in milliseconds."""

    start: int
    end: int

    def overlaps(self, other: TimeRange) -> bool:
        return self.start < other.end and other.start < self.end


def merge_ranges(ranges: Iterable[TimeRange]) -> list[TimeRange]:
    """Merge ranges that overlap or are adjacent."""
    merged: list[TimeRange] = []
    for each in sorted(ranges):
        if merged and each.start <= merged[-1].end:
            merged[-1] = TimeRange(merged[-1].start, max(merged[-1].end, each.end))
        else:
            merged.append(each)
    return merged


def time_ranges(values: Iterable[Sequence[Any]], first: int = 0) -> list[TimeRange]:
    """Read the windows from a list of a state; `first` is the index of the start in each entry."""
    return [TimeRange(to_millis(each[first]), to_millis(each[first + 1])) for each in values]
