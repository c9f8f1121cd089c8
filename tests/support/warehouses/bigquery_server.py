"""Runs the emulator of BigQuery without network, and with quoted names of fields.

By itself it downloads DuckDB extensions, and does not quote names of fields inside records.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import bqemulator.server  # type: ignore[import-not-found] # noqa: F401 - before its parts are changed
import duckdb
from bqemulator import cli
from bqemulator.storage import type_map  # type: ignore[import-not-found]

_COLUMNS = type_map.bq_schema_to_duckdb_columns


def quoted(fields: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(f'"{name}"', kind) for name, kind in _COLUMNS(fields)]


def link_extensions() -> None:
    (platform,) = duckdb.sql("PRAGMA platform").fetchall()[0]
    folder = Path.home() / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    folder.mkdir(parents=True)
    for name in ("icu", "spatial"):
        package = Path(str(files(f"duckdb_extension_{name}")))
        (found,) = package.rglob("*.duckdb_extension")
        (folder / found.name).symlink_to(found)


if __name__ == "__main__":
    link_extensions()
    type_map.bq_schema_to_duckdb_columns = quoted
    cli.main()
