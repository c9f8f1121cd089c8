"""Strikes the tap wherever it can be struck, lets it go on, and counts what that has cost.

In each trial a database holds a first load, then three days pass without a run. The next run goes
on with the recent measurements, fills a hole by two reports, asks for the history by five more, and
is struck: killed at a line of its output or at an exchange with Clarity, or one of its exchanges is
spoiled. What got out in whole lines is loaded, and it runs again from the last STATE of these.
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
from tests.support.tap_process import calls, expected_records, run_tap, utc

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
HOLE = datetime(2026, 3, 10, 5, tzinfo=UTC)
"""From here on the recent measurements are asked for again: late ones may have come since."""
SETTINGS: dict[str, Any] = {
    "start_date": START.isoformat(),
    "metric_select": f"only {METRIC}",
    "lookback_days": 1,
    "report_window_days": 1,
}
SPOILT = ("drop", "cut", "truncate")
MOST_RUNS = 4
STRIDE = 50
FIRST_FILE = 9
"""The exchange that brings the first file of a report."""
FOUND_BY = {
    "state before rows": "lost",
    "half a file accepted": "lost",
    "a window skipped": "lost",
    "an id not saved": "asked_twice",
    "a time spelled otherwise": "doubled",
    "a gap never closed": "unconverged",
}
"""What of an outcome tells of a planted bug."""


@dataclass(frozen=True)
class Blow:
    """What strikes a run.

    Attributes:
        kind: A kill at a line, a kill at an exchange, or how the answer of an exchange is spoilt.
        place: Lines that are out, or the exchange, counted from one; `.5` is half-way through.
    """

    kind: str
    place: float

    @property
    def kills(self) -> bool:
        return self.kind not in SPOILT

    @property
    def environment(self) -> dict[str, str]:
        return {f"TEST_DIES_AT_{self.kind.upper()}": str(self.place)} if self.kills else {}

    @contextmanager
    def at(self, sandbox: Sandbox) -> Iterator[None]:
        """Spoil the answer, if that is what the blow does."""
        turns = count(1)

        def draw(_: object) -> Fault | None:
            return Fault(self.kind) if next(turns) == self.place else None

        if self.kills:
            yield
        else:
            with patch.object(sandbox.faults, "draw", draw):
                yield


@dataclass(frozen=True)
class Outcome:
    """What blows have cost.

    Attributes:
        tried: Blows that struck.
        lost: Measurements that never came.
        doubled: Measurements that the database holds under two keys.
        untrue: Rows that are not what the world was told to be.
        asked_twice: Reports asked for again though the state had their ids.
        unconverged: Trials in which the run after did not finish all that was open.
    """

    tried: int = 0
    lost: int = 0
    doubled: int = 0
    untrue: int = 0
    asked_twice: int = 0
    unconverged: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*map(sum, zip(astuple(self), astuple(other), strict=True)))


class Database:
    """What an upserting loader has stored, and the state that it has passed on."""

    def __init__(self) -> None:
        self._tables = sqlite3.connect(":memory:")
        self._keys: dict[str, list[str]] = {}
        self.state: Json = None

    def close(self) -> None:
        self._tables.close()

    def load(self, output: bytes) -> None:
        """Take the whole lines of what a tap wrote."""
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
        marks = ", ".join("?" * len(values))
        self._tables.execute(f"INSERT OR REPLACE INTO {stream} VALUES ({marks})", values)  # noqa: S608


def sweep(blows: Iterable[Blow], bug: str | None = None) -> Outcome:
    """Inject each fault into a new run and add up the outcome, perhaps with a bug of BUGS."""
    return sum((strike(blow, bug) for blow in blows), Outcome())


def kills_at_lines(*, thorough: bool) -> list[Blow]:
    """List the kills between any two lines, and in the middle of any line.

    If not thorough, then those at all lines that are no records, and at some that are.
    """
    messages = undisturbed()[0].messages
    return [
        Blow("line", at + part)
        for at, message in enumerate(messages)
        if thorough or message["type"] != "RECORD" or at % STRIDE == 0
        for part in (0, 0.5)
    ]


def blows_at_exchanges(*, thorough: bool) -> list[Blow]:
    """List what can strike at each exchange: two kills, three ways to spoil the answer.

    If not thorough, then some of each kind.
    """
    _, exchanges = undisturbed()
    kinds = [("exchange", 0), ("exchange", 0.5), *((kind, 0) for kind in SPOILT)]
    places = range(1, exchanges + 1)
    blows = [Blow(kind, place + part) for place in places for kind, part in kinds]
    return blows if thorough else blows[:: len(kinds) - 1]


def find(bug: str) -> Outcome:
    """Plant a bug, and strike at a few places; one of them is the first file."""
    kills = kills_at_lines(thorough=True)[100::300]
    return sweep([*kills, Blow("truncate", FIRST_FILE)], bug)


def strike(blow: Blow, bug: str | None = None) -> Outcome:
    """Strike the run after three days, and let the tap run until nothing is left to do."""
    planted = {"TEST_BUG": bug} if bug else {}
    with city(LATER) as sandbox, closing(Database()) as database:
        database.load(first_load())
        book = RequestBook(sandbox)
        with blow.at(sandbox):
            struck = run(sandbox, database, blow.environment | planted)
        hit = struck.status == -signal.SIGKILL or any(r["fault"] for r in sandbox.requests)
        assert hit, f"{blow} misses: {struck.errors}"
        runs, is_done = 0, False
        while not is_done and runs < MOST_RUNS:
            book.turn_the_page(database.state)
            again = run(sandbox, database, planted)
            is_done = again.status == 0 and is_finished(database.state)
            runs += 1
        book.turn_the_page(database.state)
        return Outcome(1, *losses(database), book.asked_twice, unconverged=runs > 1 or not is_done)


def run(sandbox: Sandbox, database: Database, env: dict[str, str]) -> TapRun:
    done = run_tap(sandbox, streams=[RECENT, REPORTED], state=database.state, env=env, **SETTINGS)
    database.load(done.output)
    return done


def city(now: datetime) -> Sandbox:
    return Sandbox(seed=1, datasources=3, now=now, frozen=True)


@cache
def first_load() -> bytes:
    with city(FIRST_RUN) as sandbox, closing(Database()) as database:
        return run(sandbox, database, {}).check().output


@cache
def undisturbed() -> tuple[TapRun, int]:
    """Run after three days without a blow; give its exchanges, too."""
    with city(LATER) as sandbox, closing(Database()) as database:
        database.load(first_load())
        return run(sandbox, database, {}).check(), len(sandbox.requests)


def is_finished(state: Json) -> bool:
    """Whether a state says that all is covered, and nothing is open."""
    recent, reported = (state["bookmarks"][stream] for stream in (RECENT, REPORTED))
    covered = [["2026-03-08", "2026-03-13T09:00Z"]]
    is_open = recent["gaps"] or recent["reports"] or reported["reports"]
    return not is_open and reported["covered"] == covered


@dataclass
class RequestBook:
    """Counts the reports that are asked for again though their ids must have got out.

    They must have, when another exchange came after the request. What has been delivered may be
    asked for again: the lookback reads it once more.
    """

    sandbox: Sandbox
    asked_twice: int = 0
    _known: set[tuple[str, str]] = field(default_factory=set)
    _covered: list[list[str]] = field(default_factory=list)

    def turn_the_page(self, state: Json) -> None:
        """Go through the requests of a run that left this state."""
        requests = list(calls(self.sandbox))
        for at, request in enumerate(requests, start=1):
            if request["method"] == "POST" and request["path"] == REPORT:
                window = request["body"]["startTime"], request["body"]["endTime"]
                self.asked_twice += window in self._known and not self._is_covered(window)
                if at < len(requests) and not request["fault"]:
                    self._known.add(window)
        self.sandbox.requests.clear()
        self._covered = state["bookmarks"][REPORTED]["covered"]

    def _is_covered(self, window: tuple[str, str]) -> bool:
        start, end = map(utc, window)
        parts = ((*map(utc, part),) for part in self._covered)
        return any(first <= start and end <= last for first, last in parts)


def losses(database: Database) -> tuple[int, int, int]:
    """Compare the database with the truth: what is lost, what is there twice, what is not true."""
    lost, doubled, untrue = 0, 0, 0
    for stream, records in truth().items():
        wanted = {_place(record): record for record in records}
        rows = database.rows(stream)
        places = set(map(_place, rows))
        lost += len(wanted.keys() - places)
        doubled += len(rows) - len(places)
        untrue += sum(wanted.get(_place(row)) != row for row in rows)
    return lost, doubled, untrue


def _place(record: Record) -> tuple[str, datetime]:
    return record["datasource_id"], datetime.fromisoformat(record["time"])


@cache
def truth() -> dict[str, list[Record]]:
    """Tell what the database has to hold in the end."""
    recent = _told(FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN) | _told(HOLE, LATER, LATER)
    reported = _told(START, LOOKBACK, FIRST_RUN) | _told(LOOKBACK, LATER, LATER)
    return {RECENT: [*recent.values()], REPORTED: [*reported.values()]}


def _told(start: datetime, end: datetime, as_of: datetime) -> dict[Key, Record]:
    measured = city(as_of).expected.measurements("hour", start, end, as_of)
    return expected_records(each for each in measured if each.metric == METRIC)
