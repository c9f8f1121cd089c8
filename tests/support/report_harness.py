"""What the tests of reports share: runs inside the test's process, and runs that are killed."""

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
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from unittest.mock import patch

from tap_clarity.output import line_writer as writer
from tap_clarity.tap import TapClarity
from tests.support.tap_process import LAUNCHER, TapRun, calls, catalog_of, expected_records, logged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Json, Key, Record

STREAM = "datasource_measurements"
PATIENCE = 60.0


@dataclass(frozen=True)
class SandboxClock:
    """The sandbox's clock; waiting moves it."""

    sandbox: Sandbox

    def now(self) -> datetime:
        return self.sandbox.clock.now()

    def sleep(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)


def run_inside(
    sandbox: Sandbox, *, streams: Sequence[str] = (STREAM,), state: Json = None, **settings: Json
) -> TapRun:
    """Run the tap in this process, which is many times faster than a process of its own."""
    layout, frequency = (
        settings.get(name, usual)
        for name, usual in (("measurement_layout", "long"), ("output_frequency", "hour"))
    )
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryFile())
        log = stack.enter_context(logged())
        stack.enter_context(patch.object(writer, "STANDARD_OUTPUT", output.fileno()))
        stack.enter_context(patch.object(TapClarity, "clock", SandboxClock(sandbox)))
        stack.enter_context(patch.object(TapClarity, "_setup_signal_handlers", lambda _: None))
        tap = TapClarity(
            config=config_for(sandbox) | settings,
            catalog=catalog_of(tuple(streams), layout, frequency),
        )
        tap.load_state(json.loads(json.dumps(state or {})))
        status = tap.sync_streams()
        output.seek(0)
        return TapRun(status, output.read(), log.getvalue())


def run_killed(
    sandbox: Sandbox,
    when: Callable[[int], bool],
    *,
    signum: int = signal.SIGKILL,
    state: Json = None,
    env: Mapping[str, str] | None = None,
    **settings: Json,
) -> TapRun:
    """Run the tap as a process, kill it when it is time to, and read what got out.

    Its output goes into a pipe that is not read before: what does not fit holds it up.

    Args:
        sandbox: Where to read, and which clock to go by.
        when: Tells, given how many bytes wait in the pipe, whether it is time.
        signum: The signal that kills.
        state: The Singer state to begin with.
        env: Further environment variables.
        **settings: Settings beside those that lead to the sandbox.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "config": config_for(sandbox) | settings,
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
            end = time.monotonic() + PATIENCE
            while not when(unread(process.stdout)):
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


def config_for(sandbox: Sandbox) -> dict[str, Json]:
    return {
        "api_url": sandbox.url,
        "api_key": sandbox.api_key,
        "org": sandbox.org,
        "metric_select": "all",
    }


def asked(sandbox: Sandbox, since: int = 0) -> list[str]:
    """Give the windows that reports were asked for, but for refused ones."""
    return [
        f"{short(post['body']['startTime'])} to {short(post['body']['endTime'])}"
        for post in list(calls(sandbox, "POST", "/v2/report-requests"))[since:]
        if post["status"] == 200
    ]


def short(instant: str) -> str:
    return instant[:16].replace("T", " ").removesuffix(" 00:00")


def stand(run: TapRun, stream: str = STREAM) -> Record:
    """Give what the last STATE says of a stream."""
    found: Record = run.state["bookmarks"][stream]
    return found


def truth(
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
