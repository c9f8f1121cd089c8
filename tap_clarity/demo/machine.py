"""What this machine lacks, said in one line.

Old Pythons have to get through this file too: annotations are quoted.
"""

import importlib.util
import os
import subprocess
import sys


def refusal(oldest: "tuple[int, int]", newest: "tuple[int, int]") -> "str | None":
    """Why the command cannot run here and what to do, or None."""
    major, minor = sys.version_info[:2]
    if os.name != "posix":
        return "This needs Linux or macOS. On Windows, run it in WSL."
    if not oldest <= (major, minor) <= newest:
        wanted = f"Python 3.{oldest[1]} to 3.{newest[1]}"
        return f"This needs {wanted}; this is {major}.{minor}. {_remedy(oldest, newest)}"
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        package = f"python{major}.{minor}-venv"
        return f"Python's venv module is missing. On Debian or Ubuntu: sudo apt install {package}"
    return None


def _remedy(oldest: "tuple[int, int]", newest: "tuple[int, int]") -> str:
    for minor in range(newest[1], oldest[1] - 1, -1):
        if _runs(f"python3.{minor}"):
            return f"Use python3.{minor}."
    return "Install one of them and use it."


def _runs(python: str) -> bool:
    # A version manager leaves a python3.x on the path that only says which versions it has.
    try:
        done = subprocess.run(
            [python, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return False
    return done.returncode == 0
