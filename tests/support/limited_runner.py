"""Runs the tap with limits for file size, and measures its peak memory.

The file TEST_PEAK receives the peak memory. TEST_LIMITS overrides limits of the tap:
`{"tap_clarity.api.transport.MAX_FILE_BYTES": 5}`. TEST_MUTATION is the path of a function that
changes the tap beforehand:
`tests.support.security.leak_mutations.print_headers`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import tempfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import fork_server, tap_launcher
from tests.support.tap_process import TapRun, catalog_of, sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_clarity.sandbox import Sandbox

MAX_FILE_BYTES = 300 << 20
"""Bytes that a file may have; what needs more is told that there is no room."""
TIMEOUT = 60


@dataclass(frozen=True)
class LimitedRun(TapRun):
    """What a run left behind, and the most memory that it had, in MiB."""

    peak: float = 0


def run_limited(
    sandbox: Sandbox,
    *,
    streams: Sequence[str],
    state: str = "{}",
    limits: Mapping[str, float] | None = None,
    env: Mapping[str, str] | None = None,
    **settings: Any,  # noqa: ANN401
) -> LimitedRun:
    """Run the tap as `run_tap` does; the state is text, which need not be JSON."""
    config = sandbox_settings(sandbox) | settings
    layout, frequency = config.get("measurement_layout", "long"), config.get("output_frequency")
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "config": json.dumps(config),
            "catalog": json.dumps(catalog_of(tuple(streams), layout, frequency or "hour")),
            "state": state,
        }
        for name, text in files.items():
            Path(folder, name).write_text(text)
        environment = os.environ | {
            "TEST_SANDBOX_URL": sandbox.url,
            "TEST_LIMITS": json.dumps(limits or {}),
            "TEST_PEAK": f"{folder}/peak",
            **(env or {}),
        }
        args = [f"--{name}={folder}/{name}" for name in files]
        process = fork_server.run(args, environment, TIMEOUT, server="tests.support.limited_runner")
        peak = float(Path(folder, "peak").read_text())
        return LimitedRun(process.returncode, process.stdout, process.stderr.decode(), peak)


def main() -> None:
    """Run the launcher, and write down what it took."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
    for name, number in json.loads(os.environ["TEST_LIMITS"]).items():
        module, _, constant = name.rpartition(".")
        assert hasattr(import_module(module), constant), name
        setattr(import_module(module), constant, number)
    tempfile.tempdir = None  # look again where it is: TMPDIR may be another here
    if mutation := os.environ.get("TEST_MUTATION"):
        module, _, function = mutation.rpartition(".")
        getattr(import_module(module), function)()
    try:
        tap_launcher.main()
    finally:
        status = Path("/proc/self/status").read_text()
        peak = re.findall(r"VmHWM:\s+(\d+) kB", status)[0]
        Path(os.environ["TEST_PEAK"]).write_text(str(int(peak) / 1024))


if __name__ == "__main__":
    fork_server.serve(sys.argv[1], main)
