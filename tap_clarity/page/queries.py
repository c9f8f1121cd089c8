"""Queries a loaded database: SQL in, plain values out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from tap_clarity.measurements.dictionary import Metric, metrics_at
from tap_clarity.page.completeness import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from tap_clarity.page.source_tables import Network, Table

QUANTITIES: Final = (
    "PM2.5",
    "PM10",
    "NO2",
    "O3",
    "ambient temperature",
    "ambient relative humidity",
)
_AVERAGING_PERIODS: Final = ("individual", "1-hour mean", "24-hour mean")
# DuckDB rejects parameters that a query does not use.
_NO_ROWS: Final = """
    SELECT '' AS datasource_id, '' AS metric, TIMESTAMP '1970-01-01' AS time,
        0.0 AS raw, 0.0 AS value, '' AS status, false AS is_invalid
    WHERE false AND $org = $frequency
"""


class Station(NamedTuple):
    """A station of the organization."""

    id: str
    name: str | None
    group: str | None
    has_source: bool


class Latest(NamedTuple):
    """A station's newest measurement of a metric."""

    id: str
    metric: str
    time: datetime
    value: float | None
    raw: float | None
    is_invalid: bool


class Mean(NamedTuple):
    """A station's PM2.5 in a period: the means of its calibrated, raw and invalid values."""

    id: str
    period: int
    value: float | None
    raw: float | None
    invalid: float | None


class Spread(NamedTuple):
    """The distribution of a network's stations in a period: 10 %, 50 % and 90 %."""

    period: int
    low: float
    median: float
    high: float


class NetworkData(NamedTuple):
    """All that a network's section of the page is made from."""

    stations: list[Station]
    locations: dict[str, tuple[float, float]]
    latest: list[Latest]
    periods: dict[str, list[Interval]]
    means: list[Mean]
    spread: list[Spread]


def shown_metrics(frequency: str) -> list[Metric]:
    """The metrics on the page, PM2.5 first: neither indexes nor rolling means."""
    by_quantity = {
        metric.quantity: metric
        for metric in metrics_at(frequency)
        if metric.index_standard is None and metric.averaging_period in _AVERAGING_PERIODS
    }
    return [by_quantity[quantity] for quantity in QUANTITIES if quantity in by_quantity]


def query_network(database: DuckDBPyConnection, network: Network) -> NetworkData:
    _create_measurements(database, network)
    return NetworkData(
        stations=_stations(database, network),
        locations=_locations(database, network),
        latest=_latest(database),
        periods=_periods(database, network),
        means=_means(database, network),
        spread=_spread(database),
    )


