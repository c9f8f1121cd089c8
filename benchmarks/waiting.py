"""A backfill of twelve reports that take a minute each to build, by the sandbox's clock.

Nobody waits: the sandbox's clock moves by what the tap waits, and by what reading is said to take.
"""

from __future__ import annotations

from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.measure import check
from benchmarks.report import Promise, Table, ratios, spread
from benchmarks.tap import MEASUREMENTS
from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api.reports import Reports
from tests.support.tap_process import run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.session import Session

NOW = "2026-03-13T06:00:00Z"
WINDOWS, BUILDING = 12, 60
READING = 45
MINUTE = timedelta(minutes=1)
HEAD = (
    *("Reading takes", "Reports at once", "Minutes"),
    *("Of the tap's with one at once", "Of one after the other", "Runs"),
)
NOTE = (
    "One after the other: each report is built and read before the next one is asked for, and seen"
    " the instant it is ready. The tap waits between two looks at a report, so that it sees it a"
    " while later. Reading takes time here because the sandbox moves its clock when it hands out a"
    " file."
)


def run(session: Session) -> Iterator[Table | Promise]:
    """Run the backfill with one report building at a time, and with three."""
    title = f"Waiting: {WINDOWS} reports, {BUILDING} s to build each, by the sandbox's clock"
    table = Table(title, HEAD, note=NOTE)
    for reading in (0, READING):
        one = [_backfill(1, reading) for _ in range(session.rounds)]
        three = [_backfill(3, reading) for _ in range(session.rounds)]
        for at_once, minutes in ((1, one), (3, three)):
            bare = [WINDOWS * (BUILDING + reading) / 60]
            session.say(f"{at_once} at once: {minutes[-1]:.1f} minutes")
            shares = (spread(ratios(minutes, one)), spread(ratios(minutes, bare)))
            cells = (f"{reading} s", str(at_once), spread(minutes), *shares)
            table.rows.append([*cells, str(len(minutes))])
        share = median(ratios(three, one))
        if not reading:
            kept = Promise("Waiting with three reports at once, of that with one", 0.4, share)
    yield table
    yield kept


def _backfill(concurrency: int, reading: float) -> float:
    """Give the minutes that it takes by the clock."""
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True, report_seconds=BUILDING) as sandbox:
        download = Reports.download

        def slow_download(reports: Reports, *asked: Any) -> Any:  # noqa: ANN401
            sandbox.clock.advance(reading)
            return download(reports, *asked)

        begun = sandbox.clock.now()
        with patch.object(Reports, "download", slow_download):
            run_tap(
                sandbox,
                streams=[MEASUREMENTS],
                start_date="2026-03-01",
                end_date="2026-03-13",
                report_window_days=1,
                report_concurrency=concurrency,
            ).check()
        asked = [each for each in sandbox.requests if each["method"] == "POST"]
        check("reports", len(asked), WINDOWS)
        return (sandbox.clock.now() - begun) / MINUTE
