"""Injects crashes and faults at any place of a run, and counts lost or wrong data afterwards.

In each trial a database holds a first load, and three days pass without a run. The next run queries
the recent measurements, fills a gap by two reports, requests the history by five more, and has a
fault: it is killed at a line of its output or at a request, or the response to a request is
corrupt. The complete lines of its output are loaded, and the tap runs again from their last STATE.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.testing.faults import Fault
from tests.support.constants import NOW
from tests.support.tap_process import expected_records, received_requests, run_tap, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.tap_process import Json, Key, Record, TapRun

METRIC = "pm2_5ConcMass1HourMean"
RECENT, REPORTED = "recent_measurements", "datasource_measurements"
REPORT = "/v2/report-requests"
FIRST_RUN = datetime.fromisoformat(NOW)
LATER = FIRST_RUN + timedelta(days=3)
CACHE = timedelta(hours=48)
START, LOOKBACK = datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)
GAP_START = datetime(2026, 3, 10, 5, tzinfo=UTC)
"""From here on the recent measurements are read again: late ones may have arrived since."""
SETTINGS: dict[str, Any] = {
    "start_date": START.isoformat(),
    "metric_select": f"only {METRIC}",
    "lookback_days": 1,
    "report_window_days": 1,
}
RESPONSE_FAULTS = ("drop", "cut", "truncate")
MAX_RUNS = 4
STRIDE = 50
FIRST_FILE = 10
"""The number of the request for the first file of a report."""
FOUND_BY = {
    "state before rows": "lost",
    "half a file accepted": "lost",
    "a window skipped": "lost",
    "an id not saved": "requested_twice",
    "a time spelled otherwise": "duplicated",
    "a gap never closed": "unfinished",
}
"""The field of an outcome that shows each injected bug."""


@dataclass(frozen=True)
class InjectedFault:
    """A kill, or a fault in one response.

    Attributes:
        kind: `line` or `request` for a kill there, or the fault of the response to a request.
        position: The number of lines written, or of the request, counted from one; `.5` is half of
            the next line or response.
    """

    kind: str
    position: float

    @property
    def is_kill(self) -> bool:
        return self.kind not in RESPONSE_FAULTS

    @property
    def environment(self) -> dict[str, str]:
        return {f"TEST_KILL_AT_{self.kind.upper()}": str(self.position)} if self.is_kill else {}

    @contextmanager
    def injected(self, sandbox: Sandbox) -> Iterator[None]:
        """Inject the fault into the response, unless it is a kill."""
        request_numbers = count(1)

        def next_fault(_: object) -> Fault | None:
            return Fault(self.kind) if next(request_numbers) == self.position else None

        if self.is_kill:
            yield
        else:
            with patch.object(sandbox.faults, "next_fault", next_fault):
                yield


@dataclass(frozen=True)
class Outcome:
    """The effects of injected faults.

    Attributes:
        tried: Injected faults.
        lost: Measurements that never arrived.
        duplicated: Measurements that the database holds under two keys.
        incorrect: Rows that differ from the expected ones.
        requested_twice: Reports requested again though the state had their ids.
        unfinished: Trials in which the next run did not finish everything.
    """

    tried: int = 0
    lost: int = 0
    duplicated: int = 0
    incorrect: int = 0
    requested_twice: int = 0
    unfinished: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*map(sum, zip(astuple(self), astuple(other), strict=True)))


class Database:
    """The tables of an upserting loader, and the last state that it has forwarded."""

    def __init__(self) -> None:
        self._tables = sqlite3.connect(":memory:")
        self._keys: dict[str, list[str]] = {}
        self.state: Json = None

    def close(self) -> None:
        self._tables.close()

    def load(self, output: bytes) -> None:
        """Load the complete lines of the output of a tap."""
        *lines, _ = output.split(b"\n")
        for message in map(json.loads, lines):
            match message["type"]:
                case "SCHEMA":
                    self._create(message["stream"], message["key_properties"])
                case "RECORD":
                    self._upsert(message["stream"], message["record"])
                case "STATE":
                    self.state = message["value"]

    def rows(self, stream: str) -> list[Record]:
        return [json.loads(text) for (text,) in self._tables.execute(f"SELECT row FROM {stream}")]  # noqa: S608

    def _create(self, stream: str, keys: list[str]) -> None:
        columns = ", ".join(keys)
        self._keys[stream] = keys
        self._tables.execute(
            f"CREATE TABLE IF NOT EXISTS {stream} ({columns}, row, PRIMARY KEY ({columns}))"
        )

    def _upsert(self, stream: str, record: Record) -> None:
        values = [*(record[key] for key in self._keys[stream]), json.dumps(record)]
        placeholders = ", ".join("?" * len(values))
        self._tables.execute(f"INSERT OR REPLACE INTO {stream} VALUES ({placeholders})", values)  # noqa: S608


def sweep(faults: Iterable[InjectedFault], bug: str | None = None) -> Outcome:
    """Inject each fault into a new run and add up the outcome, perhaps with a bug of BUGS."""
    return sum((run_with_fault(fault, bug) for fault in faults), Outcome())


def kills_at_lines(*, thorough: bool) -> list[InjectedFault]:
    """List the kills between any two lines, and in the middle of any line.

    If not thorough: only some of those at lines with records.
    """
    messages = run_without_fault()[0].messages
    return [
        InjectedFault("line", number + part)
        for number, message in enumerate(messages)
        if thorough or message["type"] != "RECORD" or number % STRIDE == 0
        for part in (0, 0.5)
    ]


def faults_at_requests(*, thorough: bool) -> list[InjectedFault]:
    """List two kills and three response faults for each request.

    If not thorough: only some of each kind.
    """
    _, request_count = run_without_fault()
    kinds = [("request", 0), ("request", 0.5), *((kind, 0) for kind in RESPONSE_FAULTS)]
    positions = range(1, request_count + 1)
    faults = [
        InjectedFault(kind, position + part) for position in positions for kind, part in kinds
    ]
    return faults if thorough else faults[:: len(kinds) - 1]


def find_bug(bug: str) -> Outcome:
    """Inject a bug and a few faults; one of them truncates the first file."""
    kills = kills_at_lines(thorough=True)[100::300]
    return sweep([*kills, InjectedFault("truncate", FIRST_FILE)], bug)


def run_with_fault(fault: InjectedFault, bug: str | None = None) -> Outcome:
    """Inject a fault into the run after three days; then run until everything is finished."""
    bug_environment = {"TEST_BUG": bug} if bug else {}
    with create_sandbox(LATER) as sandbox, closing(Database()) as database:
        database.load(first_load())
        tracker = RequestTracker(sandbox)
        with fault.injected(sandbox):
            interrupted = run(sandbox, database, fault.environment | bug_environment)
        was_injected = interrupted.status == -signal.SIGKILL or any(
            request["fault"] for request in sandbox.requests
        )
        assert was_injected, f"{fault} was not injected: {interrupted.errors}"
        runs, is_done = 0, False
        while not is_done and runs < MAX_RUNS:
            tracker.finish_run(database.state)
            resumed = run(sandbox, database, bug_environment)
            is_done = resumed.status == 0 and is_finished(database.state)
            runs += 1
        tracker.finish_run(database.state)
        return Outcome(
            1, *compare(database), tracker.requested_twice, unfinished=runs > 1 or not is_done
        )


def run(sandbox: Sandbox, database: Database, env: dict[str, str]) -> TapRun:
    done = run_tap(sandbox, streams=[RECENT, REPORTED], state=database.state, env=env, **SETTINGS)
    database.load(done.output)
    return done


def create_sandbox(now: datetime) -> Sandbox:
    return Sandbox(seed=1, datasources=3, now=now, frozen=True)


@cache
def first_load() -> bytes:
    with create_sandbox(FIRST_RUN) as sandbox, closing(Database()) as database:
        return run(sandbox, database, {}).check().output


@cache
def run_without_fault() -> tuple[TapRun, int]:
    """Run after three days without a fault; returns also the number of requests."""
    with create_sandbox(LATER) as sandbox, closing(Database()) as database:
        database.load(first_load())
        return run(sandbox, database, {}).check(), len(sandbox.requests)


def is_finished(state: Json) -> bool:
    """Return whether everything is covered, and no gap or report is open."""
    recent, reported = (state["bookmarks"][stream] for stream in (RECENT, REPORTED))
    covered = [["2026-03-08", "2026-03-13T09:00Z"]]
    is_open = recent["gaps"] or recent["reports"] or reported["reports"]
    return not is_open and reported["covered"] == covered


@dataclass
class RequestTracker:
    """Counts the reports that are requested again though their ids must be in the state.

    They must be, if another request followed. A delivered range may be requested again: by the
    lookback.
    """

    sandbox: Sandbox
    requested_twice: int = 0
    _known: set[tuple[str, str]] = field(default_factory=set)
    _covered: list[list[str]] = field(default_factory=list)

    def finish_run(self, state: Json) -> None:
        """Count in the requests of a run that ended with this state."""
        requests = list(received_requests(self.sandbox))
        for number, request in enumerate(requests, start=1):
            if request["method"] == "POST" and request["path"] == REPORT:
                window = request["body"]["startTime"], request["body"]["endTime"]
                self.requested_twice += window in self._known and not self._is_covered(window)
                if number < len(requests) and not request["fault"]:
                    self._known.add(window)
        self.sandbox.requests.clear()
        self._covered = state["bookmarks"][REPORTED]["covered"]

    def _is_covered(self, window: tuple[str, str]) -> bool:
        start, end = map(utc, window)
        parts = ((*map(utc, part),) for part in self._covered)
        return any(first <= start and end <= last for first, last in parts)


def compare(database: Database) -> tuple[int, int, int]:
    """Count lost, duplicated and incorrect measurements in the database."""
    lost, duplicated, incorrect = 0, 0, 0
    for stream, records in expected_tables().items():
        expected = {record_key(record): record for record in records}
        rows = database.rows(stream)
        keys = set(map(record_key, rows))
        lost += len(expected.keys() - keys)
        duplicated += len(rows) - len(keys)
        incorrect += sum(expected.get(record_key(row)) != row for row in rows)
    return lost, duplicated, incorrect


def record_key(record: Record) -> tuple[str, datetime]:
    return record["datasource_id"], datetime.fromisoformat(record["time"])


@cache
def expected_tables() -> dict[str, list[Record]]:
    """Give the expected content of the database at the end."""
    recent = _expected(FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN) | _expected(GAP_START, LATER, LATER)
    reported = _expected(START, LOOKBACK, FIRST_RUN) | _expected(LOOKBACK, LATER, LATER)
    return {RECENT: [*recent.values()], REPORTED: [*reported.values()]}


def _expected(start: datetime, end: datetime, as_of: datetime) -> dict[Key, Record]:
    measured = create_sandbox(as_of).expected.measurements("hour", start, end, as_of)
    return expected_records(each for each in measured if each.metric == METRIC)
