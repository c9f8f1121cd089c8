"""What `--plan` prints: what the next run would do, without a request to Clarity."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.planning.backfill_end import estimate_backfill_end
from tap_clarity.planning.due import allocate_quota
from tap_clarity.planning.recent_steps import ContinueToken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.backfill_end import StreamPlan
    from tap_clarity.planning.due import Due
    from tap_clarity.planning.recent_steps import QueryCache
    from tap_clarity.planning.report_ledger import ReportLedger

RECENT = "recent_measurements"
LABELS = ("new data", "lookback", "retry", "backfill")
"""What the windows of each priority are called."""


class RunPlan(NamedTuple):
    """What the next run would do.

    Attributes:
        now: The present instant.
        recent: The next step of the recent measurements; None if they are not selected.
        gaps: The windows that are due for gaps in them.
        streams: The selected report streams, in the order in which they run.
        ledgers: The reports of all these streams, by name.
        restarted: The report streams whose query has changed.
        left: How many report requests are left today.
        daily_limit: How many there are on every other day.
    """

    now: datetime
    recent: ContinueToken | QueryCache | None
    gaps: Due
    streams: Mapping[str, StreamPlan]
    ledgers: Mapping[str, ReportLedger]
    restarted: Collection[str]
    left: int
    daily_limit: int

    @property
    def dues(self) -> dict[str, Due]:
        """The windows that are due, by stream; gaps come first."""
        dues = {name: stream.due(self.now) for name, stream in self.streams.items()}
        return ({RECENT: self.gaps} if self.recent else {}) | dues

    @property
    def shares(self) -> dict[str, Due]:
        """Those of them that the next run requests."""
        gaps = allocate_quota({RECENT: self.gaps}, self.left)[RECENT]
        others = {name: due for name, due in self.dues.items() if name != RECENT}
        shares = allocate_quota(others, self.left - gaps.total)
        return ({RECENT: gaps} if self.recent else {}) | shares


class Row(NamedTuple):
    """One line of the table: a window, or all those that have to wait."""

    stream: str
    what: str
    windows: Sequence[Window]
    requested: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the line."""
        start, end = (f"{t:%Y-%m-%d %H:%M}" for t in (self.windows[0].start, self.windows[-1].end))
        return self.stream, self.what, start, end, f"{len(self.windows):7}", self.requested


HEADER = ("Stream", "What", "From (UTC)", "To (UTC)", "Reports", "Requested")


def format_plan(plan: RunPlan) -> Iterator[str]:
    """Write the plan, line by line."""
    dues, shares = plan.dues, plan.shares
    rows = [row for name in plan.ledgers for row in _rows(name, plan, dues[name], shares[name])]
    yield f"The next run, as of {plan.now:%Y-%m-%d %H:%M} UTC (nothing has been requested):"
    yield ""
    if not plan.ledgers:
        yield "No measurement stream is selected."
    yield from _remarks(plan, {row.stream for row in rows})
    if rows:
        yield ""
        yield from _table([HEADER, *(row.cells for row in rows)])
    if plan.ledgers:
        yield ""
        yield (
            f"Report requests: {sum(share.total for share in shares.values())} in the next run, "
            f"{plan.left} left today, {plan.daily_limit} a day (report_daily_limit)."
        )
    if plan.streams:
        yield _end(plan)


def _remarks(plan: RunPlan, busy: Collection[str]) -> Iterator[str]:
    if isinstance(plan.recent, ContinueToken):
        yield f"{RECENT}: resumes with the continuation token"
    elif plan.recent:
        since = plan.recent.start
        yield f"{RECENT}: queries Clarity's cache for everything since {since:%Y-%m-%d %H:%M}"
    for name in plan.restarted:
        yield f"{name}: settings of its query have changed, so it starts again"
    for name in (name for name in plan.streams if name not in busy):
        yield f"{name}: no report is due"


def _rows(name: str, plan: RunPlan, due: Due, share: Due) -> Iterator[Row]:
    ledger, today = plan.ledgers[name], plan.now.date()
    for report in ledger.pending:
        yield Row(name, "pending", [report.window], f"{report.requested_at:%Y-%m-%d %H:%M}")
    for label, windows, now in zip(LABELS, due, share, strict=True):
        yield from _due(name, "gap" if name == RECENT else label, windows, now)
    for failing in ledger.failing:
        if not failing.is_due(today):
            what = f"failing ({failing.attempts})"
            yield Row(name, what, [failing.window], f"on {failing.retry_on}")


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


def _end(plan: RunPlan) -> str:
    day = estimate_backfill_end(
        plan.streams, plan.left, plan.daily_limit, plan.now, gaps=plan.gaps.total
    )
    if day is None:
        return "New data alone uses up report_daily_limit, and the backfill never ends: raise it."
    if not any(chain.from_iterable(plan.dues[name].backfill for name in plan.streams)):
        return "No backfill is due."
    return f"The backfill ends on {day} (UTC), if the tap runs every day."
