"""Summarizes the database of the demo, and compares it with the data of the sandbox."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.world.metrics import default_metric_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from tap_clarity.sandbox.testing.expected_data import ExpectedData

SCHEMA = "clarity"
FREQUENCY: Final = "hour"
PM25 = "pm2_5ConcMass1HourMean"
MEASUREMENTS = ("datasource_measurements", "recent_measurements")


@dataclass(frozen=True)
class Table:
    """A table's size and, where it has times, its range."""

    name: str
    rows: int
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class Latest:
    """A station's newest measurement; no value if it is not calibrated."""

    station: str
    value: float | None
    unit: str
    time: datetime


@dataclass(frozen=True)
class Completeness:
    """How many of the measurements of the sandbox are in the database."""

    expected: int
    present: int


def tables(database: DuckDBPyConnection) -> list[Table]:
    columns = database.execute(
        "SELECT table_name, list(column_name) FROM information_schema.columns"
        " WHERE table_schema = ? GROUP BY table_name ORDER BY table_name",
        [SCHEMA],
    ).fetchall()
    return [_table(database, name, "time" in names) for name, names in columns]


def _table(database: DuckDBPyConnection, name: str, has_time: bool) -> Table:  # noqa: FBT001
    times = ", min(time), max(time)" if has_time else ""
    row = database.execute(f'SELECT count(*){times} FROM {SCHEMA}."{name}"').fetchone()  # noqa: S608
    return Table(name, *(row or (0,)))


def latest_pm25(database: DuckDBPyConnection) -> list[Latest]:
    rows = database.execute(
        f"""
        SELECT station.org_annotations ->> '$.name', m.value, metric.unit, m.time
        FROM {SCHEMA}.recent_measurements AS m
        JOIN {SCHEMA}.datasources AS station USING (org, datasource_id)
        JOIN {SCHEMA}.metrics AS metric USING (metric)
        WHERE m.metric = ? AND m.output_frequency = ?
        QUALIFY row_number() OVER (PARTITION BY datasource_id ORDER BY m.time DESC) = 1
        ORDER BY 1
        """,  # noqa: S608
        [PM25, FREQUENCY],
    ).fetchall()
    return [Latest(*row) for row in rows]


def completeness(database: DuckDBPyConnection, data: ExpectedData, as_of: datetime) -> Completeness:
    """Compare the keys of both tables with the sandbox, from the first measurement in them on.

    Metrics that the sandbox returns only if metric_select names them are left out.
    """
    queries = (
        f"SELECT datasource_id, metric, time FROM {SCHEMA}.{name} WHERE output_frequency = $1"  # noqa: S608
        for name in MEASUREMENTS
    )
    present = set(database.execute(" UNION ".join(queries), [FREQUENCY]).fetchall())
    start = min(time for _, _, time in present).replace(tzinfo=as_of.tzinfo)
    expected = {
        (each.datasource_id, each.metric, each.time.replace(tzinfo=None))
        for each in data.measurements(FREQUENCY, start, as_of, as_of)
        if each.metric in default_metric_names(FREQUENCY)
    }
    return Completeness(len(expected), len(expected & present))


def describe_tables(found: Sequence[Table], before: Mapping[str, int]) -> str:
    head = ["table", "rows", *(["new"] if before else []), "first (UTC)", "last (UTC)"]
    lines = [head]
    for table in found:
        new = [f"+{_number(table.rows - before.get(table.name, 0))}"] if before else []
        lines.append(
            [table.name, _number(table.rows), *new, _minute(table.first), _minute(table.last)]
        )
    return _aligned(lines, right={1, 2} if before else {1})


def describe_latest(found: Iterable[Latest]) -> str:
    head = ["station", "PM2.5", "unit", "hour from (UTC)"]
    lines = [head, *([each.station, *_value_and_unit(each), _minute(each.time)] for each in found)]
    return _aligned(lines, right={1})


def _value_and_unit(latest: Latest) -> list[str]:
    return (
        ["-", "not calibrated yet"]
        if latest.value is None
        else [f"{latest.value:.1f}", latest.unit]
    )


def describe_completeness(found: Completeness) -> str:
    present, expected = _number(found.present), _number(found.expected)
    if found.present == found.expected:
        return f"Complete: all {expected} points that the sandbox has are there."
    return (
        f"{present} of the {expected} points that the sandbox has are there."
        " What arrived late comes with the next report."
    )


def _number(value: int) -> str:
    return f"{value:,}"


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else ""


def _aligned(lines: Sequence[Sequence[str]], right: set[int]) -> str:
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  "
        + "  ".join(
            _pad(text, width, column in right)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _pad(text: str, width: int, right: bool) -> str:  # noqa: FBT001
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    """Columns on a terminal, where East Asian letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
