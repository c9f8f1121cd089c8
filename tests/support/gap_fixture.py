"""Three days of a network, with gaps: the messages of the tap, and the rows of the raw tables."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_clarity.sandbox import Sandbox
from tests.support import expected_tables
from tests.support.constants import NOW
from tests.support.meltano.project import CACHE, FIRST_RUN, REPORT_TAKES, START, hourly
from tests.support.tap_process import run_tap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.tap_process import Key, Record, TapRun

SINCE = f"{START:%Y-%m-%d}"
REPORTED = FIRST_RUN + timedelta(hours=18)
LAST = REPORTED + timedelta(hours=24)
# Half-open. The first datasource lacks the first range, all datasources the second.
OWN_GAP = "2026-03-09T03:00:00.000Z", "2026-03-09T09:00:00.000Z"
SHARED_GAP = "2026-03-09T06:00:00.000Z", "2026-03-09T11:00:00.000Z"

FEW = "pm1ConcMass1HourMean", "pm10ConcMass1HourMean"
"""Metrics that have all cases of the rule, for warehouses that load slowly."""


class LoadedNetwork(NamedTuple):
    """The tap's messages, and the rows that they make."""

    messages: list[Record]
    recent: dict[Key, Record]
    report: dict[Key, Record]
    datasources: list[Record]

    @property
    def output(self) -> bytes:
        return b"".join(json.dumps(each).encode() + b"\n" for each in self.messages)

    def only(self, *metrics: str) -> LoadedNetwork:
        """Leave out all measurements of other metrics."""

        def kept(row: Record) -> bool:
            return "time" not in row or row["metric"] in metrics

        return LoadedNetwork(
            [each for each in self.messages if kept(each.get("record", {}))],
            {key: row for key, row in self.recent.items() if kept(row)},
            {key: row for key, row in self.report.items() if kept(row)},
            self.datasources,
        )


def three_days() -> LoadedNetwork:
    """Load from the cache, a day later from a report, and a day later from the cache again.

    So some rows of the report are newer than those of the cache, and some are older.
    """
    with Sandbox(seed=1, datasources=6, now=NOW, frozen=True) as sandbox:
        recent = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
        runs = [run_tap(sandbox, streams=["recent_measurements"], start_date=SINCE)]
        sandbox.clock.set(REPORTED)
        report = hourly(sandbox, START, REPORTED, REPORTED + REPORT_TAKES)
        runs += [run_tap(sandbox, streams=["datasource_measurements"], start_date=SINCE)]
        sandbox.clock.set(LAST)
        recent |= hourly(sandbox, LAST - CACHE, LAST, LAST)
        datasources = expected_tables.resource(sandbox, "datasources")
        streams = ["datasources", "metrics", "recent_measurements"]
        runs += [run_tap(sandbox, streams=streams, start_date=SINCE)]
    first = min(row["datasource_id"] for row in recent.values())
    return LoadedNetwork(
        [*_without_gaps(runs, first)],
        {key: row for key, row in recent.items() if _kept(row, first)},
        {key: row for key, row in report.items() if _kept(row, first)},
        datasources,
    )


def _kept(row: Record, first: str) -> bool:
    if "time" not in row:
        return True
    own = row["datasource_id"] == first and OWN_GAP[0] <= row["time"] < OWN_GAP[1]
    return not own and not SHARED_GAP[0] <= row["time"] < SHARED_GAP[1]


def _without_gaps(runs: Iterable[TapRun], first: str) -> Iterator[Record]:
    messages = (message for run in runs for message in run.check().messages)
    return (each for each in messages if _kept(each.get("record", {}), first))
