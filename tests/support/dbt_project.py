"""The dbt project of `transform/`, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tap_clarity.core.timestamps import format_timestamp
from tap_clarity.demo.venv import clean_environment
from tests.support.expected_models import Expected
from tests.support.meltano.project import MELTANO_YML, check_same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.support.gap_fixture import LoadedNetwork
    from tests.support.tap_process import Record

TRANSFORM = MELTANO_YML.parent / "transform"
_TIMES = {"time", "first_time", "last_time", "period_end", "gap_start", "gap_end"}


class Warehouse(Protocol):
    """Loads a tap's output, and builds the models."""

    def load(self, output: bytes) -> None:
        """Load a tap's output."""

    def build(self) -> str:
        """Build and test the models, and return the output of dbt."""

    def rows(self, model: str) -> list[Record]:
        """Read a model."""


def check_models(warehouse: Warehouse, network: LoadedNetwork) -> None:
    """Build the models, and compare all their rows with the expected ones."""
    assert "WARN=0 ERROR=0 SKIP=0" in warehouse.build()
    for model, expected in Expected(network).models().items():
        check_same(map(_with_utc_times, warehouse.rows(model)), expected)


def copy_transform(to: Path) -> None:
    shutil.copytree(TRANSFORM, to, ignore=shutil.ignore_patterns("logs", "target"))


def run(command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a program in a folder, which is its HOME as well, and return its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment() | {"HOME": str(folder)} | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def _with_utc_times(row: Record) -> Record:
    """Write times, which have no time zone in some warehouses, as the tap writes them."""
    return {name: _in_utc(it) if name in _TIMES and it else it for name, it in row.items()}


def _in_utc(text: str) -> str:
    time = datetime.fromisoformat(text)
    return format_timestamp(time if time.tzinfo else time.replace(tzinfo=UTC))
