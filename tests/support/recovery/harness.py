"""Runs of the recent measurements into an upserting target, and the measurements expected there."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tap_clarity import tap as tap_module
from tap_clarity.api.errors import ClarityError
from tap_clarity.sandbox.core.timestamps import to_millis
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.rows import entered_cache
from tap_clarity.sandbox.world.world import Window
from tap_clarity.streams.datasources import Datasources
from tap_clarity.streams.recent import RecentMeasurements
from tap_clarity.tap import TapClarity
from tests.support.tap_in_process import (
    Killed,
    SandboxClock,
    create_tap,
    prepared_process,
    read_all,
)
from tests.support.tap_launcher import message_writer_killed_at
from tests.support.tap_process import TapRun, expected_records, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Json, Key, Record

Frequency = Literal["minute", "hour", "day"]

STREAM = "recent_measurements"
QUERY = "/v2/recent-datasource-measurements-query"
CONTINUATION = "/v2/recent-datasource-measurements-continuation"
REPORT = "/v2/report-requests"
DATASOURCES = "/v2/datasources"
METRICS = "pm2_5"
"""Prefix of the metrics that are asked for: the others would only take time."""
CACHE: dict[Frequency, timedelta] = {
    "minute": timedelta(hours=23, minutes=45),
    "hour": timedelta(hours=47, minutes=45),
    "day": timedelta(days=9, hours=23, minutes=45),
}
"""What a first run reads of the cache: its depth, less what the clock may be wrong."""
NO_CLOCK_ERROR = timedelta(0)


@dataclass
class Target:
    """What an upserting loader, and whoever keeps its state, have after some runs."""

    table: dict[Key, Record] = field(default_factory=dict)
    state: Json = field(default_factory=dict)

    def load(self, run: TapRun) -> TapRun:
        """Take what a run wrote; the state is merged as Meltano does it."""
        upsert(self.table, run, STREAM)
        self.state = merge_states(self.state, run.state)
        return run

    @property
    def bookmark(self) -> Record:
        bookmark: Record = self.state["bookmarks"][STREAM]
        return bookmark


def merge_states(old: Json, new: Json) -> Json:
    """Merge deeply: what is only in the old one stays for ever."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {key: merge_states(old.get(key), value) for key, value in new.items()}


def run_recent_measurements(
    sandbox: Sandbox,
    state: Json = None,
    *,
    clock_error: timedelta = NO_CLOCK_ERROR,
    killed_at_message: int = 0,
    select_datasources: bool = False,
    **settings: Json,
) -> TapRun:
    """Run the tap in this process with the recent measurements only.

    Args:
        sandbox: Where to read.
        state: The Singer state to begin with.
        clock_error: By how much the tap's clock is ahead of the sandbox's.
        killed_at_message: The message in whose place it is killed; 0 for none.
        select_datasources: Whether the stream of datasources is selected, too.
        **settings: Settings beside those that lead to the sandbox.
    """
    with prepared_process(
        SandboxClock(sandbox, clock_error),
        (tap_module, "STREAMS", (Datasources, RecentMeasurements)),
        (tap_module, "REPORT_KINDS", ()),
        (
            TapClarity,
            "message_writer_class",
            message_writer_killed_at(killed_at_message, raise_killed),
        ),
        (Datasources, "selected_by_default", select_datasources),
    ) as (output, log):
        tap = create_tap(sandbox, state, settings)
        try:
            status = tap.sync_streams()
        except Killed:
            status = -signal.SIGKILL
        except ClarityError:
            status = 1
        return TapRun(status, read_all(output), log.getvalue())


def raise_killed() -> None:
    raise Killed


def log_lines(run: TapRun, *levels: str) -> list[str]:
    """The log's lines of these levels, without time and logger."""
    fields = (line.split("|", 3) for line in run.errors.splitlines() if line.count("|") >= 3)
    return [text.strip() for _, level, _, text in fields if level.strip() in levels]


class KnownMeasurement(NamedTuple):
    """A measurement that exists by now.

    Attributes:
        record: As it stands now.
        was_readable: Whether it was in the cache when that was last read, or before. What arrives
            later than the cache is deep never gets into it, and only reports show it.
        is_settled: Whether it has stood like this whenever it was read.
    """

    record: Record
    was_readable: bool
    is_settled: bool


