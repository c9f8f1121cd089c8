"""The order of a file's lines, and lines that are repeated."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.world.rng import mix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.csv_wide import Line
    from tap_clarity.sandbox.behavior.quirks import Quirks

_REPEATED_EVERY: Final = 20


def order_lines(lines: Iterable[Line], quirks: Quirks, id_columns: int) -> Iterator[Line]:
    """Order and repeat lines as the quirks say; without quirks, keep none in memory."""
    if Unknown.ROWS_GROUPED in quirks:
        lines = sorted(lines, key=itemgetter(0))
    elif Unknown.ROWS_SHUFFLED in quirks:
        numbered = sorted(enumerate(lines), key=lambda each: mix(each[0]))
        lines = (line for _, line in numbered)
    if quirks & {Unknown.ROWS_REVISED, Unknown.ROWS_REPEATED}:
        lines = _repeated(lines, id_columns, revised=Unknown.ROWS_REVISED in quirks)
    yield from lines


def _repeated(lines: Iterable[Line], id_columns: int, *, revised: bool) -> Iterator[Line]:
    """Repeat some lines at the end; if the first ones are revised, these are the right ones."""
    last = []
    for number, line in enumerate(lines):
        if number % _REPEATED_EVERY:
            yield line
            continue
        last.append(line)
        yield [*line[:id_columns], *map(_changed, line[id_columns:])] if revised else list(line)
    yield from last


def _changed(cell: Any) -> Any:  # noqa: ANN401 - a cell is a number, a text or nothing
    return cell + 1 if isinstance(cell, int | float) else cell
