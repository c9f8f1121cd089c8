"""Reports: due windows are requested once, and the target equals the expected data."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.reports.harness import (
    STREAM,
    bookmark_of,
    expected_records_of,
    requested_windows,
    run_killed,
    warnings,
)
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import received_requests, upsert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.tap_process import Key, Record

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ONE_METRIC = "only pm2_5ConcMass1HourMean"
STALL = 60
"""Seconds that an answer takes while the tap is killed."""
# In its second day, all of a small world is recalibrated, and some of it revoked.
CHANGED_AT = "2026-03-13T09:20:00Z"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A tiny world whose reports are ready at once."""
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=0
    ) as running:
        yield running


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """The same, but Clarity takes ten minutes for each report."""
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=600
    ) as running:
        yield running


class RepeatedLoad:
    """A target that is loaded again and again, from the state that the tap wrote last."""

    def __init__(self, sandbox: Sandbox, **settings: Any) -> None:  # noqa: ANN401
        self.sandbox = sandbox
        self.settings = settings
        self.state: Any = None
        self.table: dict[Key, Record] = {}

    def load(self, after: timedelta = timedelta(0)) -> list[str]:
        """Let time pass, run the tap, and give the windows that it asked for."""
        self.sandbox.clock.advance(after)
        self.sandbox.requests.clear()
        self.run = run_in_process(self.sandbox, state=self.state, **self.settings).check()
        self.state = self.run.state or self.state
        upsert(self.table, self.run, STREAM)
        return requested_windows(self.sandbox)


def test_newest_window_is_requested_first_then_the_backfill_then_daily_new_data(
    sandbox: Sandbox,
) -> None:
    target = RepeatedLoad(sandbox, start_date="2026-02-27", report_window_days=5)
    assert target.load() == [
        "2026-03-06 to 2026-03-10 09:00",
        "2026-02-27 to 2026-03-04",
        "2026-03-04 to 2026-03-06",
    ]
    assert target.table == expected_records_of(sandbox, "2026-02-27", "2026-03-10T09:00Z")
    assert target.load(after=DAY) == ["2026-03-07 to 2026-03-11 09:00"]
    assert target.load(after=3 * DAY) == [
        "2026-03-08 to 2026-03-13",
        "2026-03-13 to 2026-03-14 09:00",
    ]
    newest = {key: row for key, row in target.table.items() if row["time"] >= "2026-03-08"}
    assert newest == expected_records_of(sandbox, "2026-03-08", "2026-03-14T09:00Z")


def test_without_start_date_the_first_run_fixes_a_start_30_days_ago(sandbox: Sandbox) -> None:
    target = RepeatedLoad(sandbox, metric_select=ONE_METRIC)
    assert target.load() == ["2026-02-08 to 2026-03-10 09:00"]
    target.load(after=2 * DAY)
    assert bookmark_of(target.run)["start_date"] == "2026-02-08"


@pytest.mark.parametrize(
    ("interval", "times"),
    [
        (24, ["2026-03-11 00", "2026-03-12 00"]),
        (12, ["2026-03-10 12", "2026-03-11 00", "2026-03-11 12", "2026-03-12 00"]),
        (48, ["2026-03-12 00"]),  # counted from 00:00 on 1970-01-01
    ],
)
def test_hourly_schedule_requests_once_per_slot(
    sandbox: Sandbox, interval: int, times: list[str]
) -> None:
    target = RepeatedLoad(
        sandbox, start_date="2026-03-10", report_interval_hours=interval, metric_select=ONE_METRIC
    )
    target.load()
    hours = []
    while sandbox.clock.now() < sandbox.clock.now().replace(day=12, hour=1):
        if target.load(after=HOUR):
            hours.append(f"{sandbox.clock.now():%Y-%m-%d %H}")
    assert hours == times


def test_values_changed_or_revoked_later_are_corrected_on_the_next_day() -> None:
    before, after, target = load_changed_values(lookback_days=3)
    assert target.table == after
    revoked = [key for key in before if before[key]["value"] and after[key]["value"] is None]
    assert len(revoked) > 10
    assert all(target.table[key]["status"] for key in revoked)


def test_without_lookback_changed_values_stay_stale() -> None:
    before, after, target = load_changed_values(lookback_days=0)
    assert target.table.keys() == after.keys()
    stale = {key for key in after if target.table[key] != after[key]}
    # The bookmark's own day is read again in any case: windows begin at 00:00.
    assert stale == {key for key in before if before[key] != after[key] and key[-1] < "2026-03-13"}
    assert len(stale) > 300


