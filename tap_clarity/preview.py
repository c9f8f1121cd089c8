"""What `--plan` prints: what the next run would do, without asking Clarity for anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_clarity.planning.due import allot
from tap_clarity.planning.forecast import backfill_ends_on
from tap_clarity.planning.recovery import GoOn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_clarity.instants import Window
    from tap_clarity.planning.due import Due
    from tap_clarity.planning.forecast import Standing
    from tap_clarity.planning.recovery import AskCache

MOST_WINDOWS = 12


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the plan is made of.

    Attributes:
        now: The present instant.
        recent: The next step of the recent measurements; None if they are not selected.
        standings: The selected report streams, in the order in which they run.
        building: How many reports Clarity is building, by stream.
        left: How many report requests are left today.
        daily_limit: How many there are on every other day.
    """

    now: datetime
    recent: GoOn | AskCache | None
    standings: Mapping[str, Standing]
    building: Mapping[str, int]
    left: int
    daily_limit: int


def preview(outlook: Outlook) -> Iterator[str]:
    """Write the plan, line by line."""
    yield f"The next run, as of {outlook.now:%Y-%m-%d %H:%M} UTC (nothing has been asked for):"
    yield ""
    if outlook.recent is not None:
        yield f"recent_measurements: {_recent(outlook.recent)}"
    dues = {name: standing.due(outlook.now) for name, standing in outlook.standings.items()}
    allowed = allot(dues, outlook.left)
    for name, due in dues.items():
        yield from _stream(name, due, len(allowed[name]), outlook.building[name])
    if dues:
        yield ""
        yield (
            f"Report requests: {sum(map(len, allowed.values()))} in this run, "
            f"{outlook.left} left today, {outlook.daily_limit} a day."
        )
        yield _end(outlook)


def _recent(step: GoOn | AskCache) -> str:
    if isinstance(step, GoOn):
        return "goes on with the continuation token"
    return f"asks Clarity's cache for everything since {step.start:%Y-%m-%d %H:%M}"


def _stream(name: str, due: Due, allowed: int, building: int) -> Iterator[str]:
    if not due and not building:
        yield f"{name}: nothing is due"
        return
    yield (f"{name}: {len(due)} reports due, {allowed} of them in this run; {building} being built")
    yield from _windows("new data", due.head)
    yield from _windows("the past", due.backfill)


def _windows(what: str, windows: Sequence[Window]) -> Iterator[str]:
    for window in windows[:MOST_WINDOWS]:
        yield f"    {what}  {window}"
    if len(windows) > MOST_WINDOWS:
        yield f"    {what}  … and {len(windows) - MOST_WINDOWS} more, the last {windows[-1]}"


def _end(outlook: Outlook) -> str:
    day = backfill_ends_on(outlook.standings, outlook.left, outlook.daily_limit, outlook.now)
    if day is None:
        return "The past is never all read at this report_daily_limit: raise it."
    return f"All of the past is asked for by {day} (UTC), if the tap runs every day."
