"""A tap as a running process: signals, and a reader that blocks."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from select import select
from typing import IO, TYPE_CHECKING, Any

from tests.support.paths import ROOT
from tests.support.tap_process import LAUNCHER, TIMEOUT, TapRun, catalog_of, sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tap_clarity.sandbox import Sandbox

SMALLEST_PIPE = 4096
SIGNAL_STATUSES = {signal.SIGTERM: 143, signal.SIGINT: 130}
# By the sandbox's clock, except that whoever waits, waits until a signal comes.
WAIT_FOREVER_SCRIPT = """
import threading
from tests.support import tap_launcher
tap_launcher.SandboxClock.sleep = lambda *_: threading.Event().wait()
tap_launcher.main()
"""

# Sends both signals to itself when the command has ended and Python shuts down.
SIGNAL_AT_EXIT_SCRIPT = """
import atexit
import os
import signal
from tests.support import tap_launcher
for signum in (signal.SIGTERM, signal.SIGINT):
    atexit.register(os.kill, os.getpid(), signum)
tap_launcher.main()
"""


@dataclass
class Reader:
    """The reading end of a small pipe that is the tap's standard output."""

    pipe: IO[bytes]
    text: bytes = b""
    lines_seen: int = 0

    def read_until(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Read on, hardly further than to the next message that is wanted."""
        while not any(wanted(json.loads(line)) for line in self._next_lines()):
            assert select([self.pipe], [], [], TIMEOUT)[0], "the tap writes no more"
            more = self.pipe.read(SMALLEST_PIPE)
            assert more, "the tap ended before"
            self.text += more

    def _next_lines(self) -> Iterator[bytes]:
        for line in self.text.split(b"\n")[self.lines_seen : -1]:
            self.lines_seen += 1
            yield line

    def wait_until_full(self) -> None:
        """Read nothing until the tap, too, is stuck: no more fits into the pipe."""
        unread = array("i", [0])
        deadline = time.monotonic() + TIMEOUT
        while unread[0] < SMALLEST_PIPE:
            assert time.monotonic() < deadline, "the tap does not fill the pipe"
            time.sleep(0.001)
            fcntl.ioctl(self.pipe, termios.FIONREAD, unread)

    def read_rest(self) -> bytes:
        """Read to the end; gives all that was ever read."""
        self.text += self.pipe.read()
        return self.text


@dataclass
class RunningTap:
    """A tap, as a process, against a sandbox by whose clock it goes."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for_log(self, words: str) -> None:
        """Return once the tap has said these words on standard error."""
        deadline = time.monotonic() + TIMEOUT
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"the tap never says: {words}"
            time.sleep(0.001)

    def end(self, output: bytes | Path = b"") -> TapRun:
        """Wait for its end; gives what it wrote, or what it wrote into a file."""
        status = self.process.wait(timeout=TIMEOUT)
        output = output if isinstance(output, bytes) else output.read_bytes()
        return TapRun(status, output, self.log.read_text())


@contextmanager
def running(
    sandbox: Sandbox,
    folder: Path,
    *args: str,
    output: IO[bytes],
    streams: Sequence[str],
    script: str | None = None,
    **settings: Any,  # noqa: ANN401
) -> Iterator[RunningTap]:
    """Start the tap in an empty folder; its temporary files go to the folder `temporary`.

    Args:
        sandbox: Where to read, and which clock to go by.
        folder: Where to put files.
        *args: Further arguments of the command line.
        output: Its standard output; closed here, so that it is the tap's alone.
        streams: Streams to select.
        script: Python source to run instead of the launcher.
        **settings: Settings beside those that lead to the sandbox.
    """
    (folder / "temporary").mkdir()
    files = {"--config": sandbox_settings(sandbox) | settings, "--catalog": catalog_of(streams)}
    for option, content in files.items():
        path = folder / option.strip("-")
        path.write_text(json.dumps(content))
        args = (*args, f"{option}={path}")
    environment = {
        "TEST_SANDBOX_URL": sandbox.url,
        "TMPDIR": str(folder / "temporary"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDEVMODE": "1",  # else Python before 3.13 keeps errors at its end to itself
    }
    command = ["-c", script] if script else [str(LAUNCHER)]
    with output, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, *args],
            cwd=ROOT,
            stdout=output,
            stderr=log,
            env={**os.environ, **environment},
        )
    try:
        yield RunningTap(process, folder / "log")
    finally:
        process.kill()
        process.wait()


@contextmanager
def small_pipe() -> Iterator[tuple[Reader, IO[bytes]]]:
    """Open a pipe that holds as little as one can."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE)
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb") as output:
        yield Reader(pipe), output
