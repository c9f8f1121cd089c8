"""`--plan` prints what the next run would do, without a request to Clarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.tap_process import Json

ONE_METRIC = "only pm2_5ConcMass1HourMean"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        seed=1, datasources=2, now="2026-03-10T09:20:00Z", frozen=True, report_seconds=600
    ) as running:
        yield running


def plan(sandbox: Sandbox, *args: str, **options: Any) -> str:  # noqa: ANN401
    before = len(sandbox.requests)
    run = run_tap(sandbox, "--plan", *args, **options).check()
    assert len(sandbox.requests) == before
    return run.output.decode()


def test_plan_of_a_three_year_backfill(sandbox: Sandbox) -> None:
    assert (
        plan(sandbox, start_date="2023-03-10", report_daily_limit=5)
        == """\
The next run, as of 2026-03-10 09:20 UTC (nothing has been requested):

recent_measurements: queries Clarity's cache for everything since 2026-03-08 09:35

Stream                   What      From (UTC)        To (UTC)          Reports  Requested
datasource_measurements  new data  2026-02-08 00:00  2026-03-10 09:00        1  in the next run
datasource_measurements  backfill  2023-03-10 00:00  2023-04-10 00:00        1  in the next run
datasource_measurements  backfill  2023-04-10 00:00  2023-05-11 00:00        1  in the next run
datasource_measurements  backfill  2023-05-11 00:00  2023-06-11 00:00        1  in the next run
datasource_measurements  backfill  2023-06-11 00:00  2023-07-12 00:00        1  in the next run
datasource_measurements  backfill  2023-07-12 00:00  2026-02-08 00:00       31  later

Report requests: 5 in the next run, 5 left today, 5 a day (report_daily_limit).
The backfill ends on 2026-03-18 (UTC), if the tap runs every day.
"""
    )


def state_between_runs(sandbox: Sandbox) -> Json:
    """Give the state of a run that has left three pending reports, a gap, and a token."""
    state = run_in_process(
        sandbox,
        streams=["recent_measurements", "datasource_measurements", "node_measurements"],
        start_date="2026-02-01",
        report_window_days=20,
        report_wait_timeout=0,
        metric_select=ONE_METRIC,
    ).state
    state["bookmarks"]["recent_measurements"]["gaps"] = [["2026-03-01T06:00Z", "2026-03-03T08:00Z"]]
    return state


def test_plan_between_two_runs(sandbox: Sandbox) -> None:
    state = state_between_runs(sandbox)
    sandbox.clock.advance(15 * 3600)
    streams = ["recent_measurements", "datasource_measurements", "node_measurements"]
    assert (
        plan(
            sandbox,
            streams=streams,
            state=state,
            start_date="2026-01-01",
            report_window_days=20,
            report_daily_limit=3,
            metric_select=ONE_METRIC,
        )
        == """\
The next run, as of 2026-03-11 00:20 UTC (nothing has been requested):

recent_measurements: resumes with the continuation token

Stream                   What      From (UTC)        To (UTC)          Reports  Requested
recent_measurements      gap       2026-03-01 06:00  2026-03-03 08:00        1  in the next run
datasource_measurements  pending   2026-02-19 00:00  2026-03-10 09:00        1  2026-03-10 09:20
datasource_measurements  pending   2026-02-01 00:00  2026-02-19 00:00        1  2026-03-10 09:20
datasource_measurements  new data  2026-03-07 00:00  2026-03-11 00:00        1  in the next run
datasource_measurements  backfill  2026-01-01 00:00  2026-02-01 00:00        2  later
node_measurements        pending   2026-02-19 00:00  2026-03-10 09:00        1  2026-03-10 09:20
node_measurements        new data  2026-03-07 00:00  2026-03-11 00:00        1  in the next run
node_measurements        backfill  2026-01-01 00:00  2026-02-19 00:00        3  later

Report requests: 3 in the next run, 3 left today, 3 a day (report_daily_limit).
The backfill ends on 2026-03-16 (UTC), if the tap runs every day.
"""
    )


def test_plan_when_nothing_is_due(sandbox: Sandbox) -> None:
    state = state_between_runs(sandbox)
    assert (
        plan(
            sandbox,
            streams=["node_measurements"],
            state={"bookmarks": state["bookmarks"] | {"node_measurements": as_delivered(state)}},
            start_date="2026-02-01",
            metric_select=ONE_METRIC,
        )
        == """\
The next run, as of 2026-03-10 09:20 UTC (nothing has been requested):

node_measurements: no report is due

Report requests: 0 in the next run, 22 left today, 25 a day (report_daily_limit).
No backfill is due.
"""
    )


def as_delivered(state: Json) -> Json:
    """Give the node reports' state as if all were delivered."""
    of_nodes = state["bookmarks"]["node_measurements"]
    return of_nodes | {"covered": [["2026-02-01", "2026-03-10T09:00Z"]], "reports": []}


def test_plan_reads_state_as_stored_by_meltano(sandbox: Sandbox) -> None:
    state = state_between_runs(sandbox)
    settings: dict[str, Any] = {"start_date": "2026-02-01", "report_window_days": 20}
    settings["metric_select"] = ONE_METRIC
    singer = plan(sandbox, state=state, **settings)
    assert "pending" in singer
    assert plan(sandbox, state={"singer_state": state}, **settings) == singer


def test_plan_of_a_changed_query_starts_from_the_beginning(sandbox: Sandbox) -> None:
    text = plan(
        sandbox,
        streams=["datasource_measurements"],
        state=state_between_runs(sandbox),
        qc_flags=True,
    )
    assert "datasource_measurements: settings of its query have changed, so it starts again" in text
    assert "pending" not in text
    assert "22 left today" in text  # the ledger is no part of the query


def test_plan_warns_if_daily_limit_is_too_low(sandbox: Sandbox) -> None:
    text = plan(sandbox, start_date="2026-02-01", report_daily_limit=0)
    assert (
        "New data alone uses up report_daily_limit, and the backfill never ends: raise it." in text
    )
    assert "later" in text


def test_no_plan_without_measurement_streams(sandbox: Sandbox) -> None:
    text = plan(sandbox, streams=["metrics", "datasources"])
    assert text.splitlines()[2:] == ["No measurement stream is selected."]


@pytest.mark.parametrize(
    ("args", "settings", "line"),
    [
        ((), {"start_date": "yesterday"}, "start_date"),
        ((), {"report_daily_limit": 31}, "report_daily_limit"),
        (("--state=/nowhere/state.json",), {}, "/nowhere/state.json"),
    ],
)
def test_invalid_settings_are_one_line(
    sandbox: Sandbox, args: tuple[str, ...], settings: dict[str, Any], line: str
) -> None:
    run = run_tap(sandbox, "--plan", *args, **settings)
    assert run.status == 1
    assert "Traceback" not in run.errors
    (error_line,) = run.error_lines
    assert line in error_line
    assert run.output == b""


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"bookmarks": 7}'])
def test_malformed_state_is_one_line(sandbox: Sandbox, tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    run = run_tap(sandbox, "--plan", f"--state={file}")
    lines = [line for line in run.errors.splitlines() if "| ERROR " in line or "| WARN" in line]
    assert len(lines) == 1
    assert "state" in lines[0]
    assert "Traceback" not in run.errors
