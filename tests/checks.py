"""All checks, in the order in which they fail fastest; the last one is pytest with coverage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tap_clarity.demo import environment
from tap_clarity.demo.steps import ROOT, StepError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
_WORKERS = 2


def main(pytest_arguments: Sequence[str]) -> int:
    try:
        environment.prepare("the tap, Meltano and the tools for testing")
        failed = [
            name for name, *command in _checks(pytest_arguments) if not _passes(name, command)
        ]
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return _INTERRUPTED
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _checks(pytest_arguments: Sequence[str]) -> list[list[str]]:
    """Each check's name and command."""
    pytest = ["coverage", "run", "-m", "pytest", f"--numprocesses={_WORKERS}", *pytest_arguments]
    checks = [
        ["format", "ruff", "format", "--check", "--quiet"],
        ["lint", "ruff", "check", "--quiet"],
        ["types", "mypy"],
        ["workflows", "zizmor", "--offline", "--quiet", ".github"],
        ["old coverage data", "coverage", "erase"],
        ["tests", *pytest],
    ]
    # A part of the tests says nothing of the coverage of all.
    if not pytest_arguments:
        checks += [
            ["coverage data", "coverage", "combine", "--quiet"],
            ["coverage", "coverage", "report"],
        ]
    return checks


def _passes(name: str, command: Sequence[str]) -> bool:
    print(f"--- {name}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    env = os.environ | {"PATH": f"{environment.BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [environment.BIN / command[0], *command[1:]], cwd=ROOT, env=env, check=False
    )
    print(f"--- {name}: {time.monotonic() - started:.0f} s", flush=True)
    return done.returncode == 0
