"""The output of the tap on two days, and the tables expected after each."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tests.support import expected_tables
from tests.support.meltano.project import town
from tests.support.tap_process import run_tap
from tests.support.warehouses.installed_programs import without

if TYPE_CHECKING:
    from tests.support.tap_process import Record

NEW_COLUMN = "category"
"""A column of `metrics` that the tap of the first day does not know."""
SECOND_DAY_STREAMS = ("metrics", "node_status_summaries", "recent_measurements")


class DayLoad(NamedTuple):
    """What the tap has written in a run, and the tables afterwards."""

    output: bytes
    tables: dict[str, list[Record]]


class TwoDayLoad(NamedTuple):
    """A first day of all streams, and a second one of some."""

    first: DayLoad
    second: DayLoad


def load_two_days() -> TwoDayLoad:
    """Run the tap on both."""
    with town() as sandbox:
        before = expected_tables.daily(sandbox)
        first = run_tap(sandbox, streams=before, **expected_tables.DAILY).check()
        sandbox.clock.advance(timedelta(days=1))
        after = expected_tables.daily(sandbox)
        second = run_tap(sandbox, streams=SECOND_DAY_STREAMS, **expected_tables.DAILY).check()
    assert after["recent_measurements"] != before["recent_measurements"]
    known = {stream: [*map(_known, table.values())] for stream, table in before.items()}
    both = {stream: [*(before[stream] | after[stream]).values()] for stream in SECOND_DAY_STREAMS}
    return TwoDayLoad(DayLoad(without(NEW_COLUMN, first), known), DayLoad(second.output, both))


def _known(row: Record) -> Record:
    return {name: value for name, value in row.items() if name != NEW_COLUMN}
