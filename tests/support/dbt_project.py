"""The dbt project of `transform/`, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from tap_clarity.core.timestamps import format_instant
from tap_clarity.demo.environment import clean_environment
from tests.support.expected_models import Expected
from tests.support.meltano_project import MELTANO_YML, check_same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.support.gap_fixture import Town
    from tests.support.tap_process import Record

TRANSFORM = MELTANO_YML.parent / "transform"
_TIMES = {"time", "first_time", "last_time", "period_end", "gap_start", "gap_end"}


class Warehouse(Protocol):
    """Where a tap's output is loaded, and the models are built."""

    def load(self, output: bytes) -> None:
        """Load a tap's output."""

    def build(self) -> str:
        """Build and test the models, and give what dbt has said."""

    def rows(self, model: str) -> list[Record]:
        """Read a model."""


def check_models(warehouse: Warehouse, town: Town) -> None:
    """Build the models, and compare all their rows with what they have to be."""
    assert "WARN=0 ERROR=0 SKIP=0" in warehouse.build()
    for model, wanted in Expected(town).models().items():
        check_same(map(_as_told, warehouse.rows(model)), wanted)


def copy_transform(to: Path) -> None:
    shutil.copytree(TRANSFORM, to, ignore=shutil.ignore_patterns("logs", "target"))


def run(command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a program in a folder, which is its HOME as well, and give what it has said."""
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


def _as_told(row: Record) -> Record:
    """Write times, which have no zone in some warehouses, as the tap writes them."""
    return {name: _in_utc(it) if name in _TIMES and it else it for name, it in row.items()}


def _in_utc(told: str) -> str:
    time = datetime.fromisoformat(told)
    return format_instant(time if time.tzinfo else time.replace(tzinfo=UTC))
