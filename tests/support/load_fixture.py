"""Two days of a town: what the tap writes on each, and what the tables have to hold then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from tests.support import expected_tables as truth
from tests.support.meltano_project import town
from tests.support.tap_process import run_tap
from tests.support.warehouses.programs import without

if TYPE_CHECKING:
    from tests.support.tap_process import Record

NEW_COLUMN = "category"
"""A column of `metrics` that the tap of the first day does not know."""
_AGAIN = ("metrics", "node_status_summaries", "recent_measurements")


class Day(NamedTuple):
    """What the tap has written in a run, and the tables afterwards."""

    output: bytes
    tables: dict[str, list[Record]]


class Days(NamedTuple):
    """A first day of all streams, and a second one of some."""

    first: Day
    second: Day


def two_days() -> Days:
    """Run the tap on both."""
    with town() as sandbox:
        before = truth.daily(sandbox)
        first = run_tap(sandbox, streams=before, **truth.DAILY).check()
        sandbox.clock.advance(timedelta(days=1))
        after = truth.daily(sandbox)
        second = run_tap(sandbox, streams=_AGAIN, **truth.DAILY).check()
    assert after["recent_measurements"] != before["recent_measurements"]
    known = {stream: [*map(_known, table.values())] for stream, table in before.items()}
    both = {stream: [*(before[stream] | after[stream]).values()] for stream in _AGAIN}
    return Days(Day(without(NEW_COLUMN, first), known), Day(second.output, both))


def _known(row: Record) -> Record:
    return {name: value for name, value in row.items() if name != NEW_COLUMN}
