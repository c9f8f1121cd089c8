"""Reports are asked for once, in the windows that are due, and the target ends equal to Clarity."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.report_harness import (
    STREAM,
    asked,
    run_inside,
    run_killed,
    stand,
    truth,
    warnings,
)
from tests.support.tap_process import calls, upsert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.tap_process import Key, Record

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ONE_METRIC = "only pm2_5ConcMass1HourMean"
STALL = 60
"""Seconds that an answer takes while the tap is killed."""
# In its second day, all of a small world is recalibrated, and some of it revoked.
REWORKED = "2026-03-13T09:20:00Z"


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


class Days:
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
        self.run = run_inside(self.sandbox, state=self.state, **self.settings).check()
        self.state = self.run.state or self.state
        upsert(self.table, self.run, STREAM)
        return asked(self.sandbox)


def test_first_the_newest_window_then_the_past_then_each_day_what_is_new(sandbox: Sandbox) -> None:
    days = Days(sandbox, start_date="2026-02-27", report_window_days=5)
    assert days.load() == [
        "2026-03-06 to 2026-03-10 09:00",
        "2026-02-27 to 2026-03-04",
        "2026-03-04 to 2026-03-06",
    ]
    assert days.table == truth(sandbox, "2026-02-27", "2026-03-10T09:00Z")
    assert days.load(after=DAY) == ["2026-03-07 to 2026-03-11 09:00"]
    assert days.load(after=3 * DAY) == [
        "2026-03-08 to 2026-03-13",
        "2026-03-13 to 2026-03-14 09:00",
    ]
    newest = {key: row for key, row in days.table.items() if row["time"] >= "2026-03-08"}
    assert newest == truth(sandbox, "2026-03-08", "2026-03-14T09:00Z")


def test_without_a_start_date_thirty_days_are_read_and_stay_the_start(sandbox: Sandbox) -> None:
    days = Days(sandbox, metric_select=ONE_METRIC)
    assert days.load() == ["2026-02-08 to 2026-03-10 09:00"]
    days.load(after=2 * DAY)
    assert stand(days.run)["start_date"] == "2026-02-08"


@pytest.mark.parametrize(
    ("interval", "times"),
    [
        (24, ["2026-03-11 00", "2026-03-12 00"]),
        (12, ["2026-03-10 12", "2026-03-11 00", "2026-03-11 12", "2026-03-12 00"]),
        (48, ["2026-03-12 00"]),  # counted from 00:00 on 1970-01-01
    ],
)
def test_an_hourly_schedule_asks_once_per_slot(
    sandbox: Sandbox, interval: int, times: list[str]
) -> None:
    days = Days(
        sandbox, start_date="2026-03-10", report_interval_hours=interval, metric_select=ONE_METRIC
    )
    days.load()
    hours = []
    while sandbox.clock.now() < sandbox.clock.now().replace(day=12, hour=1):
        if days.load(after=HOUR):
            hours.append(f"{sandbox.clock.now():%Y-%m-%d %H}")
    assert hours == times


def test_what_is_rewritten_or_revoked_later_is_right_the_next_day() -> None:
    before, after, days = reworked(lookback_days=3)
    assert days.table == after
    revoked = [key for key in before if before[key]["value"] and after[key]["value"] is None]
    assert len(revoked) > 10
    assert all(days.table[key]["status"] for key in revoked)


def test_without_lookback_it_stays_stale() -> None:
    before, after, days = reworked(lookback_days=0)
    assert days.table.keys() == after.keys()
    stale = {key for key in after if days.table[key] != after[key]}
    # The bookmark's own day is read again in any case: windows begin at 00:00.
    assert stale == {key for key in before if before[key] != after[key] and key[-1] < "2026-03-13"}
    assert len(stale) > 300


def reworked(lookback_days: int) -> tuple[dict[Key, Record], dict[Key, Record], Days]:
    """Load a world, and again a day later: gives the truth before and after, and the target."""
    with Sandbox(seed=1, datasources=2, now=REWORKED, frozen=True, report_seconds=0) as sandbox:
        days = Days(sandbox, start_date="2026-03-10", lookback_days=lookback_days)
        days.load()
        before = truth(sandbox, "2026-03-10", "2026-03-13T09:00Z")
        assert days.table == before
        days.load(after=DAY)
        return before, truth(sandbox, "2026-03-10", "2026-03-14T09:00Z"), days


def test_the_end_date_bounds_all(sandbox: Sandbox) -> None:
    days = Days(sandbox, start_date="2026-02-20", end_date="2026-03-09T12:00")
    assert days.load() == ["2026-02-20 to 2026-03-09 12:00"]
    assert days.table == truth(sandbox, "2026-02-20", "2026-03-09T12:00Z")
    assert days.load(after=DAY) == ["2026-03-06 to 2026-03-09 12:00"]  # within the lookback
    assert days.load(after=3 * DAY) == []


def test_moving_the_start_date_back_asks_only_for_the_missing_past(sandbox: Sandbox) -> None:
    days = Days(sandbox, start_date="2026-03-01", metric_select=ONE_METRIC)
    days.load()
    days.settings["start_date"] = "2026-01-15T06:00"
    assert days.load(after=HOUR) == [
        "2026-01-15 06:00 to 2026-02-15",
        "2026-02-15 to 2026-03-01",
    ]
    days.settings["start_date"] = "2026-02-20"
    assert days.load(after=HOUR) == []
    assert stand(days.run)["covered"] == [["2026-01-15T06:00Z", "2026-03-10T09:00Z"]]


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
def test_another_query_starts_again_and_uses_no_old_report(
    slow: Sandbox, change: dict[str, Any], rows: Callable[[Record], bool]
) -> None:
    settings: dict[str, Any] = {"start_date": "2026-02-20", "report_window_days": 10}
    old = run_inside(slow, **settings, report_wait_timeout=0).check()
    assert len(stand(old)["reports"]) == 2
    slow.requests.clear()
    run = run_inside(slow, state=old.state, **settings, **change).check()
    assert len(asked(slow)) == 2
    polled = {request["path"].rpartition("/")[2] for request in calls(slow, "GET", "report-req")}
    assert not polled & {report[0] for report in stand(old)["reports"]}
    assert run.records(STREAM)
    assert all(rows(record) for record in run.records(STREAM))
    start = "2026-02-20T00:00:00.000Z"
    assert warnings(run) == [
        f"{STREAM}: settings of its query have changed; it starts again from {start}, for 2 reports"
    ]


def test_another_target_layout_or_concurrency_is_no_other_query(sandbox: Sandbox) -> None:
    days = Days(sandbox, start_date="2026-02-20", metric_select=ONE_METRIC)
    days.load()
    days.settings |= {
        "measurement_layout": "wide",
        "report_concurrency": 1,
        "report_file_format": "parquet",
        "lookback_days": 5,
        "report_daily_limit": 7,
    }
    assert days.load(after=DAY) == ["2026-03-05 to 2026-03-11 09:00"]
    assert warnings(days.run) == []


def test_killed_while_three_reports_are_built_it_asks_for_none_again(slow: Sandbox) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-06", "report_window_days": 2}
    slow.faults.inject("stall", path="/v2/report-request*", method="GET", seconds=STALL)
    killed = run_killed(slow, lambda _: polls(slow) == 1, **settings)
    assert killed.status == -signal.SIGKILL
    assert killed.records(STREAM) == []
    slow.faults.clear()
    run = run_inside(slow, state=killed.state, **settings).check()
    assert asked(slow) == [
        "2026-03-09 to 2026-03-10 09:00",
        "2026-03-06 to 2026-03-08",
        "2026-03-08 to 2026-03-09",
    ]
    assert run.upserted(STREAM) == truth(slow, "2026-03-06", "2026-03-10T09:00Z")
    assert stand(run)["reports"] == []


def test_a_request_is_counted_before_it_is_sent(slow: Sandbox) -> None:
    slow.faults.inject("stall", method="POST", seconds=STALL)
    killed = run_killed(slow, lambda _: bool(asked(slow)), start_date="2026-02-20")
    assert stand(killed)["requests"] == ["2026-03-10", 1]
    assert stand(killed)["reports"] == []


def test_a_report_is_in_the_state_before_it_is_polled(slow: Sandbox) -> None:
    slow.faults.inject("stall", path="/v2/report-request*", method="GET", seconds=STALL)
    killed = run_killed(slow, lambda _: polls(slow) == 1, start_date="2026-02-20")
    (poll,) = calls(slow, "GET", "/v2/report-request")
    id_ = poll["path"].rpartition("/")[2]
    assert stand(killed)["reports"] == [
        [id_, "2026-02-20", "2026-03-10T09:00Z", "2026-03-10T09:20Z"]
    ]
    assert stand(killed)["fingerprint"]


def test_killed_while_rows_are_written_it_writes_them_again(sandbox: Sandbox) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-08"}
    killed = run_killed(sandbox, lambda written: written > 50_000, **settings)
    assert killed.records(STREAM)
    assert stand(killed)["covered"] == []
    run = run_inside(sandbox, state=killed.state, **settings).check()
    assert len(asked(sandbox)) == 1
    assert run.upserted(STREAM) == truth(sandbox, "2026-03-08", "2026-03-10T09:00Z")


def test_what_is_not_ready_in_time_is_left_to_the_next_run(slow: Sandbox) -> None:
    days = Days(slow, start_date="2026-03-05", report_wait_timeout=60, metric_select=ONE_METRIC)
    begin = slow.clock.now()
    assert days.load() == ["2026-03-05 to 2026-03-10 09:00"]
    assert slow.clock.now() - begin <= timedelta(seconds=61)
    assert days.table == {}
    (line,) = warnings(days.run)
    assert line.startswith(
        "report_wait_timeout is used up: the next run resumes the pending reports (1)"
    )
    assert days.load(after=HOUR) == []
    assert days.table
    assert stand(days.run)["covered"] == [["2026-03-05", "2026-03-10T09:00Z"]]


@pytest.mark.parametrize("struck", [1, 2])
def test_only_the_report_that_failed_is_asked_for_in_the_next_run(
    sandbox: Sandbox, struck: int
) -> None:
    windows = ["2026-03-06 to 2026-03-10 09:00", "2026-03-01 to 2026-03-06"]
    days = Days(
        sandbox,
        start_date="2026-03-01",
        report_window_days=5,
        lookback_days=0,
        metric_select=ONE_METRIC,
    )
    sandbox.faults.inject("stall", seconds=0, method="POST", times=struck - 1)
    sandbox.faults.inject("failed-report", method="POST")
    days.settings["report_daily_limit"] = 2
    assert days.load() == windows
    days.settings["report_daily_limit"] = 25
    assert days.load(after=HOUR) == [windows[struck - 1]]
    assert days.load(after=HOUR) == []
    assert len(stand(days.run)["covered"]) == 1


def test_a_report_that_fails_for_good_is_an_error_with_claritys_words(sandbox: Sandbox) -> None:
    sandbox.faults.inject("failed-report", method="POST", times=2, message="Too many rows")
    run = run_inside(sandbox, start_date="2026-03-09", metric_select=ONE_METRIC)
    assert run.status == 1
    (line,) = run.complaints
    assert "for 2026-03-09 00:00 to 2026-03-10 09:00 failed: Clarity says 'Too many rows'" in line
    assert "; next attempt on 2026-03-11; " in line
    assert len(asked(sandbox)) == 2
    sandbox.clock.advance(DAY)
    after = run_inside(
        sandbox, state=run.state, start_date="2026-03-09", metric_select=ONE_METRIC
    ).check()
    assert asked(sandbox)[2:] == [
        "2026-03-10 09:00 to 2026-03-11 09:00",
        "2026-03-09 to 2026-03-10 09:00",
    ]
    assert stand(after)["covered"] == [["2026-03-09", "2026-03-11T09:00Z"]]


def test_a_report_that_clarity_has_forgotten_is_asked_for_anew(slow: Sandbox) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-09", "metric_select": ONE_METRIC}
    state = run_inside(slow, report_wait_timeout=0, **settings).check().state
    state["bookmarks"][STREAM]["reports"][0][0] = "JB00000000"
    run = run_inside(slow, state=state, **settings).check()
    assert asked(slow) == ["2026-03-09 to 2026-03-10 09:00"] * 2
    assert stand(run)["covered"] == [["2026-03-09", "2026-03-10T09:00Z"]]
    slow.clock.advance(HOUR)
    run_inside(slow, state=run.state, **settings).check()
    assert len(asked(slow)) == 2


def polls(sandbox: Sandbox) -> int:
    return len([*calls(sandbox, "GET", "/v2/report-request")])
