"""SIGTERM and SIGINT: complete lines, a last STATE that covers only written records, one line."""

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
from tests.support.running_tap import (
    SIGNAL_AT_EXIT_SCRIPT,
    SIGNAL_STATUSES,
    WAIT_FOREVER_SCRIPT,
    running,
    small_pipe,
)
from tests.support.tap_process import TapRun, expected_records, utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = Any
Claim = tuple[str, datetime, datetime]

RECENT, REPORTS = "recent_measurements", "datasource_measurements"
# The report is never built, and the tap waits for it without end.
ENDLESS_RUN: dict[str, Any] = {
    "streams": ["datasources", "nodes", "metrics", RECENT, REPORTS],
    "start_date": "2026-03-08",
    "metric_select": "all",
    "script": WAIT_FOREVER_SCRIPT,
}
# A signal between two lines of the standard library leaves a reply that has no file yet, and in
# development mode Python says so when it throws that away.
INCOMPLETE_RESPONSE_ERROR = re.compile(
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


def claimed_ranges(state: Json, now: datetime) -> Iterator[Claim]:
    """Give the streams and ranges that a state says have been written."""
    bookmarks = state.get("bookmarks", {})
    if bookmarks.get(RECENT, {}).get("continuation_token"):
        yield RECENT, now - timedelta(hours=48), now
    for start, end in covered(state):
        yield REPORTS, utc(start), utc(end)


def check_stopped_run(run: TapRun, sandbox: Sandbox, signum: signal.Signals) -> None:
    """Check all that every signal at any moment must leave behind."""
    assert run.status == SIGNAL_STATUSES[signum], run.errors
    assert run.errors.count(f"stopped by {signum.name}") == 1
    assert run.error_lines == []
    assert "Traceback" not in INCOMPLETE_RESPONSE_ERROR.sub("", run.errors)
    assert run.messages[-1]["type"] == "STATE"
    check_states_follow_records(run, sandbox)


def check_states_follow_records(run: TapRun, sandbox: Sandbox) -> None:
    now = sandbox.clock.now()
    lines = run.output.splitlines(keepends=True)
    checked_claims: set[Claim] = set()
    for number, message in enumerate(run.messages):
        new = (
            set(claimed_ranges(message["value"], now)) - checked_claims
            if message["type"] == "STATE"
            else set()
        )
        for stream, start, end in new:
            before = replace(run, output=b"".join(lines[:number])).upserted(stream)
            expected = expected_records(sandbox.expected.measurements("hour", start, end, now))
            assert {key: before.get(key) for key in expected} == expected
        checked_claims |= new


def covered(state: Json) -> list[list[str]]:
    return list(state.get("bookmarks", {}).get(REPORTS, {}).get("covered") or [])


def temporary_files(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "temporary").rglob("*")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_signal_at_any_moment_ends_the_run_cleanly(
    sandbox: Sandbox, tmp_path: Path, moment: str
) -> None:
    output = tmp_path / "output"
    with running(sandbox, tmp_path, output=output.open("wb"), **ENDLESS_RUN) as tap:
        tap.wait_for_log(moment)
        tap.process.send_signal(signal.SIGTERM)
        run = tap.end(output)
    check_stopped_run(run, sandbox, signal.SIGTERM)
    assert temporary_files(tmp_path) == []


def test_run_interrupted_while_polling_keeps_the_pending_report_in_state(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with running(sandbox, tmp_path, output=output.open("wb"), **ENDLESS_RUN) as tap:
        tap.wait_for_log(": in progress for ")
        tap.process.send_signal(signal.SIGINT)
        run = tap.end(output)
    check_stopped_run(run, sandbox, signal.SIGINT)
    bookmark = run.state["bookmarks"][REPORTS]
    (report,) = bookmark["reports"]
    assert report[0].startswith("JB")
    assert bookmark["covered"] == []
    assert run.records(REPORTS) == []
    assert {stream for stream, _, _ in claimed_ranges(run.state, sandbox.clock.now())} == {RECENT}


@pytest.mark.parametrize("signals", [["SIGTERM"], ["SIGINT"], ["SIGTERM", "SIGTERM"]])
def test_signal_while_output_is_blocked_waits_for_the_end_of_the_line(
    sandbox: Sandbox, tmp_path: Path, signals: list[str]
) -> None:
    with (
        small_pipe() as (reader, output),
        running(sandbox, tmp_path, output=output, streams=[RECENT]) as tap,
    ):
        reader.read_until(lambda message: bool(message["type"] == "RECORD"))
        reader.wait_until_full()
        for name in signals:
            tap.process.send_signal(signal.Signals[name])
        run = tap.end(reader.read_rest())
    check_stopped_run(run, sandbox, signal.Signals[signals[0]])
    assert list(claimed_ranges(run.state, sandbox.clock.now())) == []
    assert 0 < len(run.records(RECENT)) < 10_000


def test_signal_during_the_second_report_keeps_only_the_first_as_covered(tmp_path: Path) -> None:
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
        reader.read_until(
            lambda message: bool(message["type"] == "STATE" and covered(message["value"]))
        )
        reader.read_until(lambda message: bool(message["type"] == "RECORD"))
        reader.wait_until_full()
        tap.process.send_signal(signal.SIGTERM)
        run = tap.end(reader.read_rest())
        check_stopped_run(run, sandbox, signal.SIGTERM)
    ((start, end),) = (map(utc, window) for window in covered(run.state))
    times = {datetime.fromisoformat(record["time"]) for record in run.records(REPORTS)}
    assert {time for time in times if start <= time < end}
    assert {time for time in times if not start <= time < end}
    assert temporary_files(tmp_path) == []


def test_signal_during_connection_test_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    output = tmp_path / "output"
    with running(
        sandbox, tmp_path, "--test", output=output.open("wb"), api_url=address, **ENDLESS_RUN
    ) as tap:
        tap.wait_for_log("trying again in")
        tap.process.send_signal(signal.SIGINT)
        run = tap.end(output)
    assert (run.status, run.output, run.error_lines) == (130, b"", [])
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
def test_signal_at_exit_changes_neither_status_nor_log(
    sandbox: Sandbox, tmp_path: Path, args: list[str], api_key: str, status: int
) -> None:
    output = tmp_path / "output"
    with running(
        sandbox,
        tmp_path,
        *args,
        output=output.open("wb"),
        streams=["datasources"],
        script=SIGNAL_AT_EXIT_SCRIPT,
        api_key=api_key,
    ) as tap:
        run = tap.end(output)
    assert (run.status, len(run.error_lines)) == (status, status), run.errors
    assert "Traceback" not in run.errors
    assert "stopped by" not in run.errors
    assert "Exception ignored" not in run.errors
    if not args and not status:
        assert len(run.records("datasources")) == 8
        assert run.messages[-1]["type"] == "STATE"


def test_further_signals_after_the_first_are_ignored(sandbox: Sandbox, tmp_path: Path) -> None:
    output = tmp_path / "output"
    endless_run = ENDLESS_RUN | {
        "script": WAIT_FOREVER_SCRIPT.replace("tap_launcher.main()", SIGNAL_AT_EXIT_SCRIPT)
    }
    with running(sandbox, tmp_path, output=output.open("wb"), **endless_run) as tap:
        tap.wait_for_log(": in progress for ")
        tap.process.send_signal(signal.SIGTERM)
        run = tap.end(output)
    check_stopped_run(run, sandbox, signal.SIGTERM)
