"""What becomes of a report that was requested: decisions over plain values."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.core.timestamps import EPOCH, Window

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.core.frequencies import Frequency

MAX_PENDING_TIME = timedelta(hours=6)
"""How long Clarity may build a report. Reports were seen to take minutes."""
STALE_AFTER = timedelta(hours=1)
"""From this age on a pending report no longer counts towards `report_concurrency`."""
MAX_INCONCLUSIVE_POLLS = 3
"""How often an answer that decides nothing has to come in one run before it is acted on."""
MAX_BAD_RUNS = 2
"""In how many runs a report's files may be unusable before another report is requested."""
MIN_EMPTY_REPORTS = 2
"""How many reports of a window have to succeed without files before the window is empty."""


class Report(NamedTuple):
    """A report that Clarity has accepted and whose rows have not been written yet.

    Attributes:
        id: Clarity's id of it.
        window: The time range that was requested.
        requested_at: When it was requested.
        empty_count: How many times the window's reports were found to have succeeded without
            files: once per run, and once more for the report that this one replaces.
        bad_runs: In how many runs its files could not be downloaded or read.
    """

    id: str
    window: Window
    requested_at: datetime
    empty_count: int = 0
    bad_runs: int = 0


class ReportStatus(Enum):
    """The status of a report, whatever words Clarity has for it."""

    IN_PROGRESS = auto()
    SUCCEEDED = auto()
    FAILED = auto()
    NOT_FOUND = auto()


_STATUS_WORDS = {
    ReportStatus.IN_PROGRESS: "inprogress pending queued processing running",
    ReportStatus.SUCCEEDED: "succeeded success successful completed complete finished ready done",
}
"""`in-progress`, `succeeded` and `failed` are documented; the others are common elsewhere."""


def status_of(word: str) -> ReportStatus:
    """Classify a status word; one that is unknown means that the report has ended without files."""
    letters = "".join(filter(str.isalpha, word)).casefold()
    for status, words in _STATUS_WORDS.items():
        if letters in words.split():
            return status
    return ReportStatus.FAILED


class NextStep(Enum):
    """What to do with a pending report after a poll."""

    WAIT = auto()
    POLL_AGAIN = auto()
    """The answer is inconclusive: poll again soon."""
    DOWNLOAD = auto()
    KEEP = auto()
    """Leave the report to the next run."""
    REPLACE = auto()
    """Request the window once more, and drop this report when that is accepted."""
    FAIL = auto()
    CLOSE_EMPTY = auto()


def next_step(
    report: Report, status: ReportStatus, now: datetime, *, has_files: bool, polls: int
) -> NextStep:
    """Decide what to do with a report.

    Args:
        report: The report.
        status: What Clarity answered to the last poll.
        now: The present instant.
        has_files: Whether the answer names files.
        polls: How many inconclusive answers have come in this run, this one included.
    """
    if status is ReportStatus.IN_PROGRESS:
        # A report from the future was recorded by a clock that was ahead.
        is_stuck = abs(now - report.requested_at) >= MAX_PENDING_TIME
        return NextStep.FAIL if is_stuck else NextStep.WAIT
    if status is ReportStatus.FAILED:
        return NextStep.FAIL
    if status is ReportStatus.SUCCEEDED and has_files:
        return NextStep.DOWNLOAD
    if polls < MAX_INCONCLUSIVE_POLLS:
        return NextStep.POLL_AGAIN
    return NextStep.FAIL if status is ReportStatus.NOT_FOUND else _step_without_files(report)


def _step_without_files(report: Report) -> NextStep:
    if report.empty_count >= MIN_EMPTY_REPORTS:
        return NextStep.CLOSE_EMPTY
    return NextStep.REPLACE if report.empty_count else NextStep.KEEP


class Echo(NamedTuple):
    """What a report's record says that was requested; None for what it does not say."""

    start: datetime | None = None
    end: datetime | None = None
    output_frequency: str | None = None


def served_window(window: Window, echo: Echo, frequency: Frequency) -> Window | None:
    """Give the part of a window that a report covers, going by its echo; None if it is no part.

    What lies between two averaging periods' starts counts as rounding, such as an end of
    23:59:59.999.
    """
    start = max(window.start, echo.start or window.start)
    end = min(window.end, echo.end or window.end)
    start = start if _has_period_start(window.start, start, frequency) else window.start
    end = end if _has_period_start(end, window.end, frequency) else window.end
    return Window(start, end) if start < end else None


def _has_period_start(start: datetime, end: datetime, frequency: Frequency) -> bool:
    """Tell whether an averaging period starts between two times, the first one included."""
    return start < end and start + (EPOCH - start) % frequency.step < end


def is_other_frequency(echo: Echo, frequency: Frequency) -> bool:
    """Tell whether a report was made for another output frequency than the one requested."""
    return (echo.output_frequency or frequency.name).casefold() != frequency.name
