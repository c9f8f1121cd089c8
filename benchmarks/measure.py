"""Runs commands as processes, and says what they cost."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LAUNCHER = Path(__file__).with_name("launch.py")
KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1
"""macOS tells the peak memory in bytes, Linux in KiB."""
_COUNT = re.compile(r'METRIC: (\{.*"metric": ?"record_count".*\})')


class BenchmarkError(Exception):
    """Something ran wrong, so that its figures are worth nothing."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run cost, all its processes together.

    Attributes:
        cpu: Seconds of CPU, of user and system.
        wall: Seconds that it took.
        memory: MiB that the largest of the processes had at most.
        errors: What it wrote to standard error.
    """

    cpu: float
    wall: float
    memory: float
    errors: str = ""


class Process:
    """A command under way; what it costs is written down by a small launcher."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._words = [str(word) for word in command]
        self._folder = tempfile.TemporaryDirectory()
        self._figures = Path(self._folder.name, "figures")
        self._errors = Path(self._folder.name, "errors")
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(self._figures)]
        with self._errors.open("wb") as errors:
            self.popen = subprocess.Popen(
                [*launcher, *self._words],
                stdin=stdin,
                stdout=stdout,
                stderr=errors,
                cwd=LAUNCHER.parents[1],  # where `-m benchmarks...` is found
                env=env,
            )

    def wait(self) -> Figures:
        """Wait for its end.

        Raises:
            BenchmarkError: If it failed.
        """
        with self._folder:
            status = self.popen.wait()
            errors = self._errors.read_text(encoding="utf-8", errors="replace")
            if status:
                last = "\n".join(errors.splitlines()[-8:])
                raise BenchmarkError(f"{' '.join(self._words)} ended with {status}:\n{last}")
            cpu, wall, peak = map(float, self._figures.read_text(encoding="ascii").split())
        return Figures(cpu, wall, peak * KIB_PER_UNIT / 1024, errors)


def measure(
    command: Sequence[str | Path],
    *,
    stdout: int | None = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
) -> Figures:
    """Run a command to its end."""
    return Process(command, stdout=stdout, env=env).wait()


def measure_pipe(tap: Sequence[str | Path], target: Sequence[str | Path]) -> Figures:
    """Run `tap | target` to the end of both."""
    source = Process(tap, stdout=subprocess.PIPE)
    pipe = source.popen.stdout
    assert pipe  # it was asked for
    with pipe:  # closed here, so that the tap learns if the target is dead
        sink = Process(target, stdin=pipe.fileno())
    try:
        loaded = sink.wait()
    except BenchmarkError:
        with suppress(BenchmarkError):
            source.wait()
        raise
    read = source.wait()
    return Figures(
        read.cpu + loaded.cpu, max(read.wall, loaded.wall), max(read.memory, loaded.memory)
    )


def emitted(figures: Figures) -> int:
    """Count the records that a tap says it has written: the SDK's own metric."""
    points = [json.loads(found) for found in _COUNT.findall(figures.errors)]
    return sum(point["value"] for point in points)


def check(what: str, found: int, expected: int) -> None:
    """Say so if a run did not do its work.

    Raises:
        BenchmarkError: If the count is wrong.
    """
    if found != expected:
        raise BenchmarkError(f"{what}: {found:,} where {expected:,} are true")


def interleaved(
    cases: Mapping[str, Callable[[], Figures]],
    rounds: Mapping[str, int],
    say: Callable[[str], None],
) -> dict[str, list[Figures]]:
    """Run all cases in turn, then again, each as often as it is to be."""
    runs: dict[str, list[Figures]] = {name: [] for name in cases}
    for turn in range(max(rounds.values())):
        for name, run in cases.items():
            if turn < rounds[name]:
                figures = run()
                runs[name].append(figures)
                say(f"{name}: {figures.cpu:.2f} s CPU, {figures.memory:.0f} MiB")
    return runs
