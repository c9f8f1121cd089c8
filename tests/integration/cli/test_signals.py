"""SIGTERM and SIGINT: whole lines, a last STATE that claims no more than was written, one word."""

from __future__ import annotations

import re
import signal
import socket
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.running_tap import SIGNALLED_AT_EXIT, STANDING_STILL, running, small_pipe
from tests.support.tap_process import TapRun, expected_records, utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = Any
Claim = tuple[str, datetime, datetime]

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}
RECENT, REPORTS = "recent_measurements", "datasource_measurements"
# The report is never built, and the tap waits for it without end.
ENDLESS: dict[str, Any] = {
    "streams": ["datasources", "nodes", "metrics", RECENT, REPORTS],
    "start_date": "2026-03-08",
    "metric_select": "all",
    "script": STANDING_STILL,
}
# A signal between two lines of the standard library leaves a reply that has no file yet, and in
# development mode Python says so when it throws that away.
HALF_MADE = re.compile(
    r"Exception ignored [^\n]*http\.client\.HTTPResponse[^\n]*\nTraceback (?:(?!\n\S).)*\n"
    r"AttributeError: 'HTTPResponse' object has no attribute 'fp'\n",
    re.DOTALL,
)
MOMENTS = [
    "Beginning sync of 'datasources'",
    "Beginning sync of 'metrics'",
    f"Beginning sync of '{RECENT}'",
    f"Beginning sync of '{REPORTS}'",
    ": in progress for ",
]


def claims(state: Json, now: datetime) -> Iterator[Claim]:
    """Give the streams and ranges that a state says have been written."""
    bookmarks = state.get("bookmarks", {})
    if bookmarks.get(RECENT, {}).get("continuation_token"):
        yield RECENT, now - timedelta(hours=48), now
    for start, end in covered(state):
        yield REPORTS, utc(start), utc(end)


def assert_ended_well(run: TapRun, sandbox: Sandbox, signum: signal.Signals) -> None:
    """Check all that every signal at any moment must leave behind."""
    assert run.status == STATUS[signum], run.errors
    assert run.errors.count(f"stopped by {signum.name}") == 1
    assert run.complaints == []
    assert "Traceback" not in HALF_MADE.sub("", run.errors)
    assert run.messages[-1]["type"] == "STATE"
    assert_no_state_overtakes_its_records(run, sandbox)


def assert_no_state_overtakes_its_records(run: TapRun, sandbox: Sandbox) -> None:
    now = sandbox.clock.now()
    lines = run.output.splitlines(keepends=True)
    believed: set[Claim] = set()
    for number, message in enumerate(run.messages):
        new = set(claims(message["value"], now)) - believed if message["type"] == "STATE" else set()
        for stream, start, end in new:
            before = replace(run, output=b"".join(lines[:number])).upserted(stream)
            truth = expected_records(sandbox.expected.measurements("hour", start, end, now))
            assert {key: before.get(key) for key in truth} == truth
        believed |= new


def covered(state: Json) -> list[list[str]]:
    return list(state.get("bookmarks", {}).get(REPORTS, {}).get("covered") or [])


def temporary_files(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "temporary").rglob("*")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_ends_the_run_well(
    sandbox: Sandbox, tmp_path: Path, moment: str
) -> None:
    output = tmp_path / "output"
    with running(sandbox, tmp_path, output=output.open("wb"), **ENDLESS) as tap:
        tap.waits_for(moment)
        tap.process.send_signal(signal.SIGTERM)
        run = tap.end(output)
    assert_ended_well(run, sandbox, signal.SIGTERM)
    assert temporary_files(tmp_path) == []