def known_measurements(
    sandbox: Sandbox,
    frequency: Frequency,
    start: datetime,
    *,
    read_at: Sequence[datetime],
    prefix: str = METRICS,
) -> dict[Key, KnownMeasurement]:
    """Tell all that exists by now of the metrics with a prefix, from a start on, by key."""
    world, now, reads = sandbox.world, sandbox.clock.millis(), [*map(to_millis, read_at)]
    existing = {}
    for row in world.rows(world.visible(now), Window(frequency, to_millis(start), now)):
        if row.arrival > now:
            continue
        versions = [cells(row, read) for read in (now, *reads) if read >= row.arrival]
        was_readable = entered_cache(row) and row.arrival <= reads[-1]
        for cell, *earlier in zip(*versions, strict=True):
            if cell.metric.name.startswith(prefix):
                ((key, record),) = expected_records(
                    [sandbox.expected.measurement(row, cell)]
                ).items()
                existing[key] = KnownMeasurement(
                    record, was_readable, all(cell == earlier_cell for earlier_cell in earlier)
                )
    return existing


def missing_keys(keys: Iterable[Key], existing: dict[Key, KnownMeasurement]) -> set[Key]:
    """Give what a reader must have by now, and has not."""
    return {key for key, measurement in existing.items() if measurement.was_readable}.difference(
        keys
    )


@dataclass
class RecoveryScenario:
    """Runs of one tap against one sandbox, from the first one on."""

    sandbox: Sandbox
    frequency: Frequency = "hour"
    target: Target = field(default_factory=Target)
    settings: Record = field(default_factory=dict)
    read_at: list[datetime] = field(default_factory=list)

    def run(self, pause: timedelta = timedelta(0), **more: Any) -> TapRun:  # noqa: ANN401
        """Let time pass and run; the target takes what is written."""
        self.sandbox.clock.advance(pause)
        self.sandbox.requests.clear()
        self.read_at.append(self.sandbox.clock.now())
        settings: Record = {"output_frequency": self.frequency, "metric_select": f"only {METRICS}*"}
        settings |= self.settings | more
        return self.target.load(
            run_recent_measurements(self.sandbox, self.target.state, **settings)
        )

    @property
    def measurements(self) -> dict[Key, KnownMeasurement]:
        """All that there is by now, from the first run's cache on."""
        start = self.read_at[0] - CACHE[self.frequency]
        return known_measurements(self.sandbox, self.frequency, start, read_at=self.read_at)

    def check(self, existing: dict[Key, KnownMeasurement] | None = None) -> None:
        """Hold the target to the facts: nothing is missing, invented or false."""
        existing = existing or self.measurements
        assert missing_keys(self.target.table, existing) == set()
        assert self.target.table.keys() <= existing.keys()
        settled = {
            key: existing[key].record for key in self.target.table if existing[key].is_settled
        }
        assert len(settled) > len(existing) / 2
        assert {key: self.target.table[key] for key in settled} == settled

    @property
    def gaps(self) -> list[list[str]]:
        gaps: list[list[str]] = self.target.bookmark["gaps"]
        return gaps

    @property
    def requested_paths(self) -> list[str]:
        """The paths of the last run's requests, but for polls, files and the list of datasources.

        The list is the first request of a run, or none if the settings name datasources.
        """
        paths = [
            call["path"]
            for call in self.sandbox.requests
            if call["method"] == "POST" or call["path"] == DATASOURCES
        ]
        has_list = paths[:1] == [DATASOURCES]
        assert paths.count(DATASOURCES) == has_list
        return paths[has_list:]

    @property
    def has_read_list(self) -> bool:
        """Whether the last run has read the list of datasources."""
        return any(call["path"] == DATASOURCES for call in self.sandbox.requests)

    @property
    def request_bodies(self) -> list[Record]:
        """The bodies of the last run's POST requests."""
        return [call["body"] for call in self.sandbox.requests if call["method"] == "POST"]


def cache_query_message(reason: str, start: str) -> str:
    return f"recent_measurements: {reason}, so Clarity's cache is asked from {start} UTC on"


def tap_log_lines(run: TapRun) -> list[str]:
    """What the tap itself said in a run, above debug."""
    return [text for text in log_lines(run, "INFO", "WARNING", "ERROR") if not is_sdk_message(text)]


def is_sdk_message(text: str) -> bool:
    return text.startswith(("METRIC", "Beginning", "Skipping", "Setting", "Deselecting"))
