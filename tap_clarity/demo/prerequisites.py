"""Checks that the demo can run on this machine.

Python 3.6 must be able to run this file, too: annotations are quoted.
"""

import importlib.util
import os
import subprocess
import sys


def find_problem(min_version: "tuple[int, int]", max_version: "tuple[int, int]") -> "str | None":
    """Return why the command cannot run here and what to do, in one line, or None."""
    major, minor = sys.version_info[:2]
    if os.name != "posix":
        return "This needs Linux or macOS. On Windows, run it in WSL."
    if not min_version <= (major, minor) <= max_version:
        supported = f"Python 3.{min_version[1]} to 3.{max_version[1]}"
        suggestion = _suggestion(min_version, max_version)
        return f"This needs {supported}; this is {major}.{minor}. {suggestion}"
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        package = f"python{major}.{minor}-venv"
        return f"Python's venv module is missing. On Debian or Ubuntu: sudo apt install {package}"
    return None


def _suggestion(min_version: "tuple[int, int]", max_version: "tuple[int, int]") -> str:
    for minor in range(max_version[1], min_version[1] - 1, -1):
        if _is_runnable(f"python3.{minor}"):
            return f"Use python3.{minor}."
    return "Install one of them and use it."


def _is_runnable(python: str) -> bool:
    # The python3.x of a version manager can exist without that version being installed.
    try:
        done = subprocess.run(
            [python, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return False
    return done.returncode == 0