def _create_measurements(database: DuckDBPyConnection, network: Network) -> None:
    """Unite both tables by the rule "Which value counts" of transform/README.md."""
    metrics = shown_metrics(network.frequency)
    report, recent = (
        _select_metrics(table, metrics) if table else _NO_ROWS
        for table in (network.report, network.recent)
    )
    database.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE measurements AS
        WITH report AS ({report}), recent AS ({recent}),
        preferred_recent AS (
            SELECT recent.* FROM recent
            LEFT JOIN report USING (datasource_id, metric, time)
            WHERE report.datasource_id IS NULL
                OR (report.status = 'calibration-processing' AND recent.value IS NOT NULL)
        )
        FROM preferred_recent UNION ALL
        (FROM report ANTI JOIN preferred_recent USING (datasource_id, metric, time))
        """,  # noqa: S608
        _parameters(network),
    )


def _select_metrics(table: Table, metrics: Sequence[Metric]) -> str:
    if table.is_wide:
        known = [m for m in metrics if {f"{m.column}_raw", f"{m.column}_value"} & {*table.columns}]
        return " UNION ALL ".join(_select_wide(table, metric) for metric in known) or _NO_ROWS
    names = ", ".join(f"'{metric.metric}'" for metric in metrics)
    return _select(table, "metric", "", f"metric IN ({names})")


def _select_wide(table: Table, metric: Metric) -> str:
    prefix = f"{metric.column}_"
    columns = [f"{prefix}{name}" for name in ("raw", "value", "status")]
    has_any = " OR ".join(f"{name} IS NOT NULL" for name in columns if table.has(name))
    return _select(table, f"'{metric.metric}'", prefix, f"({has_any})")


def _select(table: Table, metric: str, prefix: str, condition: str) -> str:
    return f"""
        SELECT datasource_id, {metric} AS metric, CAST(time AS TIMESTAMP) AS time,
            {table.column(f"{prefix}raw", "DOUBLE")} AS raw,
            {table.column(f"{prefix}value", "DOUBLE")} AS value,
            {table.column(f"{prefix}status", "VARCHAR")} AS status,
            {table.column(f"{prefix}qc_assessment", "VARCHAR")} IS NOT DISTINCT FROM 'invalid'
                AS is_invalid
        FROM {table.sql}
        WHERE org = $org AND output_frequency = $frequency AND {condition}
    """  # noqa: S608


def _select_both(network: Network, columns: str, condition: str = "true") -> str:
    """Select the same columns from both tables, of this network only."""
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {table.sql}"  # noqa: S608
        f" WHERE org = $org AND output_frequency = $frequency AND {condition}"
        f" AND ({table.has_measurement})"
        for table in network.measurements
    )


def _parameters(network: Network) -> dict[str, str]:
    return {"org": network.org, "frequency": network.frequency}


def _stations(database: DuckDBPyConnection, network: Network) -> list[Station]:
    table = network.datasources
    if table is None:
        return []
    name, group = (_annotation(table, field) for field in ("name", "group"))
    source = "current_source_id IS NOT NULL" if table.has("current_source_id") else "true"
    org = "org = $org" if table.has("org") else "$org IS NOT NULL"
    rows = database.execute(
        f"SELECT datasource_id, {name}, {group}, {source} FROM {table.sql} WHERE {org} ORDER BY 1",  # noqa: S608
        {"org": network.org},
    ).fetchall()
    return [Station(*row) for row in rows]


def _annotation(table: Table, name: str) -> str:
    """An annotation of a station, also where the tap has flattened them into columns."""
    if table.has("org_annotations"):
        return f"json_extract_string(org_annotations, '$.{name}')"
    return table.column(f"org_annotations__{name}", "VARCHAR")


def _locations(database: DuckDBPyConnection, network: Network) -> dict[str, tuple[float, float]]:
    if not all(table.has("latitude", "longitude") for table in network.measurements):
        return {}
    columns = "datasource_id, time, latitude, longitude"
    rows = database.execute(
        f"""
        SELECT datasource_id, arg_max(latitude, time), arg_max(longitude, time)
        FROM ({_select_both(network, columns, "latitude IS NOT NULL")}) GROUP BY 1
        """,  # noqa: S608
        _parameters(network),
    ).fetchall()
    return {id_: (latitude, longitude) for id_, latitude, longitude in rows}


def _latest(database: DuckDBPyConnection) -> list[Latest]:
    rows = database.execute(
        """
        SELECT datasource_id, metric, max(time),
            arg_max(struct_pack(value, raw, is_invalid), time)
        FROM measurements WHERE coalesce(value, raw) IS NOT NULL
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return [Latest(id_, metric, time, **values) for id_, metric, time, values in rows]


def _periods(database: DuckDBPyConnection, network: Network) -> dict[str, list[Interval]]:
    """Find the periods in which each station has any measurement, consecutive ones together."""
    milliseconds = network.period_seconds * 1000
    columns = f"datasource_id, epoch_ms(CAST(time AS TIMESTAMP)) // {milliseconds} AS period"
    rows = database.execute(
        f"""
        WITH observed AS (SELECT DISTINCT * FROM ({_select_both(network, columns)})),
        numbered AS (
            SELECT *, period - row_number() OVER (PARTITION BY datasource_id ORDER BY period)
                AS interval_number FROM observed
        )
        SELECT datasource_id, min(period), max(period) + 1
        FROM numbered GROUP BY datasource_id, interval_number ORDER BY 1, 2
        """,  # noqa: S608
        _parameters(network),
    ).fetchall()
    periods: dict[str, list[Interval]] = defaultdict(list)
    for id_, start, end in rows:
        periods[id_].append(Interval(start, end))
    return dict(periods)


def _means(database: DuckDBPyConnection, network: Network) -> list[Mean]:
    database.execute(
        """
        CREATE OR REPLACE TEMP TABLE means AS
        SELECT datasource_id, epoch_ms(time) // $milliseconds AS period,
            favg(value) FILTER (NOT is_invalid) AS value,
            favg(raw) FILTER (NOT is_invalid) AS raw,
            favg(coalesce(value, raw)) FILTER (is_invalid) AS invalid
        FROM measurements WHERE metric = $metric GROUP BY ALL
        """,
        {
            "milliseconds": network.period_seconds * 1000,
            "metric": shown_metrics(network.frequency)[0].metric,
        },
    )
    return [Mean(*row) for row in database.execute("FROM means ORDER BY ALL").fetchall()]


def _spread(database: DuckDBPyConnection) -> list[Spread]:
    rows = database.execute(
        """
        SELECT period, quantile_cont(value, 0.1), median(value), quantile_cont(value, 0.9)
        FROM means WHERE value IS NOT NULL GROUP BY period ORDER BY period
        """
    ).fetchall()
    return [Spread(*row) for row in rows]
