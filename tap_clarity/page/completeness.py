"""Which periods are there, which are missing, and whose the hole is. Pure.

Periods are whole numbers since the epoch: hours, or days where the data is daily.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_clarity.page.queries import Spell


class Span(NamedTuple):
    """Periods in a row; `end` is no longer part."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    def meets(self, other: Span) -> int:
        """How many periods both have."""
        return max(0, min(self.end, other.end) - max(self.start, other.start))


class Gap(NamedTuple):
    """A hole, and the stations that have exactly this one; none named means all at once."""

    span: Span
    ids: tuple[str, ...]

    @property
    def is_everyones(self) -> bool:
        return not self.ids


class Cell(NamedTuple):
    """A day: how many periods are there, of how many expected."""

    there: int
    expected: int


@dataclass(frozen=True)
class Coverage:
    """What each station has; expected is from its own first period to the network's newest."""

    spans: dict[str, list[Span]]

    @classmethod
    def of(cls, spells: Iterable[Spell]) -> Coverage:
        spans: dict[str, list[Span]] = defaultdict(list)
        for spell in spells:
            spans[spell.id].append(Span(spell.start, spell.end))
        return cls(dict(spans))

    @cached_property
    def whole(self) -> Span:
        """From the network's first period to its newest."""
        every = [span for spans in self.spans.values() for span in spans]
        return Span(min(each.start for each in every), max(each.end for each in every))

    @cached_property
    def together(self) -> list[Span]:
        """Where at least one station has anything."""
        merged: list[Span] = []
        for span in sorted(span for spans in self.spans.values() for span in spans):
            if merged and span.start <= merged[-1].end:
                merged[-1] = Span(merged[-1].start, max(span.end, merged[-1].end))
            else:
                merged.append(span)
        return merged

    def total(self, id_: str) -> Cell:
        spans = self.spans[id_]
        return Cell(sum(each.length for each in spans), self.whole.end - spans[0].start)

    def gaps(self) -> list[Gap]:
        """All holes: everyone's first, then the longest; what is part of one for all is left out.

        One station alone is not `everyone`: nothing says whether the hole is its own.
        """
        end = self.whole.end
        shared = list(_between(self.together, end)) if len(self.spans) > 1 else []
        own: dict[Span, list[str]] = defaultdict(list)
        for id_, spans in self.spans.items():
            for gap in _between(spans, end):
                if not any(gap.meets(other) == gap.length for other in shared):
                    own[gap].append(id_)
        alone = [Gap(span, tuple(ids)) for span, ids in own.items()]
        alone.sort(key=lambda gap: (-gap.span.length, gap.span.start, gap.ids))
        shared.sort(key=lambda span: (-span.length, span.start))
        return [*(Gap(span, ()) for span in shared), *alone]


def by_day(spans: Sequence[Span], end: int, days: range, per_day: int) -> list[Cell]:
    """A cell for each day, expecting from the first span to `end`."""
    wanted = Span(spans[0].start, end)
    there: dict[int, int] = defaultdict(int)
    for span in spans:
        for day in range(span.start // per_day, -(-span.end // per_day)):
            there[day] += span.meets(_day(day, per_day))
    return [Cell(there[day], wanted.meets(_day(day, per_day))) for day in days]


def days_of(span: Span, per_day: int) -> range:
    return range(span.start // per_day, -(-span.end // per_day))


def _day(day: int, per_day: int) -> Span:
    return Span(day * per_day, (day + 1) * per_day)


def _between(spans: Sequence[Span], end: int) -> Iterator[Span]:
    """The holes between spans, and after the last one."""
    starts = [*(span.start for span in spans[1:]), end]
    for span, start in zip(spans, starts, strict=True):
        if span.end < start:
            yield Span(span.end, start)