def test_interrupted_while_a_report_is_built_the_report_is_in_the_state(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with running(sandbox, tmp_path, output=output.open("wb"), **ENDLESS) as tap:
        tap.waits_for(": in progress for ")
        tap.process.send_signal(signal.SIGINT)
        run = tap.end(output)
    assert_ended_well(run, sandbox, signal.SIGINT)
    bookmark = run.state["bookmarks"][REPORTS]
    (report,) = bookmark["reports"]
    assert report[0].startswith("JB")
    assert bookmark["covered"] == []
    assert run.records(REPORTS) == []
    assert {stream for stream, _, _ in claims(run.state, sandbox.clock.now())} == {RECENT}


@pytest.mark.parametrize("signals", [["SIGTERM"], ["SIGINT"], ["SIGTERM", "SIGTERM"]])
def test_a_signal_while_the_reader_is_stalled_waits_for_the_line(
    sandbox: Sandbox, tmp_path: Path, signals: list[str]
) -> None:
    with (
        small_pipe() as (reader, output),
        running(sandbox, tmp_path, output=output, streams=[RECENT]) as tap,
    ):
        reader.until(lambda message: bool(message["type"] == "RECORD"))
        reader.stall()
        for name in signals:
            tap.process.send_signal(signal.Signals[name])
        run = tap.end(reader.rest())
    assert_ended_well(run, sandbox, signal.Signals[signals[0]])
    assert list(claims(run.state, sandbox.clock.now())) == []
    assert 0 < len(run.records(RECENT)) < 10_000


def test_a_signal_amid_the_second_report_keeps_the_first_alone(tmp_path: Path) -> None:
    with (
        Sandbox(seed=1, datasources=4, now=NOW, frozen=True, report_seconds=0) as sandbox,
        small_pipe() as (reader, output),
        running(
            sandbox,
            tmp_path,
            output=output,
            streams=[REPORTS],
            start_date="2026-03-06",
            report_window_days=1,
            metric_select="all",
        ) as tap,
    ):
        reader.until(lambda message: bool(message["type"] == "STATE" and covered(message["value"])))
        reader.until(lambda message: bool(message["type"] == "RECORD"))
        reader.stall()
        tap.process.send_signal(signal.SIGTERM)
        run = tap.end(reader.rest())
        assert_ended_well(run, sandbox, signal.SIGTERM)
    ((start, end),) = (map(utc, window) for window in covered(run.state))
    times = {datetime.fromisoformat(record["time"]) for record in run.records(REPORTS)}
    assert {time for time in times if start <= time < end}
    assert {time for time in times if not start <= time < end}
    assert temporary_files(tmp_path) == []


def test_a_signal_while_a_test_waits_for_the_network_is_one_line(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    output = tmp_path / "output"
    with running(
        sandbox, tmp_path, "--test", output=output.open("wb"), api_url=address, **ENDLESS
    ) as tap:
        tap.waits_for("trying again in")
        tap.process.send_signal(signal.SIGINT)
        run = tap.end(output)
    assert (run.status, run.output, run.complaints) == (130, b"", [])
    assert run.errors.count("stopped by SIGINT") == 1
    assert "Traceback" not in run.errors


@pytest.mark.parametrize(
    ("args", "api_key", "status"),
    [
        ([], "sandbox-key", 0),
        ([], "another", 1),
        (["--test"], "sandbox-key", 0),
        (["--plan"], "sandbox-key", 0),
        (["--discover"], "sandbox-key", 0),
    ],
)
def test_a_signal_after_the_end_changes_neither_status_nor_log(
    sandbox: Sandbox, tmp_path: Path, args: list[str], api_key: str, status: int
) -> None:
    output = tmp_path / "output"
    with running(
        sandbox,
        tmp_path,
        *args,
        output=output.open("wb"),
        streams=["datasources"],
        script=SIGNALLED_AT_EXIT,
        api_key=api_key,
    ) as tap:
        run = tap.end(output)
    assert (run.status, len(run.complaints)) == (status, status), run.errors
    assert "Traceback" not in run.errors
    assert "stopped by" not in run.errors
    assert "Exception ignored" not in run.errors
    if not args and not status:
        assert len(run.records("datasources")) == 8
        assert run.messages[-1]["type"] == "STATE"


def test_more_signals_after_one_that_ended_the_run_change_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    endless = ENDLESS | {"script": STANDING_STILL.replace("launcher.main()", SIGNALLED_AT_EXIT)}
    with running(sandbox, tmp_path, output=output.open("wb"), **endless) as tap:
        tap.waits_for(": in progress for ")
        tap.process.send_signal(signal.SIGTERM)
        run = tap.end(output)
    assert_ended_well(run, sandbox, signal.SIGTERM)
