"""Which periods are present, which are missing, and for which stations. Pure.

Periods are whole numbers since the epoch: hours, or days where the data is daily.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Interval(NamedTuple):
    """Consecutive periods; `end` is exclusive."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def overlap(self, other: Interval) -> int:
        """How many periods both have."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))


class Gap(NamedTuple):
    """A gap, and the stations that have exactly this one; without ids, it is that of all."""

    interval: Interval
    station_ids: tuple[str, ...]

    @property
    def is_for_all(self) -> bool:
        return not self.station_ids


class Count(NamedTuple):
    """How many periods are present, and how many are expected."""

    present: int
    expected: int


@dataclass(frozen=True)
class Coverage:
    """What each station has; expected is from its own first period to the network's newest."""

    periods: Mapping[str, Sequence[Interval]]

    @cached_property
    def extent(self) -> Interval:
        """From the network's first period to its newest."""
        return Interval(self.union[0].start, self.union[-1].end)

    @cached_property
    def union(self) -> list[Interval]:
        """The periods in which at least one station has any measurement."""
        merged: list[Interval] = []
        for interval in sorted(each for intervals in self.periods.values() for each in intervals):
            if merged and interval.start <= merged[-1].end:
                merged[-1] = Interval(merged[-1].start, max(interval.end, merged[-1].end))
            else:
                merged.append(interval)
        return merged

    def count(self, station_id: str) -> Count:
        intervals = self.periods[station_id]
        present = sum(interval.length for interval in intervals)
        return Count(present, self.extent.end - intervals[0].start)

    def gaps(self) -> list[Gap]:
        """All gaps: those of all stations first, then the longest ones.

        A station's gap within one of all stations is left out. The gaps of a single station are
        its own: nothing says whether they are the pipeline's.
        """
        end = self.extent.end
        shared = list(_gaps_between(self.union, end)) if len(self.periods) > 1 else []
        own: dict[Interval, list[str]] = defaultdict(list)
        for id_, intervals in self.periods.items():
            for gap in _gaps_between(intervals, end):
                if not any(gap.overlap(other) == gap.length for other in shared):
                    own[gap].append(id_)
        gaps = [Gap(interval, ()) for interval in shared]
        gaps += [Gap(interval, tuple(ids)) for interval, ids in own.items()]
        return sorted(
            gaps, key=lambda gap: (not gap.is_for_all, -gap.interval.length, gap.interval)
        )


def count_by_day(
    intervals: Sequence[Interval], end: int, days: range, periods_per_day: int
) -> list[Count]:
    """Count the periods of each day, expecting them from the first one to `end`."""
    expected = Interval(intervals[0].start, end)
    present: dict[int, int] = defaultdict(int)
    for interval in intervals:
        for day in days_of(interval, periods_per_day):
            present[day] += interval.overlap(_day(day, periods_per_day))
    return [Count(present[day], expected.overlap(_day(day, periods_per_day))) for day in days]


def days_of(interval: Interval, periods_per_day: int) -> range:
    return range(interval.start // periods_per_day, -(-interval.end // periods_per_day))


def _day(day: int, periods_per_day: int) -> Interval:
    return Interval(day * periods_per_day, (day + 1) * periods_per_day)


def _gaps_between(intervals: Sequence[Interval], end: int) -> Iterator[Interval]:
    """Yield the gaps between intervals, and the one after the last."""
    starts = [*(interval.start for interval in intervals[1:]), end]
    for interval, start in zip(intervals, starts, strict=True):
        if interval.end < start:
            yield Interval(interval.end, start)
