"""Runs the tap in the process of the tests, many times faster than as a process of its own."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any
from unittest.mock import patch

from tap_clarity.output import line_writer
from tap_clarity.tap import TapClarity
from tests.support.tap_process import TapRun, catalog_of, logged, sandbox_settings

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Json

Patch = tuple[object, str, Any]
"""An object, the name of an attribute, and its value for a run."""


class Killed(SystemExit):
    """Ends a run in the place of SIGKILL."""


@dataclass(frozen=True)
class SandboxClock:
    """The clock of a sandbox, ahead by a constant error; waiting moves it."""

    sandbox: Sandbox
    error: timedelta = timedelta(0)

    def now(self) -> datetime:
        return self.sandbox.clock.now() + self.error

    def sleep(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)


@contextmanager
def prepared_process(
    clock: SandboxClock, *patches: Patch
) -> Iterator[tuple[IO[bytes], io.StringIO]]:
    """Prepare this process for a tap: gives the file with its output, and its log."""
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryFile())
        log = stack.enter_context(logged())
        for target, name, value in (
            (line_writer, "STANDARD_OUTPUT", output.fileno()),
            (TapClarity, "clock", clock),
            (TapClarity, "_setup_signal_handlers", lambda _: None),
            *patches,
        ):
            stack.enter_context(patch.object(target, name, value))
        yield output, log


def create_tap(
    sandbox: Sandbox, state: Json, settings: dict[str, Json], catalog: Json = None
) -> TapClarity:
    """Create a tap for a sandbox that starts with a copy of a state."""
    tap = TapClarity(config=sandbox_settings(sandbox) | settings, catalog=catalog)
    tap.load_state(json.loads(json.dumps(state or {})))
    return tap


def run_in_process(
    sandbox: Sandbox,
    *,
    streams: Sequence[str] = ("datasource_measurements",),
    state: Json = None,
    **settings: Json,
) -> TapRun:
    """Run the tap with some streams and all metrics; raises an error that ends the run."""
    settings = {"metric_select": "all"} | settings
    layout = settings.get("measurement_layout", "long")
    frequency = settings.get("output_frequency", "hour")
    catalog = catalog_of(tuple(streams), layout, frequency)
    with prepared_process(SandboxClock(sandbox)) as (output, log):
        status = create_tap(sandbox, state, settings, catalog).sync_streams()
        return TapRun(status, read_all(output), log.getvalue())


def read_all(output: IO[bytes]) -> bytes:
    output.seek(0)
    return output.read()
