"""What `--plan` prints: what the next run would do, without asking Clarity for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.planning.due import allot
from tap_clarity.planning.forecast import backfill_ends_on
from tap_clarity.planning.recovery import GoOn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_clarity.instants import Window
    from tap_clarity.planning.due import Due
    from tap_clarity.planning.forecast import Standing
    from tap_clarity.planning.recovery import AskCache

RECENT = "recent_measurements"


class Outlook(NamedTuple):
    """What the plan is made of.

    Attributes:
        now: The present instant.
        recent: The next step of the recent measurements; None if they are not selected.
        gaps: Windows of the reports that will fill their holes.
        standings: The selected report streams, in the order in which they run.
        building: Windows of the reports that Clarity is building, by stream.
        restarted: The report streams whose query has changed.
        left: How many report requests are left today.
        daily_limit: How many there are on every other day.
    """

    now: datetime
    recent: GoOn | AskCache | None
    gaps: Sequence[Window]
    standings: Mapping[str, Standing]
    building: Mapping[str, Sequence[Window]]
    restarted: Collection[str]
    left: int
    daily_limit: int


class Row(NamedTuple):
    """One line of the table: a window, or all those that have to wait."""

    stream: str
    what: str
    windows: Sequence[Window]
    asked_for: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the line."""
        start, end = (f"{t:%Y-%m-%d %H:%M}" for t in (self.windows[0].start, self.windows[-1].end))
        return self.stream, self.what, start, end, f"{len(self.windows):7}", self.asked_for


HEAD = ("Stream", "What", "From (UTC)", "To (UTC)", "Reports", "Asked for")


def preview(outlook: Outlook) -> Iterator[str]:
    """Write the plan, line by line."""
    dues = {name: standing.due(outlook.now) for name, standing in outlook.standings.items()}
    gaps = outlook.gaps[: outlook.left]
    shares = {RECENT: gaps} | allot(dues, outlook.left - len(gaps))
    rows = [row for name in outlook.building for row in _rows(name, outlook, dues, shares[name])]
    yield f"The next run, as of {outlook.now:%Y-%m-%d %H:%M} UTC (nothing has been asked for):"
    yield ""
    if not outlook.building:
        yield "No measurement stream is selected."
    yield from _remarks(outlook, {row.stream for row in rows})
    if rows:
        yield ""
        yield from _table([HEAD, *(row.cells for row in rows)])
    if outlook.building:
        yield ""
        yield (
            f"Report requests: {sum(map(len, shares.values()))} in the next run, "
            f"{outlook.left} left today, {outlook.daily_limit} a day (report_daily_limit)."
        )
    if dues:
        yield _end(outlook)


def _remarks(outlook: Outlook, busy: Collection[str]) -> Iterator[str]:
    if isinstance(outlook.recent, GoOn):
        yield f"{RECENT}: goes on with the continuation token"
    elif outlook.recent:
        since = outlook.recent.start
        yield f"{RECENT}: asks Clarity's cache for everything since {since:%Y-%m-%d %H:%M}"
    for name in outlook.restarted:
        yield f"{name}: settings of its query have changed, so it starts again"
    for name in (name for name in outlook.standings if name not in busy):
        yield f"{name}: no report is due"


def _rows(
    name: str, outlook: Outlook, dues: Mapping[str, Due], share: Sequence[Window]
) -> Iterator[Row]:
    for window in outlook.building[name]:
        yield Row(name, "being built", [window], "already")
    if name == RECENT:
        yield from _due(name, "a hole", outlook.gaps, share)
        return
    due = dues[name]
    yield from _due(name, "new data", [w for w in due.head if w not in due.again], share)
    yield from _due(name, "read again", [w for w in due.head if w in due.again], share)
    yield from _due(name, "the past", due.backfill, share)


def _due(
    name: str, what: str, windows: Sequence[Window], share: Collection[Window]
) -> Iterator[Row]:
    """Give a line for each window of the next run, and one for all others."""
    for window in windows:
        if window in share:
            yield Row(name, what, [window], "in the next run")
    later = [window for window in windows if window not in share]
    if later:
        yield Row(name, what, later, "later")


def _table(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _end(outlook: Outlook) -> str:
    day = backfill_ends_on(
        outlook.standings,
        outlook.left,
        outlook.daily_limit,
        outlook.now,
        gaps=len(outlook.gaps),
    )
    if day is None:
        return "New data alone uses up report_daily_limit, and the past is never read: raise it."
    if not any(standing.due(outlook.now).backfill for standing in outlook.standings.values()):
        return "Nothing of the past is missing."
    return f"The backfill ends on {day} (UTC), if the tap runs every day."
