"""What the parts of one session share."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.data import Report, Size
from benchmarks.measure import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Session:
    """How much to measure, and where to keep what is made for it.

    Attributes:
        cache: Folder of data and environments.
        sizes: Of the reports.
        rounds: How often each is run.
        vanilla_rounds: How often the vanilla tap is run at full size, which takes it long.
        is_large: Whether more than a quick look is wanted.
    """

    cache: Path
    sizes: tuple[Size, ...]
    rounds: int = 3
    vanilla_rounds: int = 1
    is_large: bool = False

    def report(self, size: Size) -> Report:
        """Make a report file."""
        return Report.make(size, self.cache / "data")

    def environment(self, name: str, *requirements: str) -> Path:
        """Make a virtual environment of its own for a package; gives its folder of programs."""
        folder = self.cache / "environments" / name
        stamp, wanted = folder / "requirements", "\n".join([sys.version, *requirements])
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            self.say(f"installing {name}")
            uv = Path(sys.executable).with_name("uv")
            output_of(uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
            output_of(
                uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *requirements
            )
            stamp.write_text(wanted, encoding="utf-8")
        return folder / "bin"

    def versions(self, name: str, *requirements: str) -> str:
        """Say which versions of what was required are there."""
        packages = [re.split("[=<>~]", each)[0] for each in requirements]
        code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
        python = self.environment(name, *requirements) / "python"
        found = output_of(python, "-c", code, *packages).split()
        return ", ".join(map(" ".join, zip(packages, found, strict=True)))

    def floor(self) -> Path:
        """Compile the C program."""
        program = self.cache / "floor"
        self.cache.mkdir(parents=True, exist_ok=True)
        output_of("cc", "-O2", "-o", program, HERE / "floor.c", "-lz")
        return program

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Lend a folder; what is in it goes."""
        with tempfile.TemporaryDirectory(prefix="tap-clarity-benchmark-") as path:
            yield Path(path)

    def say(self, text: str) -> None:
        """Tell how far it is."""
        sys.stderr.write(f"  {text}\n")


def output_of(*command: str | Path) -> str:
    """Run a command whose cost does not matter.

    Raises:
        BenchmarkError: If it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(map(str, command))
        raise BenchmarkError(f"{words} ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout
