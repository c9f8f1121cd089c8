"""Runs the tap's command line by the sandbox's clock.

    TEST_SANDBOX_URL=http://127.0.0.1:1234 python tests/support/launcher.py --config=ENV

Waiting moves the sandbox's clock instead of taking time. TEST_CLOCK_SKEW (seconds) makes the tap's
clock go wrong by that much. TEST_BUG plants one of the bugs of tests/support/bug_mutations.py.

Three more kill it: TEST_DIES_AT in the place of that message, TEST_DIES_AT_LINE when so many lines
of its output are out, TEST_DIES_AT_EXCHANGE before that request. With `.5`, half of the next line
is out as well, or the answer to the request has begun to arrive.
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


def mortal(dies_at: int, die: Callable[[], None]) -> type[LineWriter]:
    """Make a writer that dies in the place of a message, counted from one; at zero never."""

    class MortalWriter(LineWriter):
        left = dies_at

        def write_message(self, message: Message) -> None:
            self.left -= 1
            if self.left == 0:
                die()
            super().write_message(message)

    return MortalWriter


class DoomedOutput(FileIO):
    """Standard output that kills whoever writes to it, at a place counted in lines."""

    def __init__(self, place: float) -> None:
        super().__init__(STANDARD_OUTPUT, "wb", closefd=False)
        self._lines, self._part = int(place), place % 1

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


def doomed(place: float) -> AbstractContextManager[Any]:
    """Let the tap die when a place of its output is reached."""

    def begin(writer: LineWriter) -> None:
        usual(writer)
        writer._out = BufferedWriter(DoomedOutput(place), BUFFER_BYTES)  # noqa: SLF001

    usual = LineWriter.__init__
    return patch.object(LineWriter, "__init__", begin)


def doomed_exchange(place: float) -> AbstractContextManager[Any]:
    """Let the tap die before a request, counted from one, or after it has begun to be answered."""
    left = [int(place)]

    def send(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        left[0] -= 1
        if left[0] or place % 1:
            answer = usual(*args, **more)
        if not left[0]:
            kill()
        return answer

    usual = HTTPAdapter.send
    return patch.object(HTTPAdapter, "send", send)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS = {"TEST_DIES_AT_LINE": doomed, "TEST_DIES_AT_EXCHANGE": doomed_exchange}


def main() -> None:
    """Run the tap with what stands on the command line."""
    random.seed(1)  # pauses are as long in each run
    skew = timedelta(seconds=float(os.environ.get("TEST_CLOCK_SKEW", "0")))
    clock = SandboxClock(os.environ["TEST_SANDBOX_URL"], skew)
    writer = mortal(int(os.environ.get("TEST_DIES_AT", "0")), kill)
    with ExitStack() as stack:
        stack.enter_context(patch.object(TapClarity, "clock", clock))
        stack.enter_context(patch.object(TapClarity, "message_writer_class", writer))
        for name, death in DEATHS.items():
            if name in os.environ:
                stack.enter_context(death(float(os.environ[name])))
        if "TEST_BUG" in os.environ:
            from tests.support.bug_mutations import plant  # noqa: PLC0415 - few runs need it

            stack.enter_context(plant(os.environ["TEST_BUG"]))
        TapClarity.cli()


if __name__ == "__main__":
    main()
