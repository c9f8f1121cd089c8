"""The command line `clarity-page`."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import parse_timestamp
from tap_clarity.page.errors import PageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXTRA_PACKAGES = frozenset({"duckdb", "jinja2", "plotly"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the page and print its path and size."""
    options = _parser().parse_args(arguments)
    page = options.page or options.file.with_suffix(".html")
    try:
        html = _build(options.file, page, options.now or datetime.now(UTC))
        page.write_text(html, encoding="utf-8", newline="\n")
    except PageError as error:
        print(f"clarity-page: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"clarity-page: {page} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{page} ({len(html.encode()) / 1e6:.1f} MB). Open it in a browser, online or not.")
    return 0


def _build(file: Path, page: Path, now: datetime) -> str:
    if not file.is_file():
        raise PageError(f"there is no file {file}: give the one that target-duckdb wrote.")
    if page.exists() and page.samefile(file):
        raise PageError(f"{page} is the database: give the page another name.")
    try:
        from tap_clarity.page.build import build_page  # noqa: PLC0415 - the extra may not be there
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_PACKAGES:
            raise
        raise PageError(
            f"{error.name} is not installed: install the extra tap-clarity[page]."
        ) from error
    return build_page(file, now)


def _timestamp(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clarity-page",
        description="Makes one HTML page to look at, from a DuckDB file that a load has filled.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.duckdb", help="what target-duckdb wrote")
    parser.add_argument(
        "page",
        type=Path,
        nargs="?",
        metavar="PAGE.html",
        help="where to write the page (default: beside the file, with its name)",
    )
    parser.add_argument(
        "--now",
        type=_timestamp,
        metavar="ISO",
        help="the instant from which ages are counted (default: the present)",
    )
    return parser
