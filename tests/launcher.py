"""Runs the tap's command line by the sandbox's clock.

    TEST_SANDBOX_URL=http://127.0.0.1:1234 python tests/launcher.py --config=ENV

Waiting moves the sandbox's clock instead of taking time. TEST_CLOCK_SKEW (seconds) makes the tap's
clock go wrong by that much. TEST_DIES_AT (a number) kills it in the place of that message.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tap_clarity.tap import TapClarity
from tap_clarity.writer import LineWriter

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


def main() -> None:
    """Run the tap with what stands on the command line."""
    skew = timedelta(seconds=float(os.environ.get("TEST_CLOCK_SKEW", "0")))
    clock = SandboxClock(os.environ["TEST_SANDBOX_URL"], skew)
    writer = mortal(
        int(os.environ.get("TEST_DIES_AT", "0")), lambda: os.kill(os.getpid(), signal.SIGKILL)
    )
    with (
        patch.object(TapClarity, "clock", clock),
        patch.object(TapClarity, "message_writer_class", writer),
    ):
        TapClarity.cli()


if __name__ == "__main__":
    main()
