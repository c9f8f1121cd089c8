"""A simulation: many runs of the tap against one emulator, its target, and checks of each state.

The emulator knows what each report and the recent cache contained. From that, and from the states
that reach the target, each claim of a state is checked immediately:

* A report that is no longer pending has been delivered (all its rows are in the target, as of the
  time when Clarity built it), replaced or superseded, or its window is failing.
* A covered range has been served by delivered reports, or was closed as empty with a warning after
  two reports without files.
* Recent measurements that had arrived before they were read are in the target, or in a gap of the
  state, or in a range that was closed as empty.
* Each record equals the data of the emulator, as of a time at which it could be read.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE, SECOND, to_datetime, to_millis
from tap_clarity.sandbox.world.rows import CACHE_DEPTHS, is_late
from tests.support.recovery.harness import merge_states
from tests.support.recovery.interrupted_tap import (
    DATASOURCES,
    KILLED,
    NO_INTERRUPTION,
    NODES,
    RECENT,
    SIGTERM_STATUS,
    STREAMS,
    run_streams,
)
from tests.support.recovery.simulated_data import (
    METRIC,
    ExpectedData,
    all_rows,
    by_arrival,
    long_record,
)
from tests.support.recovery.time_ranges import TimeRange, merge_ranges, time_ranges
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from tap_clarity.sandbox import Sandbox
    from tap_clarity.sandbox.api.report_records import Report
    from tap_clarity.sandbox.world.rows import Row
    from tests.support.recovery.interrupted_tap import Interruption
    from tests.support.recovery.simulated_data import Frequency
    from tests.support.tap_process import Json, Key, Record, TapRun

REPORT_PATH, RECENT_PATH = "/v2/report-requests", "/v2/recent-datasource-measurements"
KINDS = {
    RECENT: "datasource-measurements",
    DATASOURCES: "datasource-measurements",
    NODES: "node-measurements",
}
MAX_STATE_BYTES = 2048
MAX_FAILING_WINDOWS = 12
"""Of one stream: six, and each may be parted until another one fails."""
MAX_CLOCK_SKEW = 15 * MINUTE
LATE_ROWS_WITHIN = 30 * HOUR
"""Within what time the daily query of the cache brings what continuations left out."""


@dataclass
class StreamData:
    """What is known of one stream, independently of the tap.

    Attributes:
        expected: The rows of its world.
        table: What the target holds.
        read_as_of: When Clarity built the newest report from which each row was delivered.
        served: The time ranges that reports have covered, or that were closed as empty.
        closed: Those that were closed as empty although the world has rows.
    """

    expected: ExpectedData
    table: dict[Key, Record] = field(default_factory=dict)
    read_as_of: dict[Key, int] = field(default_factory=dict)
    served: list[TimeRange] = field(default_factory=list)
    closed: list[TimeRange] = field(default_factory=list)


@dataclass
class Simulation:
    """Many runs of one tap against one emulator."""

    sandbox: Sandbox
    frequency: Frequency
    settings: Record
    period: tuple[str, str]
    checks_values: bool = True
    """Whether each record must be true; wrong rows may be sent before right ones."""
    late_rows_wait: bool = False
    """Whether continuations leave out late rows, which only the cache's daily query brings."""
    max_lag: int = 2 * DAY
    """How far reports may be behind in the end, in milliseconds."""
    first_query_reaches: int | None = None
    """How far back the first query of the cache reaches, if not to its depth, in milliseconds."""
    state: Json = field(default_factory=dict)
    streams: dict[str, StreamData] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    requests_by_day: Counter[str] = field(default_factory=Counter)
    recent_since: int | None = None
    max_state_bytes: int = 0
    _awaited: deque[Row] = field(default_factory=deque)
    _outstanding: list[Row] = field(default_factory=list)
    _windows: dict[str, TimeRange] = field(default_factory=dict)
    _pending_at_start: dict[str, set[str]] = field(default_factory=dict)
    _read_at: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = self.sandbox.world.parameters.data_start or 0
        rows = [row for row in all_rows(self.frequency, *self.period) if row.time >= first]
        nodes = sorted(
            {row.source_id for row in rows if row.datasource.source_type == "CLARITY_NODE"}
        )
        datasources = sorted({row.datasource.datasource_id for row in rows})
        for stream in STREAMS:
            of_nodes = stream == NODES
            ids, id_field = (nodes, "node_id") if of_nodes else (datasources, "datasource_id")
            self.streams[stream] = StreamData(ExpectedData(self.sandbox, rows, ids, id_field))
        self._awaited = deque(by_arrival(self.streams[RECENT].expected.rows))
        self.settings = {
            "output_frequency": self.frequency,
            "metric_select": f"only {METRIC[self.frequency]}",
            "datasource_ids": datasources,
            "node_ids": nodes,
        } | self.settings

    def run(self, interruption: Interruption = NO_INTERRUPTION, **overrides: Json) -> TapRun:
        """Run once, load what was written, and check what the states say."""
        self.sandbox.requests.clear()
        run = run_streams(self.sandbox, self.state, interruption, **self.settings | overrides)
        self.statuses[run.status] += 1
        self._count_requests()
        self._check_status(run)
        self._read_at = [
            to_millis(request["at"])
            for request in received_requests(self.sandbox, "POST", RECENT_PATH)
        ]
        self._load(run)
        self.max_state_bytes = max(self.max_state_bytes, state_size(self.state))
        assert self.max_state_bytes <= MAX_STATE_BYTES, self.state
        return run

    def bookmark(self, stream: str) -> Record:
        found: Record = self.state.get("bookmarks", {}).get(stream, {})
        return found

    def is_done(self) -> bool:
        """Whether nothing is pending, failing or missing."""
        names = ("reports", "failing")
        is_open = any(self.bookmark(stream).get(name) for stream in STREAMS for name in names)
        return not is_open and not self.bookmark(RECENT).get("gaps")

    # Each run.

    def _count_requests(self) -> None:
        for request in received_requests(self.sandbox, "POST", REPORT_PATH):
            if request["status"] != 429:
                self.requests_by_day[request["at"][:10]] += 1
        limit = self.settings.get("report_daily_limit", 25)
        assert max(self.requests_by_day.values(), default=0) <= limit

    def _check_status(self, run: TapRun) -> None:
        assert "Traceback" not in run.errors, run.errors
        if run.status in {KILLED, SIGTERM_STATUS}:
            return
        assert run.status in {0, 1}
        assert bool(run.error_lines) == bool(run.status), run.errors

    def _load(self, run: TapRun) -> None:
        written: dict[str, set[Key]] = {stream: set() for stream in STREAMS}
        known = {stream: self._pending(self.state, stream) for stream in STREAMS}
        self._pending_at_start = {stream: set(ids) for stream, ids in known.items()}
        for message in run.messages:
            if message["type"] == "RECORD":
                self._upsert(message, written)
            elif message["type"] == "STATE":
                state = merge_states(self.state, message["value"])
                for stream in STREAMS:
                    known[stream] |= self._pending(state, stream)
                self._check_state(state, run)
                self.state = state
        if self.checks_values:
            for stream, keys in written.items():
                self._check_values(stream, keys, known[stream])
        if run.status == 0:
            self._check_recent()

    def _upsert(self, message: Json, written: dict[str, set[Key]]) -> None:
        stream, record = message["stream"], message["record"]
        if self.settings.get("measurement_layout") == "wide":
            record = long_record(record, METRIC[self.frequency])
            if record is None:
                return
        id_field = "node_id" if stream == NODES else "datasource_id"
        names = ("org", id_field, "output_frequency", "metric", "time")
        key = tuple(record[name] for name in names)
        self.streams[stream].table[key] = record
        written[stream].add(key)

    # What a state claims about reports.

    def _check_state(self, state: Json, run: TapRun) -> None:
        for stream in STREAMS:
            before = self.bookmark(stream)
            after = state.get("bookmarks", {}).get(stream, {})
            reports = after.get("reports") or []
            ids = [each[0] for each in reports]
            self._windows |= dict(zip(ids, time_ranges(reports, 1), strict=True))
            ended = self._pending(self.state, stream) - self._pending(state, stream)
            for id_ in sorted(ended):
                if not self._is_superseded(id_, ended):
                    self._check_end(stream, id_, after, run)
            if stream != RECENT and after.get("covered") != before.get("covered"):
                covered = time_ranges(after.get("covered") or [])
                served = merge_ranges(self.streams[stream].served)
                assert merge_ranges(covered) == served, (
                    f"{stream}: covered {covered}, served {served}"
                )

    def _is_superseded(self, id_: str, ended: set[str]) -> bool:
        """Tell whether a report requested later, of an overlapping window, has ended with it."""
        window = self._windows[id_]
        return any(
            self._report(each).requested_at > self._report(id_).requested_at
            and self._windows[each].overlaps(window)
            for each in ended
        )

    def _check_end(self, stream: str, id_: str, after: Record, run: TapRun) -> None:
        """Check that a report is no longer pending for one of the reasons that are allowed."""
        report = self._report(id_)
        requested = self._windows[id_]
        served = TimeRange(report.query.start, report.query.end)
        window = served if served.start < served.end else requested
        if any(each.overlaps(window) for each in time_ranges(after.get("failing") or [])):
            return
        before = self._pending(self.state, stream)
        replacing = [each for each in after["reports"] if each[0] not in before]
        if requested in time_ranges(replacing, 1):
            return
        data = self.streams[stream]
        data.served.append(window)
        if self._is_closed_as_empty(stream, report, run):
            data.closed.append(window)
            return
        for row in data.expected.within(*report.query.served_window[1:]):
            if row.arrival <= report.ready_at and is_included(row, report):
                key, record = data.expected.record(row, report.ready_at)
                actual = data.table.get(key)
                assert actual == record, f"{stream}: {actual} of report {id_}, not {record}"
                data.read_as_of[key] = max(report.ready_at, data.read_as_of.get(key, 0))

    def _is_closed_as_empty(self, stream: str, report: Report, run: TapRun) -> bool:
        """Tell whether a warning says that a window was closed.

        Either two reports of it were blank, or one report in two runs.
        """
        start = f"{to_datetime(report.query.start):%Y-%m-%d %H:%M}"
        if f"{stream}: two polls in a row found no data for {start} to " not in run.errors:
            return False
        same = [
            each for each in self._windows.items() if each[1] == self._windows[report.report_id]
        ]
        kinds = [self._report(id_).query.displayed_kind for id_, _ in same]
        is_second_poll = report.report_id in self._pending_at_start[stream]
        assert is_second_poll or kinds.count(report.query.displayed_kind) > 1, (
            f"{stream}: {start} is closed after one poll"
        )
        return True

    @staticmethod
    def _pending(state: Json, stream: str) -> set[str]:
        bookmark = state.get("bookmarks", {}).get(stream, {})
        return {each[0] for each in bookmark.get("reports") or []}

    def _reports(self) -> dict[str, Report]:
        return self.sandbox._reports._reports  # noqa: SLF001

    def _report(self, id_: str) -> Report:
        return self._reports()[id_]

    # What the records and the recent measurements have to be.

    def _check_values(self, stream: str, keys: set[Key], known: set[str]) -> None:
        """Check that each record is true as of a time at which this run can have read it."""
        data = self.streams[stream]
        times = sorted({self._report(id_).ready_at for id_ in known}, reverse=True)
        if stream == RECENT:
            times = [*reversed(self._read_at), *times]
        for key in keys:
            row = data.expected.find(key)
            assert row, f"{stream}: {key} was never true"
            versions = (data.expected.record(row, at)[1] for at in times if row.arrival <= at)
            assert data.table[key] in versions, f"{stream}: {key} is not true"

    def _check_recent(self) -> None:
        """Check that all readable measurements that have arrived are there, or in a known gap."""
        bookmark, data = self.bookmark(RECENT), self.streams[RECENT]
        if not bookmark.get("covered_until") or not self._read_at:
            return
        until = min(self._read_at[-1], to_millis(bookmark["covered_until"]) + MINUTE) - SECOND
        if self.recent_since is None:
            depth = min(CACHE_DEPTHS[self.frequency], self.first_query_reaches or 10 * DAY)
            self.recent_since = until - depth + 2 * MAX_CLOCK_SKEW
        while self._awaited and self._awaited[0].arrival <= until:
            self._outstanding.append(self._awaited.popleft())
        gaps = [*time_ranges(bookmark["gaps"]), *data.closed]
        missing = [
            row
            for row in self._outstanding
            if row.time >= self.recent_since and data.expected.key(row) not in data.table
        ]
        for row in missing:
            is_known = any(gap.start <= row.time < gap.end for gap in gaps)
            is_lost = not is_known and not self._waits_for_query(row, until)
            assert not is_lost, f"recent: {data.expected.key(row)} is missing"
        self._outstanding = missing

    def _waits_for_query(self, row: Row, now: int) -> bool:
        """Tell whether only the next daily query of the cache brings a row."""
        return self.late_rows_wait and is_late(row) and now - row.arrival < LATE_ROWS_WITHIN

    # The end.

    def check_end(self, start: str, lookback: timedelta) -> None:
        """Check that nothing is open, and that the target holds what the world has.

        A report reads a row again at least until it is as old as the lookback.
        """
        assert self.is_done(), self.state
        now, reread = self.sandbox.clock.millis(), lookback // timedelta(milliseconds=1)
        closed = self.streams[RECENT].closed
        for row in self._outstanding:
            is_closed = any(each.start <= row.time < each.end for each in closed)
            assert is_closed or self._waits_for_query(row, now)
        for stream in (DATASOURCES, NODES):
            data = self.streams[stream]
            (covered,) = time_ranges(self.bookmark(stream)["covered"])
            assert covered.start == to_millis(start)
            assert covered.end > now - self.max_lag
            self._check_freshness(stream)
            for row in data.expected.within(*covered):
                is_closed = any(each.start <= row.time < each.end for each in data.closed)
                is_closed |= row.source_id in self.bookmark(stream)["rejected_ids"]
                was_read = row.arrival <= min(now - DAY, row.time + reread)
                is_present = data.expected.key(row) in data.table
                assert is_present or is_closed or not was_read, f"{stream}: {row} is missing"

    def _check_freshness(self, stream: str) -> None:
        """Check that no older report has replaced the values of a newer one."""
        data = self.streams[stream]
        reports = [
            each for each in self._reports().values() if each.query.displayed_kind == KINDS[stream]
        ]
        for key, as_of in data.read_as_of.items():
            row = data.expected.find(key)
            assert row
            times = {
                report.ready_at
                for report in reports
                if report.ready_at >= as_of
                and report.query.served_window.start <= row.time < report.query.served_window.end
            }
            versions = [data.expected.record(row, at)[1] for at in times]
            actual = data.table[key]
            assert actual in versions, f"{stream}: {actual}, as of {to_datetime(as_of)}: {versions}"


def is_included(row: Row, report: Report) -> bool:
    """Tell whether a report was requested for the node of a row; ids may have been left out."""
    return report.query.source_ids is None or row.source_id in report.query.source_ids


def state_size(state: Json) -> int:
    """Give the bytes of a state beside the token and the failing windows."""
    copied = json.loads(json.dumps(state))
    for bookmark in copied.get("bookmarks", {}).values():
        bookmark.pop("continuation_token", None)
        assert len(bookmark.pop("failing", [])) <= MAX_FAILING_WINDOWS
    return len(json.dumps(copied))
