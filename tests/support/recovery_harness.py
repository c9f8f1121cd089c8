"""What the tests of recovery share: a target, what it has to hold, and runs with bad luck."""

from __future__ import annotations

import json
import signal
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unittest.mock import patch

from tap_clarity import tap as tap_module
from tap_clarity.api.errors import ClarityError
from tap_clarity.output import line_writer as writer
from tap_clarity.sandbox.core.timestamps import to_millis
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.rows import entered_cache
from tap_clarity.sandbox.world.world import Window
from tap_clarity.streams.datasources import Datasources
from tap_clarity.streams.recent import RecentMeasurements
from tap_clarity.tap import TapClarity
from tests.support.launcher import mortal
from tests.support.tap_process import TapRun, expected_records, logged, upsert

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
ON_TIME = timedelta(0)


@dataclass
class Target:
    """What an upserting loader, and whoever keeps its state, have after some runs."""

    table: dict[Key, Record] = field(default_factory=dict)
    state: Json = field(default_factory=dict)

    def load(self, run: TapRun) -> TapRun:
        """Take what a run wrote; the state is merged as Meltano does it."""
        upsert(self.table, run, STREAM)
        self.state = merged(self.state, run.state)
        return run

    @property
    def stand(self) -> Record:
        found: Record = self.state["bookmarks"][STREAM]
        return found


def merged(old: Json, new: Json) -> Json:
    """Merge deeply: what is only in the old one stays for ever."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {key: merged(old.get(key), value) for key, value in new.items()}


@dataclass(frozen=True)
class SkewedClock:
    """The sandbox's clock, wrong by so much; waiting moves it."""

    sandbox: Sandbox
    error: timedelta

    def now(self) -> datetime:
        return self.sandbox.clock.now() + self.error

    def sleep(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)


class Killed(SystemExit):
    pass


def run_inside(
    sandbox: Sandbox,
    state: Json = None,
    *,
    clock_error: timedelta = ON_TIME,
    dies_at: int = 0,
    lists_datasources: bool = False,
    **settings: Json,
) -> TapRun:
    """Run the tap with the recent measurements alone, in this process: a hundred times faster.

    Args:
        sandbox: Where to read.
        state: The Singer state to begin with.
        clock_error: By how much the tap's clock is ahead of the sandbox's.
        dies_at: The message in whose place it is killed; 0 for none.
        lists_datasources: Whether the datasources are selected, too.
        **settings: Settings beside those that lead to the sandbox.
    """
    access = {"api_url": sandbox.url, "api_key": sandbox.api_key, "org": sandbox.org}
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryFile())
        log = stack.enter_context(logged())
        for thing, name, value in (
            (writer, "STANDARD_OUTPUT", output.fileno()),
            (tap_module, "STREAMS", (Datasources, RecentMeasurements)),
            (tap_module, "REPORT_KINDS", ()),
            (TapClarity, "clock", SkewedClock(sandbox, clock_error)),
            (TapClarity, "message_writer_class", mortal(dies_at, _die)),
            (TapClarity, "_setup_signal_handlers", lambda _: None),
            (Datasources, "selected_by_default", lists_datasources),
        ):
            stack.enter_context(patch.object(thing, name, value))
        tap = TapClarity(config=access | settings)
        tap.load_state(json.loads(json.dumps(state or {})))
        try:
            status = tap.sync_streams()
        except Killed:
            status = -signal.SIGKILL
        except ClarityError:
            status = 1
        output.seek(0)
        return TapRun(status, output.read(), log.getvalue())


def _die() -> None:
    raise Killed


def lines(run: TapRun, *levels: str) -> list[str]:
    """The log's lines of these levels, without time and logger."""
    found = (line.split("|", 3) for line in run.errors.splitlines() if line.count("|") >= 3)
    return [text.strip() for _, level, _, text in found if level.strip() in levels]


class Fact(NamedTuple):
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


def facts(
    sandbox: Sandbox,
    frequency: Frequency,
    start: datetime,
    *,
    read_at: Sequence[datetime],
    prefix: str = METRICS,
) -> dict[Key, Fact]:
    """Tell all that exists by now of the metrics with a prefix, from a start on, by key."""
    world, now, reads = sandbox.world, sandbox.clock.millis(), [*map(to_millis, read_at)]
    found = {}
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
                found[key] = Fact(record, was_readable, all(cell == then for then in earlier))
    return found


def missing(there: Iterable[Key], found: dict[Key, Fact]) -> set[Key]:
    """Give what a reader must have by now, and has not."""
    return {key for key, fact in found.items() if fact.was_readable}.difference(there)


@dataclass
class Story:
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
        return self.target.load(run_inside(self.sandbox, self.target.state, **settings))

    @property
    def facts(self) -> dict[Key, Fact]:
        """All that there is by now, from the first run's cache on."""
        start = self.read_at[0] - CACHE[self.frequency]
        return facts(self.sandbox, self.frequency, start, read_at=self.read_at)

    def check(self, found: dict[Key, Fact] | None = None) -> None:
        """Hold the target to the facts: nothing is missing, invented or false."""
        found = found or self.facts
        assert missing(self.target.table, found) == set()
        assert self.target.table.keys() <= found.keys()
        settled = {key: found[key].record for key in self.target.table if found[key].is_settled}
        assert len(settled) > len(found) / 2
        assert {key: self.target.table[key] for key in settled} == settled

    @property
    def holes(self) -> list[list[str]]:
        found: list[list[str]] = self.target.stand["gaps"]
        return found

    @property
    def asked(self) -> list[str]:
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
    def bodies(self) -> list[Record]:
        """The bodies of the last run's POST requests."""
        return [call["body"] for call in self.sandbox.requests if call["method"] == "POST"]


def asks(why: str, start: str) -> str:
    return f"recent_measurements: {why}, so Clarity's cache is asked from {start} UTC on"


def said(run: TapRun) -> list[str]:
    """What the tap itself said in a run, above debug."""
    return [text for text in lines(run, "INFO", "WARNING", "ERROR") if not is_the_sdks(text)]


def is_the_sdks(text: str) -> bool:
    return text.startswith(("METRIC", "Beginning", "Skipping", "Setting", "Deselecting"))
