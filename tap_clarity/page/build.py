"""From the file to the page, and what can be wrong with the file."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

from tap_clarity.page.document import page
from tap_clarity.page.errors import PageError
from tap_clarity.page.queries import ask
from tap_clarity.page.source_tables import LISTED, attach, find_networks, find_tables
from tap_clarity.page.view import section

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


def read(file: Path, now: datetime) -> str:
    """Make the page of a file.

    Raises:
        PageError: If the file cannot be read, or has nothing to show.
    """
    clock = now.replace(tzinfo=None)  # DuckDB's times are naive, and UTC
    try:
        with closing(attach(file)) as database:
            tables = find_tables(database)
            if all(table.name == LISTED for table in tables):
                raise PageError(
                    f"{file} has no measurements of tap-clarity: give what target-duckdb wrote."
                )
            networks = find_networks(database, tables)
            answers = [(each, ask(database, each)) for each in networks]
    except duckdb.Error as error:
        raise PageError(_reason(file, error)) from error
    sections = [section(each, found, clock) for each, found in answers if found.spells]
    if not sections:
        raise PageError(f"{file} has no measurement yet: load some first.")
    return page(sections, file.name, clock)


def _reason(file: Path, error: duckdb.Error) -> str:
    said = str(error).splitlines()[0]
    if "lock" in said:
        return f"{file} is being written by another program: try again when that has ended."
    return f"{file} cannot be read as a DuckDB database: {said}"
