"""New data has priority: with little quota, over all streams, and after an ambiguous request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.core.timestamps import HOUR, to_millis
from tap_clarity.sandbox.world.world import Window
from tests.support.recovery.harness import RecoveryScenario, known_measurements, missing_keys
from tests.support.reports.harness import bookmark_of, requested_windows
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Json, TapRun

DAY = timedelta(days=1)
MIDNIGHT = datetime.fromisoformat("2026-03-10T00:00:00Z")
STREAMS = ("datasource_measurements", "node_measurements")
REPORTS_PER_DAY = 30
MINUTE_METRIC = "pm2_5ConcMassIndividual"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small city, half an hour after midnight."""
    now = MIDNIGHT + timedelta(minutes=30)
    with Sandbox(seed=1, datasources=2, now=now, frozen=True) as running:
        yield running


def load(sandbox: Sandbox, state: Json = None, **settings: Any) -> TapRun:  # noqa: ANN401
    defaults = {"metric_select": "only pm2_5ConcMass1HourMean", "start_date": "2026-03-05"}
    return run_in_process(sandbox, state=state, **defaults | settings)


def leave_requests(sandbox: Sandbox, requests: int) -> None:
    """Let others in the organization use up all but so many report requests per day."""
    sandbox.switches.turn_on("shared-quota")
    sandbox.switches.set(requests_by_others=REPORTS_PER_DAY - requests)


def test_new_data_is_requested_before_the_lookback(sandbox: Sandbox) -> None:
    """As many days are read again as a report may have, and one report is granted per day."""
    settings = {"report_window_days": 2, "lookback_days": 3}
    state = load(sandbox, **settings).check().state
    leave_requests(sandbox, 1)
    for day in range(1, 6):
        sandbox.clock.set(MIDNIGHT + day * DAY + timedelta(minutes=30))
        run = load(sandbox, state, **settings).check()
        state = run.state
        assert bookmark_of(run)["covered"] == [["2026-03-05", f"{MIDNIGHT + day * DAY:%Y-%m-%d}"]]


def test_new_data_of_all_streams_is_requested_before_any_backfill(sandbox: Sandbox) -> None:
    """Each day a report is granted for each of two streams, which have a backfill of weeks."""
    settings = {"report_window_days": 1, "lookback_days": 0, "start_date": "2026-02-01"}
    leave_requests(sandbox, 2)
    state: Json = None
    for day in range(5):
        sandbox.requests.clear()
        sandbox.clock.set(MIDNIGHT + day * DAY + timedelta(minutes=30))
        state = load(sandbox, state, streams=STREAMS, **settings).check().state
        accepted = [
            (post["body"]["report"], post["body"]["endTime"])
            for post in received_requests(sandbox, "POST", "report-requests")
            if post["status"] == 200
        ]
        today = f"{MIDNIGHT + day * DAY:%Y-%m-%dT%H:%M:%S}.000Z"
        assert accepted == [("datasource-measurements", today), ("node-measurements", today)]


@pytest.mark.parametrize("lookback_days", [0, 2])
def test_delivered_windows_are_not_requested_again_after_an_ambiguous_request(
    sandbox: Sandbox, lookback_days: int
) -> None:
    """Four days without a run need several windows; the request for the last one is cut off."""
    settings = {"report_window_days": 1, "lookback_days": lookback_days}
    state = load(sandbox, **settings).check().state
    sandbox.clock.advance(4 * DAY)
    sandbox.faults.inject("drop", method="POST", contains='"startTime": "2026-03-13')
    sandbox.requests.clear()
    run = load(sandbox, state, **settings)
    assert run.status == 1
    sandbox.faults.clear()
    delivered = bookmark_of(run)["covered"]
    sandbox.requests.clear()
    sandbox.clock.advance(timedelta(hours=1))
    again = load(sandbox, run.state, **settings).check()
    assert delivered == [["2026-03-05", "2026-03-13"]]
    assert requested_windows(sandbox) == ["2026-03-13 to 2026-03-14"] + READ_AGAIN[lookback_days]
    assert bookmark_of(again)["covered"] == [["2026-03-05", "2026-03-14"]]


READ_AGAIN: dict[int, list[str]] = {
    0: [],
    2: ["2026-03-08 to 2026-03-09", "2026-03-09 to 2026-03-10"],
}
"""What the lookback still has to read, which comes after new data."""


def test_late_measurements_of_a_token_that_is_nearly_a_day_old_are_not_lost() -> None:
    """At minute frequency the cache is as deep as a token lives: late points leave it before."""
    quirks = {"continuation-within-cache"}
    with Sandbox(seed=1, datasources=12, now=MIDNIGHT, frozen=True, quirks=quirks) as sandbox:
        scenario = RecoveryScenario(
            sandbox, "minute", settings={"metric_select": f"only {MINUTE_METRIC}"}
        )
        scenario.run().check()
        late_count = 0
        for _ in range(2):
            scenario.run(pause=timedelta(hours=23.5)).check()
            late_count += count_late(sandbox, scenario.read_at[-2])
            start = scenario.read_at[0] - timedelta(hours=23)
            known = known_measurements(
                sandbox, "minute", start, read_at=scenario.read_at, prefix=MINUTE_METRIC
            )
            assert missing_keys(scenario.target.table, known) == set()
            assert scenario.gaps == []
        assert late_count


def count_late(sandbox: Sandbox, read_at: datetime) -> int:
    """Count the points that were not there when the cache was read, and that left it since."""
    world, now, read = sandbox.world, sandbox.clock.millis(), to_millis(read_at)
    window = Window("minute", read - 3 * HOUR, now)
    rows = world.rows(world.visible(now), window)
    return sum(row.arrival > read and row.time < now - 24 * HOUR for row in rows)


def test_ten_reports_that_wait_for_their_replacement_block_no_other(sandbox: Sandbox) -> None:
    """Ten is as many as may be pending; the first report of each window never has files."""
    settings = {
        "start_date": "2026-02-28",
        "report_window_days": 1,
        "lookback_days": 0,
        "report_concurrency": 10,
    }
    sandbox.switches.turn_on("no-urls-in-first-report")
    run = load(sandbox, report_wait_timeout=0, **settings).check()
    assert len(bookmark_of(run)["reports"]) == 10
    for _ in range(2):
        sandbox.clock.advance(timedelta(hours=1))
        run = load(sandbox, run.state, **settings).check()
    assert bookmark_of(run)["covered"] == [["2026-02-28", "2026-03-10"]]
