"""All checks, in the order in which they fail fastest; the last ones are pytest and coverage."""

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
_QUICK = {
    "format": ["ruff", "format", "--check", "--quiet"],
    "lint": ["ruff", "check", "--quiet"],
    "types": ["mypy"],
    "workflows": ["zizmor", "--offline", "--quiet", ".github"],
}
_PYTEST = ["coverage", "run", "-m", "pytest", "--numprocesses=2"]


def main(pytest_arguments: Sequence[str]) -> int:
    """Run everything, also after a failure: who has to mend wants to see it all at once."""
    try:
        environment.prepare("the tap, Meltano and the tools for testing")
        failed = [name for name, command in _QUICK.items() if not _quick(name, command)]
        failed += _tests(pytest_arguments)
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return _INTERRUPTED
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll checks passed.")
    return bool(failed)


def _quick(name: str, command: Sequence[str]) -> bool:
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
    _shown(["coverage", "erase"])
    failed = [] if _shown([*_PYTEST, *pytest_arguments]) else ["tests"]
    if not pytest_arguments:
        combined = _shown(["coverage", "combine", "--quiet"])
        failed += [] if combined and _shown(["coverage", "report"]) else ["coverage"]
    return failed


def _shown(command: Sequence[str]) -> bool:
    return subprocess.run(_installed(command), cwd=ROOT, env=_path(), check=False).returncode == 0


def _installed(command: Sequence[str]) -> list[str]:
    return [str(environment.BIN / command[0]), *command[1:]]


def _path() -> dict[str, str]:
    """Where tests find `tap-clarity` and `clarity-sandbox` by name."""
    return os.environ | {"PATH": f"{environment.BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
