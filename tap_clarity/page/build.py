"""Builds the page from a DuckDB file, and says what is wrong with a file that cannot be read."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

from tap_clarity.page.document import render_page
from tap_clarity.page.errors import PageError
from tap_clarity.page.queries import query_network
from tap_clarity.page.source_tables import DATASOURCES, attach, find_networks, find_tables
from tap_clarity.page.view import build_section

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


def build_page(file: Path, now: datetime) -> str:
    """Build the page of a file.

    Raises:
        PageError: If the file cannot be read, or has no measurements.
    """
    utc_now = now.replace(tzinfo=None)  # DuckDB's times are naive, and UTC
    try:
        with closing(attach(file)) as database:
            tables = find_tables(database)
            if all(table.name == DATASOURCES for table in tables):
                raise PageError(
                    f"{file} has no measurements of tap-clarity: give what target-duckdb wrote."
                )
            networks = find_networks(database, tables)
            results = [(network, query_network(database, network)) for network in networks]
    except duckdb.Error as error:
        raise PageError(_error_message(file, error)) from error
    sections = [build_section(network, data, utc_now) for network, data in results if data.periods]
    if not sections:
        raise PageError(f"{file} has no measurement yet: load some first.")
    return render_page(sections, file.name, utc_now)


def _error_message(file: Path, error: duckdb.Error) -> str:
    reason = str(error).splitlines()[0]
    if "lock" in reason:
        return f"{file} is being written by another program: try again when that has ended."
    return f"{file} cannot be read as a DuckDB database: {reason}"
