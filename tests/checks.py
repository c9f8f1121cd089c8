"""All checks, in the order in which they fail fastest; the last ones are pytest and coverage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tap_clarity.demo import venv
from tap_clarity.demo.steps import ROOT, StepError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
_STATIC_CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet"],
    "lint": ["ruff", "check", "--quiet"],
    "types": ["mypy"],
    "workflows": ["zizmor", "--offline", "--quiet", ".github"],
}
_PYTEST = ["pytest", "--numprocesses=2", "--dist=worksteal"]
_WITHOUT_COVERAGE = [
    "tests/unit/sandbox/world/test_world.py",
    *(
        f"tests/integration/{path}"
        for path in (
            *("airflow", "dbt", "warehouses", "meltano/test_hub.py", "meltano/test_meltano_run.py"),
            *("meltano/test_postgres.py", "meltano/test_scheduling.py", "faults/test_faults.py"),
            *("faults/test_discrepancies.py", "faults/test_fuzz_responses.py"),
            *("recovery/test_crash_sweep.py", "recovery/test_outages.py"),
            *("recovery/test_two_weeks.py", "cli/test_fuzz_settings.py", "cli/test_fuzz_times.py"),
            *("security", "output/test_measurement_streams.py", "project/test_benchmarks.py"),
            *("project/test_migration_guide.py", "streams/test_scale.py"),
            "streams/test_singer_check.py",
        )
    ),
]
"""Many cases of what other tests reach as well, or real programs: measuring them costs much."""


def main(pytest_arguments: Sequence[str]) -> int:
    """Run everything, also after a failure: who has to mend wants to see it all at once."""
    try:
        venv.prepare("the tap, Meltano and the tools for testing")
        failed = [name for name, command in _STATIC_CHECKS.items() if not _check(name, command)]
        failed += _tests(pytest_arguments)
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return _INTERRUPTED
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll checks passed.")
    return bool(failed)


def _check(name: str, command: Sequence[str]) -> bool:
    print(f"{name} ... ", end="", flush=True)
    started = time.monotonic()
    done = subprocess.run(
        _installed(command), cwd=ROOT, capture_output=True, text=True, check=False
    )
    failed = done.returncode != 0
    print("failed" if failed else f"{time.monotonic() - started:.0f} s", flush=True)
    if failed:
        print(done.stdout + done.stderr, flush=True)
    return not failed


def _tests(pytest_arguments: Sequence[str]) -> list[str]:
    """Names of what failed. A part of the tests says nothing of the coverage of all."""
    if pytest_arguments:
        return [] if _succeeds([*_PYTEST, *pytest_arguments]) else ["tests"]
    _succeeds(["coverage", "erase"])
    ignored = [f"--ignore={path}" for path in _WITHOUT_COVERAGE]
    with_coverage = _succeeds(["coverage", "run", "-m", *_PYTEST, *ignored])
    # Some of these wait for other programs: there is work for one more than there are cores.
    uncovered = _succeeds([*_PYTEST, "--numprocesses=3", *_WITHOUT_COVERAGE])
    covered = _succeeds(["coverage", "combine", "--quiet"]) and _succeeds(["coverage", "report"])
    return [*([] if with_coverage and uncovered else ["tests"]), *([] if covered else ["coverage"])]


def _succeeds(command: Sequence[str]) -> bool:
    return (
        subprocess.run(_installed(command), cwd=ROOT, env=_environment(), check=False).returncode
        == 0
    )


def _installed(command: Sequence[str]) -> list[str]:
    return [str(venv.BIN / command[0]), *command[1:]]


def _environment() -> dict[str, str]:
    """Where tests find `tap-clarity` and `clarity-sandbox` by name."""
    return os.environ | {"PATH": f"{venv.BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
