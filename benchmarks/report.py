"""Tables of figures, as Markdown: a median, and in brackets the least and the most."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass
class Table:
    """A table with a title; the first column is text, the others are figures."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""

    def __str__(self) -> str:
        lines = [self.head, ["---", *("---:" for _ in self.head[1:])], *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(part for part in (f"### {self.title}", body, self.note) if part)


class Promise(NamedTuple):
    """What the tap is to keep, and what came out."""

    text: str
    limit: float
    found: float
    at_most: bool = True

    @property
    def kept(self) -> bool:
        return self.found <= self.limit if self.at_most else self.found >= self.limit

    def cells(self) -> tuple[str, str, str, str]:
        bound = "at most" if self.at_most else "at least"
        return (self.text, f"{bound} {self.limit:,g}", number(self.found), self._word)

    @property
    def _word(self) -> str:
        return "yes" if self.kept else "**no**"


def promises(found: Iterable[Promise]) -> Table:
    """Show what is kept and what is not."""
    head = ("What", "Promised", "Median", "Kept")
    return Table("Promises", head, [promise.cells() for promise in found])


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Divide round by round; one with fewer rounds begins anew."""
    if len(over) >= len(under):
        return [a / b for a, b in zip(over, cycle(under), strict=False)]
    return [a / b for a, b in zip(cycle(over), under, strict=False)]


def spread(values: Sequence[float]) -> str:
    """Show a median between the least and the most."""
    middle = number(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    """Show three digits or so."""
    if value <= 0:
        return f"{value:.1f}"
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if value >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"
