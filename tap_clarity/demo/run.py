"""Loads from the sandbox with Meltano, makes the page and prints a summary. Runs in `.venv`."""

from __future__ import annotations

import hashlib
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import duckdb

from tap_clarity.demo import summary
from tap_clarity.demo.steps import ROOT, StepError, display_path, run_step
from tap_clarity.demo.venv import BIN, clean_environment
from tap_clarity.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

_INTERRUPTED = 130
_FOLDER = ROOT / "output" / "sandbox"
_DATABASE = _FOLDER / "warehouse.duckdb"
_PAGE = _FOLDER / "page.html"
_LOG = _FOLDER / "meltano.log"
_MELTANO: Final[list[str | Path]] = [BIN / "meltano", "--environment=sandbox"]
_PLUGINS = ("tap-clarity", "target-duckdb")
# The sandbox's default is the time of the real service.
_SANDBOX: Final[list[str | Path]] = [BIN / "clarity-sandbox", "--report-seconds=2"]


def main() -> int:
    try:
        _LOG.unlink(missing_ok=True)
        _install_plugins()
        before, started = _row_counts(), datetime.now(UTC)
        _load()
        run_step(
            "Drawing a page to look at",
            [BIN / "clarity-page", _DATABASE, _PAGE],
            _LOG,
            _environment(),
        )
        _report(before, started)
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        print(
            f"{display_path(_DATABASE)} cannot be read: {reason}\n"
            "Close it where it is open, or delete it, and run this again.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _install_plugins() -> None:
    definition = (ROOT / "meltano.yml").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    fingerprint = hashlib.sha256(definition).hexdigest() + version("meltano")
    stamp = ROOT / ".meltano" / "installed-for-demo"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint:
        return
    for plugin in _PLUGINS:
        run_step(f"Installing {plugin}", [*_MELTANO, "install", plugin], _LOG, _environment())
    stamp.write_text(fingerprint, encoding="utf-8")


def _load() -> None:
    # Meltano's state is not in the database: without a database, load everything.
    refresh = [] if _DATABASE.is_file() else ["--full-refresh"]
    run_step(
        "Sandbox up, `meltano run tap-clarity target-duckdb`, sandbox down",
        [*_SANDBOX, *_MELTANO, "run", "--no-install", *refresh, *_PLUGINS],
        _LOG,
        _environment(),
    )


def _environment() -> dict[str, str]:
    return clean_environment() | {
        "MELTANO_PROJECT_ROOT": str(ROOT),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_LOG_FORMAT": "plain",
    }


def _row_counts() -> dict[str, int]:
    if not _DATABASE.is_file():
        return {}
    with closing(duckdb.connect(str(_DATABASE), read_only=True)) as database:
        return {table.name: table.rows for table in summary.tables(database)}


def _report(before: dict[str, int], started: datetime) -> None:
    with closing(duckdb.connect(str(_DATABASE), read_only=True)) as database:
        print(f"\n{_headline(before)}\n")
        print(summary.describe_tables(summary.tables(database), before))
        print("\nThe latest PM2.5 of each station that is running, mean of one hour:\n")
        print(summary.describe_latest(summary.latest_pm25(database)))
        completeness = summary.completeness(database, Sandbox().expected, started)
    print(f"\n{summary.describe_completeness(completeness)}")
    print(f"\nLook at it: open {display_path(_PAGE)} in a browser.")
    database_path, log_path = display_path(_DATABASE), display_path(_LOG)
    print(f"The database is {database_path}. Meltano's own words are in {log_path}.")
    if not before:
        print("Run the same command again: it asks only for what is new.")


def _headline(before: dict[str, int]) -> str:
    if before:
        return "This run was incremental: it asked only for what is new since the last one."
    return "This was the first load: thirty days from reports, the latest two from the cache."


if __name__ == "__main__":
    sys.exit(main())
