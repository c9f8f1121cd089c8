"""Runs the command line of the tap with the clock of a sandbox, and kills it where asked to.

    TEST_SANDBOX_URL=http://127.0.0.1:1234 python tests/support/tap_launcher.py --config=ENV

Waiting moves the sandbox's clock instead of taking time. TEST_CLOCK_SKEW (seconds) makes the tap's
clock wrong by that much. TEST_BUG injects one of the bugs of recovery/bug_mutations.py.

Three more kill it: TEST_KILL_AT_MESSAGE in the place of that message, TEST_KILL_AT_LINE when so
many lines have been written, TEST_KILL_AT_REQUEST before that request. With `.5`, half of the next
line has been written as well, or the response to the request has begun to arrive.
"""

from __future__ import annotations

import json
import os
import random
import signal
import urllib.request
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedWriter, FileIO
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from requests.adapters import HTTPAdapter

from tap_clarity.output.line_writer import BUFFER_BYTES, STANDARD_OUTPUT, LineWriter
from tap_clarity.tap import TapClarity

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk.singerlib.encoding.simple import Message


@dataclass(frozen=True)
class SandboxClock:
    """The clock of a sandbox, read and moved over HTTP."""

    url: str
    skew: timedelta

    def now(self) -> datetime:
        return datetime.fromisoformat(self._call()["now"]) + self.skew

    def sleep(self, seconds: float) -> None:
        self._call({"advance_seconds": seconds})

    def _call(self, body: dict[str, float] | None = None) -> Any:  # noqa: ANN401
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/clock", data)  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            return json.load(reply)


def message_writer_killed_at(
    killed_at_message: int, kill_tap: Callable[[], None]
) -> type[LineWriter]:
    """Make a writer that dies in the place of a message, counted from one; at zero never."""

    class KilledWriter(LineWriter):
        remaining = killed_at_message

        def write_message(self, message: Message) -> None:
            self.remaining -= 1
            if self.remaining == 0:
                kill_tap()
            super().write_message(message)

    return KilledWriter


class KillingOutput(FileIO):
    """Standard output that kills whoever writes to it, at a place counted in lines."""

    def __init__(self, position: float) -> None:
        super().__init__(STANDARD_OUTPUT, "wb", closefd=False)
        self._lines, self._part = int(position), position % 1

    def write(self, data: Any) -> int:  # noqa: ANN401
        text = bytes(data)
        if (end := self._end(text)) is not None:
            super().write(text[:end])
            kill()
        written = super().write(text)
        self._lines -= text.count(b"\n", 0, written)
        return written

    def _end(self, text: bytes) -> int | None:
        """Find the place in a text; None if it comes later."""
        start = 0
        for _ in range(self._lines):
            start = text.find(b"\n", start) + 1
            if not start:
                return None
        rest = len(text[start:].split(b"\n", 1)[0])
        return start + int(rest * self._part) if rest or not self._part else None


def kill_at_output_line(position: float) -> AbstractContextManager[Any]:
    """Let the tap die when a place of its output is reached."""

    def begin(writer: LineWriter) -> None:
        original(writer)
        writer._out = BufferedWriter(KillingOutput(position), BUFFER_BYTES)  # noqa: SLF001

    original = LineWriter.__init__
    return patch.object(LineWriter, "__init__", begin)


def kill_at_request(position: float) -> AbstractContextManager[Any]:
    """Let the tap die before a request, counted from one, or after it has begun to be answered."""
    remaining = [int(position)]

    def send(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        remaining[0] -= 1
        if remaining[0] or position % 1:
            answer = original(*args, **more)
        if not remaining[0]:
            kill()
        return answer

    original = HTTPAdapter.send
    return patch.object(HTTPAdapter, "send", send)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


KILL_POINTS = {"TEST_KILL_AT_LINE": kill_at_output_line, "TEST_KILL_AT_REQUEST": kill_at_request}


def main() -> None:
    """Run the tap with what stands on the command line."""
    random.seed(1)  # pauses are as long in each run
    skew = timedelta(seconds=float(os.environ.get("TEST_CLOCK_SKEW", "0")))
    clock = SandboxClock(os.environ["TEST_SANDBOX_URL"], skew)
    writer = message_writer_killed_at(int(os.environ.get("TEST_KILL_AT_MESSAGE", "0")), kill)
    with ExitStack() as stack:
        stack.enter_context(patch.object(TapClarity, "clock", clock))
        stack.enter_context(patch.object(TapClarity, "message_writer_class", writer))
        for name, kill_point in KILL_POINTS.items():
            if name in os.environ:
                stack.enter_context(kill_point(float(os.environ[name])))
        if "TEST_BUG" in os.environ:
            from tests.support.recovery.bug_mutations import inject_bug  # noqa: PLC0415 - few runs need it

            stack.enter_context(inject_bug(os.environ["TEST_BUG"]))
        TapClarity.cli()


if __name__ == "__main__":
    main()
