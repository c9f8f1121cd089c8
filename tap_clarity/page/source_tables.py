"""Finds the tap's tables in the file: their layout, and the organizations in them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REPORT: Final = "datasource_measurements"
RECENT: Final = "recent_measurements"
DATASOURCES: Final = "datasources"
_KEYS: Final = {"org", "datasource_id", "output_frequency", "time"}
_FREQUENCIES: Final = ("hour", "minute", "day")
"""In order of preference: of several, the page shows the first."""
_METRIC_SUFFIXES: Final = ("_raw", "_value", "_status")


@dataclass(frozen=True)
class Table:
    """A table, and the columns that were selected into it."""

    schema: str
    name: str
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        return f"loaded.{quote_identifier(self.schema)}.{quote_identifier(self.name)}"

    @property
    def is_wide(self) -> bool:
        return "metric" not in self.columns

    def has(self, *columns: str) -> bool:
        return not set(columns) - set(self.columns)

    def column(self, name: str, sql_type: str) -> str:
        """A column, or null if the table does not have it."""
        return f"CAST({quote_identifier(name) if self.has(name) else 'NULL'} AS {sql_type})"

    @property
    def has_measurement(self) -> str:
        """A condition: in the wide layout a row can exist without any metric in it."""
        metrics = [name for name in self.columns if name.endswith(_METRIC_SUFFIXES)]
        if not self.is_wide or not metrics:
            return "true"
        others = ["other_metrics"] if self.has("other_metrics") else []
        return " OR ".join(f"{quote_identifier(name)} IS NOT NULL" for name in (*metrics, *others))


@dataclass(frozen=True)
class Network:
    """The measurements of one organization, in one schema of the file, at one frequency."""

    org: str
    frequency: str
    report: Table | None
    recent: Table | None
    datasources: Table | None

    @property
    def measurements(self) -> list[Table]:
        return [table for table in (self.report, self.recent) if table]

    @property
    def schema(self) -> str:
        return self.measurements[0].schema

    @property
    def period_seconds(self) -> int:
        """Length of a period of the series and of the completeness: an hour or a day."""
        return 86_400 if self.frequency == "day" else 3_600


def quote_identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def attach(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a file read-only, under a fixed database name whatever the file is called."""
    database = duckdb.connect()
    literal = str(path).replace("'", "''")
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"ATTACH '{literal}' AS loaded (TYPE duckdb, READ_ONLY)")
    return database


def find_tables(database: duckdb.DuckDBPyConnection) -> list[Table]:
    """Find the tables of measurements and datasources, sorted by schema and name."""
    rows = database.execute(
        "SELECT table_schema, table_name, list(column_name ORDER BY ordinal_position)"
        " FROM information_schema.columns"
        " WHERE table_catalog = 'loaded' AND table_name IN (?, ?, ?)"
        " GROUP BY ALL ORDER BY ALL",
        [REPORT, RECENT, DATASOURCES],
    ).fetchall()
    tables = [Table(schema, name, tuple(columns)) for schema, name, columns in rows]
    return [t for t in tables if t.has(*({"datasource_id"} if t.name == DATASOURCES else _KEYS))]


def find_networks(database: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[Network]:
    """Find each organization of each schema, at its preferred frequency."""
    schemas: dict[str, dict[str, Table]] = defaultdict(dict)
    for table in tables:
        schemas[table.schema][table.name] = table
    return sorted(
        (
            Network(org, frequency, *(by_name.get(name) for name in (REPORT, RECENT, DATASOURCES)))
            for by_name in schemas.values()
            for org, frequency in _organizations(database, by_name.values()).items()
        ),
        key=lambda network: (network.org, network.schema),
    )


def _organizations(database: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> dict[str, str]:
    """Map the organizations that have measurements to the frequency to show."""
    frequencies: dict[str, set[str]] = defaultdict(set)
    for table in tables:
        if table.name != DATASOURCES:
            query = (
                f"SELECT DISTINCT org, output_frequency FROM {table.sql}"  # noqa: S608
                f" WHERE output_frequency IN {_FREQUENCIES}"
            )
            for org, frequency in database.execute(query).fetchall():
                frequencies[org].add(frequency)
    return {org: min(found, key=_FREQUENCIES.index) for org, found in frequencies.items()}