def load_changed_values(
    lookback_days: int,
) -> tuple[dict[Key, Record], dict[Key, Record], RepeatedLoad]:
    """Load a world, and again a day later: gives the truth before and after, and the target."""
    with Sandbox(seed=1, datasources=2, now=CHANGED_AT, frozen=True, report_seconds=0) as sandbox:
        target = RepeatedLoad(sandbox, start_date="2026-03-10", lookback_days=lookback_days)
        target.load()
        before = expected_records_of(sandbox, "2026-03-10", "2026-03-13T09:00Z")
        assert target.table == before
        target.load(after=DAY)
        return before, expected_records_of(sandbox, "2026-03-10", "2026-03-14T09:00Z"), target


def test_end_date_limits_all_requests(sandbox: Sandbox) -> None:
    target = RepeatedLoad(sandbox, start_date="2026-02-20", end_date="2026-03-09T12:00")
    assert target.load() == ["2026-02-20 to 2026-03-09 12:00"]
    assert target.table == expected_records_of(sandbox, "2026-02-20", "2026-03-09T12:00Z")
    assert target.load(after=DAY) == ["2026-03-06 to 2026-03-09 12:00"]  # within the lookback
    assert target.load(after=3 * DAY) == []


def test_earlier_start_date_requests_only_the_missing_range(sandbox: Sandbox) -> None:
    target = RepeatedLoad(sandbox, start_date="2026-03-01", metric_select=ONE_METRIC)
    target.load()
    target.settings["start_date"] = "2026-01-15T06:00"
    assert target.load(after=HOUR) == [
        "2026-01-15 06:00 to 2026-02-15",
        "2026-02-15 to 2026-03-01",
    ]
    target.settings["start_date"] = "2026-02-20"
    assert target.load(after=HOUR) == []
    assert bookmark_of(target.run)["covered"] == [["2026-01-15T06:00Z", "2026-03-10T09:00Z"]]


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"metric_select": ONE_METRIC}, lambda row: "pm2_5" in row["metric"]),
        ({"qc_flags": True}, lambda row: row["qc_flags"] is not None),
        ({"qc_assessment": False}, lambda row: row["qc_assessment"] is None),
        ({"datasource_ids": ["DDCPO0000"]}, lambda row: row["datasource_id"] == "DDCPO0000"),
        ({"output_frequency": "day"}, lambda row: row["output_frequency"] == "day"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_changed_query_starts_from_the_beginning_and_uses_no_old_report(
    slow: Sandbox, change: dict[str, Any], rows: Callable[[Record], bool]
) -> None:
    settings: dict[str, Any] = {"start_date": "2026-02-20", "report_window_days": 10}
    old = run_in_process(slow, **settings, report_wait_timeout=0).check()
    assert len(bookmark_of(old)["reports"]) == 2
    slow.requests.clear()
    run = run_in_process(slow, state=old.state, **settings, **change).check()
    assert len(requested_windows(slow)) == 2
    polled = {
        request["path"].rpartition("/")[2]
        for request in received_requests(slow, "GET", "report-req")
    }
    assert not polled & {report[0] for report in bookmark_of(old)["reports"]}
    assert run.records(STREAM)
    assert all(rows(record) for record in run.records(STREAM))
    start = "2026-02-20T00:00:00.000Z"
    assert warnings(run) == [
        f"{STREAM}: settings of its query have changed; it starts again from {start}, for 2 reports"
    ]


def test_layout_and_concurrency_do_not_change_the_query(sandbox: Sandbox) -> None:
    target = RepeatedLoad(sandbox, start_date="2026-02-20", metric_select=ONE_METRIC)
    target.load()
    target.settings |= {
        "measurement_layout": "wide",
        "report_concurrency": 1,
        "report_file_format": "parquet",
        "lookback_days": 5,
        "report_daily_limit": 7,
    }
    assert target.load(after=DAY) == ["2026-03-05 to 2026-03-11 09:00"]
    assert warnings(target.run) == []


def test_run_killed_with_three_pending_reports_requests_none_again(slow: Sandbox) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-06", "report_window_days": 2}
    slow.faults.inject("stall", path="/v2/report-request*", method="GET", seconds=STALL)
    killed = run_killed(slow, lambda _: poll_count(slow) == 1, **settings)
    assert killed.status == -signal.SIGKILL
    assert killed.records(STREAM) == []
    slow.faults.clear()
    run = run_in_process(slow, state=killed.state, **settings).check()
    assert requested_windows(slow) == [
        "2026-03-09 to 2026-03-10 09:00",
        "2026-03-06 to 2026-03-08",
        "2026-03-08 to 2026-03-09",
    ]
    assert run.upserted(STREAM) == expected_records_of(slow, "2026-03-06", "2026-03-10T09:00Z")
    assert bookmark_of(run)["reports"] == []


def test_request_is_counted_before_it_is_sent(slow: Sandbox) -> None:
    slow.faults.inject("stall", method="POST", seconds=STALL)
    killed = run_killed(slow, lambda _: bool(requested_windows(slow)), start_date="2026-02-20")
    assert bookmark_of(killed)["requests"] == ["2026-03-10", 1]
    assert bookmark_of(killed)["reports"] == []


def test_report_is_in_the_state_before_it_is_polled(slow: Sandbox) -> None:
    slow.faults.inject("stall", path="/v2/report-request*", method="GET", seconds=STALL)
    killed = run_killed(slow, lambda _: poll_count(slow) == 1, start_date="2026-02-20")
    (poll,) = received_requests(slow, "GET", "/v2/report-request")
    id_ = poll["path"].rpartition("/")[2]
    assert bookmark_of(killed)["reports"] == [
        [id_, "2026-02-20", "2026-03-10T09:00Z", "2026-03-10T09:20Z"]
    ]
    assert bookmark_of(killed)["fingerprint"]


def test_run_killed_while_writing_rows_writes_them_again(sandbox: Sandbox) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-08"}
    killed = run_killed(sandbox, lambda written: written > 50_000, **settings)
    assert killed.records(STREAM)
    assert bookmark_of(killed)["covered"] == []
    run = run_in_process(sandbox, state=killed.state, **settings).check()
    assert len(requested_windows(sandbox)) == 1
    assert run.upserted(STREAM) == expected_records_of(sandbox, "2026-03-08", "2026-03-10T09:00Z")


def test_report_not_ready_in_time_is_resumed_by_the_next_run(slow: Sandbox) -> None:
    target = RepeatedLoad(
        slow, start_date="2026-03-05", report_wait_timeout=60, metric_select=ONE_METRIC
    )
    begin = slow.clock.now()
    assert target.load() == ["2026-03-05 to 2026-03-10 09:00"]
    assert slow.clock.now() - begin <= timedelta(seconds=61)
    assert target.table == {}
    (line,) = warnings(target.run)
    assert line.startswith(
        "report_wait_timeout is used up: the next run resumes the pending reports (1)"
    )
    assert target.load(after=HOUR) == []
    assert target.table
    assert bookmark_of(target.run)["covered"] == [["2026-03-05", "2026-03-10T09:00Z"]]


@pytest.mark.parametrize("failing_number", [1, 2])
def test_next_run_requests_only_the_failed_report(sandbox: Sandbox, failing_number: int) -> None:
    windows = ["2026-03-06 to 2026-03-10 09:00", "2026-03-01 to 2026-03-06"]
    target = RepeatedLoad(
        sandbox,
        start_date="2026-03-01",
        report_window_days=5,
        lookback_days=0,
        metric_select=ONE_METRIC,
    )
    sandbox.faults.inject("stall", seconds=0, method="POST", times=failing_number - 1)
    sandbox.faults.inject("failed-report", method="POST")
    target.settings["report_daily_limit"] = 2
    assert target.load() == windows
    target.settings["report_daily_limit"] = 25
    assert target.load(after=HOUR) == [windows[failing_number - 1]]
    assert target.load(after=HOUR) == []
    assert len(bookmark_of(target.run)["covered"]) == 1


def test_persistently_failing_report_is_an_error_with_claritys_message(sandbox: Sandbox) -> None:
    sandbox.faults.inject("failed-report", method="POST", times=2, message="Too many rows")
    run = run_in_process(sandbox, start_date="2026-03-09", metric_select=ONE_METRIC)
    assert run.status == 1
    (line,) = run.error_lines
    assert "for 2026-03-09 00:00 to 2026-03-10 09:00 failed: Clarity says 'Too many rows'" in line
    assert "; next attempt on 2026-03-11; " in line
    assert len(requested_windows(sandbox)) == 2
    sandbox.clock.advance(DAY)
    after = run_in_process(
        sandbox, state=run.state, start_date="2026-03-09", metric_select=ONE_METRIC
    ).check()
    assert requested_windows(sandbox)[2:] == [
        "2026-03-10 09:00 to 2026-03-11 09:00",
        "2026-03-09 to 2026-03-10 09:00",
    ]
    assert bookmark_of(after)["covered"] == [["2026-03-09", "2026-03-11T09:00Z"]]


def test_report_no_longer_known_to_clarity_is_requested_again(slow: Sandbox) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-09", "metric_select": ONE_METRIC}
    state = run_in_process(slow, report_wait_timeout=0, **settings).check().state
    state["bookmarks"][STREAM]["reports"][0][0] = "JB00000000"
    run = run_in_process(slow, state=state, **settings).check()
    assert requested_windows(slow) == ["2026-03-09 to 2026-03-10 09:00"] * 2
    assert bookmark_of(run)["covered"] == [["2026-03-09", "2026-03-10T09:00Z"]]
    slow.clock.advance(HOUR)
    run_in_process(slow, state=run.state, **settings).check()
    assert len(requested_windows(slow)) == 2


def poll_count(sandbox: Sandbox) -> int:
    return len([*received_requests(sandbox, "GET", "/v2/report-request")])
