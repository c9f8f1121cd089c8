"""Runs the tap in this process with all measurement streams, and kills or stops it."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from requests.adapters import HTTPAdapter

from tap_clarity import tap as tap_module
from tap_clarity.api.errors import ClarityError
from tap_clarity.output.line_writer import Stopped
from tap_clarity.streams.recent import RecentMeasurements
from tap_clarity.streams.report_sources import REPORT_KINDS
from tap_clarity.tap import TapClarity
from tests.support.tap_in_process import Killed, SandboxClock, create_tap, prepared_process
from tests.support.tap_launcher import message_writer_killed_at
from tests.support.tap_process import TapRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Json

RECENT, DATASOURCES, NODES = "recent_measurements", "datasource_measurements", "node_measurements"
STREAMS = (RECENT, DATASOURCES, NODES)
KINDS = (REPORT_KINDS[0], replace(REPORT_KINDS[1], is_selected_by_default=True))
"""Datasources and nodes."""
KILLED = -signal.SIGKILL
SIGTERM_STATUS = 128 + signal.SIGTERM


class Interruption(NamedTuple):
    """When a run is interrupted, and how.

    Attributes:
        message: In the place of this message, counted from one; 0 for none.
        exchange: Before this request, counted from one; with `.5` when its answer begins; 0 for
            none.
        is_signal: Whether it is a SIGTERM, which the tap handles; a kill otherwise.
    """

    message: int = 0
    exchange: float = 0
    is_signal: bool = False


NO_INTERRUPTION = Interruption()


def run_streams(
    sandbox: Sandbox,
    state: Json = None,
    interruption: Interruption = NO_INTERRUPTION,
    **settings: Json,
) -> TapRun:
    """Run the recent measurements and two report streams by the sandbox's clock.

    What a killed tap has not flushed is lost.
    """
    output = Output(is_signal=interruption.is_signal)
    with prepared_process(
        SandboxClock(sandbox),
        (tap_module, "STREAMS", (RecentMeasurements,)),
        (tap_module, "REPORT_KINDS", KINDS),
        (
            TapClarity,
            "message_writer_class",
            message_writer_killed_at(interruption.message, output.interrupt),
        ),
        (HTTPAdapter, "send", _counted_send(interruption.exchange, output.interrupt)),
    ) as (output.file, log):
        status = _status(create_tap(sandbox, state, settings))
        return TapRun(status, output.whole_lines(), log.getvalue())


def _status(tap: TapClarity) -> int:
    try:
        return tap.sync_streams()
    except Killed:
        return KILLED
    except Stopped:
        return SIGTERM_STATUS
    except ClarityError as error:
        # As the command line does it, without a traceback.
        logging.getLogger(tap.name).log(logging.ERROR, "%s", error)
        return 1


class Output:
    """What the tap writes, up to the moment in which it is killed."""

    file: IO[bytes]

    def __init__(self, *, is_signal: bool) -> None:
        self._is_signal = is_signal
        self._size = -1

    def interrupt(self) -> None:
        """Stop the tap by a signal, or kill it: then nothing that follows is written."""
        if self._is_signal:
            raise Stopped(signal.SIGTERM)
        self._size = os.fstat(self.file.fileno()).st_size
        raise Killed

    def whole_lines(self) -> bytes:
        self.file.seek(0)
        written = self.file.read(self._size)
        return written[: written.rfind(b"\n") + 1]


def _counted_send(position: float, interrupt: Callable[[], None]) -> Callable[..., Any]:
    """Count the requests to interrupt before one, or after its answer has begun."""
    remaining = int(position)

    def send(*args: Any, **more: Any) -> Any:  # noqa: ANN401
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            if position % 1:
                original(*args, **more).close()
            interrupt()
        return original(*args, **more)

    original = HTTPAdapter.send
    return send
