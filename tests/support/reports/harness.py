"""Runs of report streams that are killed, and what their requests, states and logs contain."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import termios
import time
from array import array
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.support.tap_process import (
    LAUNCHER,
    TapRun,
    catalog_of,
    expected_records,
    received_requests,
    sandbox_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Json, Key, Record

STREAM = "datasource_measurements"
TIMEOUT_SECONDS = 60.0


def run_killed(
    sandbox: Sandbox,
    is_time: Callable[[int], bool],
    *,
    signum: int = signal.SIGKILL,
    state: Json = None,
    env: Mapping[str, str] | None = None,
    **settings: Json,
) -> TapRun:
    """Run the tap as a process, kill it at a given time, and read its output.

    Its output goes into a pipe that is not read before: what does not fit holds it up.

    Args:
        sandbox: Where to read, and which clock to go by.
        is_time: Decides by the number of bytes in the pipe whether to kill now.
        signum: The signal that kills.
        state: The Singer state to begin with.
        env: Further environment variables.
        **settings: Settings beside those that lead to the sandbox.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "config": sandbox_settings(sandbox) | {"metric_select": "all"} | settings,
            "catalog": catalog_of((STREAM,)),
            "state": state or {},
        }
        for name, content in files.items():
            Path(folder, name).write_text(json.dumps(content), encoding="utf-8")
        command = [sys.executable, str(LAUNCHER), *(f"--{name}={folder}/{name}" for name in files)]
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "TEST_SANDBOX_URL": sandbox.url, **(env or {})},
            ) as process,
        ):
            assert process.stdout
            end = time.monotonic() + TIMEOUT_SECONDS
            while not is_time(unread(process.stdout)):
                assert process.poll() is None, "the tap ended by itself"
                assert time.monotonic() < end, "it never came to that"
                time.sleep(0.01)
            process.send_signal(signum)
            lines, newline, _ = process.stdout.read().rpartition(b"\n")
            process.wait()
            errors.seek(0)
            return TapRun(process.returncode, lines + newline, errors.read().decode())


def unread(pipe: IO[bytes]) -> int:
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def requested_windows(sandbox: Sandbox, since: int = 0) -> list[str]:
    """Give the windows that reports were asked for, but for refused ones."""
    return [
        f"{short_time(post['body']['startTime'])} to {short_time(post['body']['endTime'])}"
        for post in list(received_requests(sandbox, "POST", "/v2/report-requests"))[since:]
        if post["status"] == 200
    ]


def short_time(instant: str) -> str:
    return instant[:16].replace("T", " ").removesuffix(" 00:00")


def bookmark_of(run: TapRun, stream: str = STREAM) -> Record:
    """Give what the last STATE says of a stream."""
    found: Record = run.state["bookmarks"][stream]
    return found


def expected_records_of(
    sandbox: Sandbox, start: str, end: str, as_of: datetime | None = None
) -> dict[Key, Record]:
    """Give the hourly records that the target has to hold."""
    found = sandbox.expected.measurements("hour", start, end, as_of or sandbox.clock.now())
    return expected_records(found)


def warnings(run: TapRun) -> list[str]:
    """The warning lines, without time and logger."""
    return [
        line.split("|", 3)[3].strip() for line in run.errors.splitlines() if "| WARNING " in line
    ]
