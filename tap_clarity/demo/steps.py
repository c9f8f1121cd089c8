"""Runs commands: one line for each, their output in a log."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
_MAX_OUTPUT_LINES = 15
# The frames of a traceback hide the error.
_TRACEBACK_FRAMES = re.compile(r'^ *File "[^\n]*\n(?: {4}[^\n]*\n)*', re.MULTILINE)


class StepError(Exception):
    """A step failed; the message has the end of its output."""


def run_step(
    title: str,
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
) -> None:
    print(f"{title} ... ", end="", flush=True)
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as out:
        out.write(f"\n$ {' '.join(map(str, command))}\n")
        out.flush()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        print("failed", flush=True)
        raise StepError(_error_message(done.returncode, log))
    print(f"{time.monotonic() - started:.0f} s", flush=True)


def _error_message(status: int, log: Path) -> str:
    output = log.read_text(encoding="utf-8", errors="replace").rpartition("\n$ ")[2]
    lines = _TRACEBACK_FRAMES.sub("", output).splitlines()[1:]
    tail = "".join(f"  | {line}\n" for line in lines[-_MAX_OUTPUT_LINES:])
    return f"{tail}It ended with status {status}. All of its output: {display_path(log)}"


def display_path(path: Path) -> str:
    """The path as you type it in the clone."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
