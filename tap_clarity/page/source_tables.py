"""What the file holds: which tables of ours, in which layout, of which organisations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SETTLED: Final = "datasource_measurements"
RECENT: Final = "recent_measurements"
LISTED: Final = "datasources"
_KEYS: Final = {"org", "datasource_id", "output_frequency", "time"}
_LIKED: Final = ("hour", "minute", "day")
_ATTRIBUTES: Final = ("_raw", "_value", "_status")


@dataclass(frozen=True)
class Table:
    """A table, and the columns that were selected into it."""

    schema: str
    name: str
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        return f"loaded.{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def is_wide(self) -> bool:
        return "metric" not in self.columns

    def has(self, *columns: str) -> bool:
        return not set(columns) - set(self.columns)

    def column(self, name: str, kind: str) -> str:
        """A column, or null where it is not there."""
        return f"CAST({quoted(name) if self.has(name) else 'NULL'} AS {kind})"

    @property
    def measured_something(self) -> str:
        """A condition: in the wide layout a row can be there without any metric in it."""
        told = [name for name in self.columns if name.endswith(_ATTRIBUTES)]
        if not self.is_wide or not told:
            return "true"
        others = ["other_metrics"] if self.has("other_metrics") else []
        return " OR ".join(f"{quoted(name)} IS NOT NULL" for name in (*told, *others))


@dataclass(frozen=True)
class Network:
    """The measurements of one organisation, in one schema of the file, at one frequency."""

    org: str
    frequency: str
    settled: Table | None
    recent: Table | None
    datasources: Table | None

    @property
    def measurements(self) -> list[Table]:
        return [table for table in (self.settled, self.recent) if table]

    @property
    def schema(self) -> str:
        return self.measurements[0].schema

    @property
    def period(self) -> int:
        """Seconds: what one value of the series, and one step of the completeness, stands for."""
        return 86_400 if self.frequency == "day" else 3_600


def quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def attach(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a file for reading; its name must not matter, so it gets another one."""
    database = duckdb.connect()
    literal = str(path).replace("'", "''")
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"ATTACH '{literal}' AS loaded (TYPE duckdb, READ_ONLY)")
    return database


def find_tables(database: duckdb.DuckDBPyConnection) -> list[Table]:
    """Our tables, measurements or not, by schema and name."""
    rows = database.execute(
        "SELECT table_schema, table_name, list(column_name ORDER BY ordinal_position)"
        " FROM information_schema.columns"
        " WHERE table_catalog = 'loaded' AND table_name IN (?, ?, ?)"
        " GROUP BY ALL ORDER BY ALL",
        [SETTLED, RECENT, LISTED],
    ).fetchall()
    tables = [Table(schema, name, tuple(columns)) for schema, name, columns in rows]
    return [t for t in tables if t.has(*({"datasource_id"} if t.name == LISTED else _KEYS))]


def find_networks(database: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[Network]:
    """Every organisation of every schema, at the frequency that shows most."""
    schemas: dict[str, dict[str, Table]] = defaultdict(dict)
    for table in tables:
        schemas[table.schema][table.name] = table
    return sorted(
        (
            Network(org, frequency, *(named.get(name) for name in (SETTLED, RECENT, LISTED)))
            for named in schemas.values()
            for org, frequency in _organisations(database, named.values()).items()
        ),
        key=lambda network: (network.org, network.schema),
    )


def _organisations(database: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> dict[str, str]:
    """The organisations that have measurements, and the frequency to show of each."""
    there: dict[str, set[str]] = defaultdict(set)
    for table in tables:
        if table.name != LISTED:
            query = (
                f"SELECT DISTINCT org, output_frequency FROM {table.sql}"  # noqa: S608
                f" WHERE output_frequency IN {_LIKED}"
            )
            for org, frequency in database.execute(query).fetchall():
                there[org].add(frequency)
    return {org: next(each for each in _LIKED if each in theirs) for org, theirs in there.items()}
