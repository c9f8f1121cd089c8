"""Singer's own validator of taps, `singer-check-tap` of 2018, with the output of the tap.

It could run the tap by itself with --tap, but then it does not wait for its own reader and fails at
random. So it reads the output of the same two runs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.tap_process import run_tap

if TYPE_CHECKING:
    from tests.support.tap_process import TapRun

UV = Path(sys.executable).parent / "uv"
# It needs libraries as old as itself: uv keeps them apart, and in its cache.
CHECK_TAP = [
    *(str(UV), "tool", "run", "--quiet", "--python", sys.executable),
    *("--from", "singer-tools==0.4.1", "singer-check-tap"),
]


@pytest.fixture(scope="module")
def runs() -> tuple[TapRun, TapRun]:
    """A first run, and one on the next day from the state of the first."""
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox:
        first = run_tap(sandbox, start_date="2026-03-09").check()
        sandbox.clock.advance(24 * 3600)
        return first, run_tap(sandbox, start_date="2026-03-09", state=first.state).check()


def check_output(output: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        CHECK_TAP, input=output, cwd=folder, capture_output=True, timeout=120, check=False
    )


@pytest.mark.parametrize("number", [0, 1], ids=["first run", "second run"])
def test_output_is_valid(runs: tuple[TapRun, TapRun], number: int, tmp_path: Path) -> None:
    run = runs[number]
    assert run.records("recent_measurements")
    assert run.records("datasource_measurements")
    result = check_output(run.output, tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    assert f"It contained {len(run.messages)} messages" in result.stdout.decode()


def test_time_without_zone_is_reported_as_invalid(
    runs: tuple[TapRun, TapRun], tmp_path: Path
) -> None:
    invalid_output = runs[0].output.replace(b':00.000Z"', b':00.000"')
    assert check_output(invalid_output, tmp_path).returncode == 1
