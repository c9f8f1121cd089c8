"""What is asked of the database: SQL in, plain values out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tap_clarity.measurements.dictionary import Metric, metrics_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from duckdb import DuckDBPyConnection

    from tap_clarity.page.source_tables import Network, Table

SHOWN: Final = ("PM2.5", "PM10", "NO2", "O3", "ambient temperature", "ambient relative humidity")
_OWN_PERIOD: Final = ("individual", "1-hour mean", "24-hour mean")
# DuckDB refuses parameters that a query does not use.
_NOTHING: Final = """
    SELECT '' AS datasource_id, '' AS metric, TIMESTAMP '1970-01-01' AS moment,
        0.0 AS raw, 0.0 AS value, false AS invalid
    WHERE false AND $org = $frequency
"""


class Listed(NamedTuple):
    """A station as the organisation lists it."""

    id: str
    name: str | None
    group: str | None
    has_source: bool


class Latest(NamedTuple):
    """A station's newest figure of a metric."""

    id: str
    metric: str
    at: datetime
    value: float | None
    raw: float | None
    invalid: bool


class Spell(NamedTuple):
    """Periods without a gap in which a station measured anything: `end` is no longer part."""

    id: str
    start: int
    end: int


class Mean(NamedTuple):
    """A station's PM2.5 in a period: the mean of what is calibrated, sensed, judged invalid."""

    id: str
    period: int
    value: float | None
    raw: float | None
    invalid: float | None


class Spread(NamedTuple):
    """What the stations of a network show in a period."""

    period: int
    low: float
    median: float
    high: float


class Answers(NamedTuple):
    """All that the page is made from."""

    listed: list[Listed]
    places: dict[str, tuple[float, float]]
    latest: list[Latest]
    spells: list[Spell]
    means: list[Mean]
    spread: list[Spread]


def shown_metrics(frequency: str) -> list[Metric]:
    """The metrics on the page, PM2.5 first: the plain ones, no index, no rolling mean."""
    plain = {
        metric.quantity: metric
        for metric in metrics_at(frequency)
        if metric.index_standard is None and metric.averaging_period in _OWN_PERIOD
    }
    return [plain[quantity] for quantity in SHOWN if quantity in plain]


def ask(database: DuckDBPyConnection, network: Network) -> Answers:
    _unite(database, network)
    return Answers(
        listed=_listed(database, network),
        places=_places(database, network),
        latest=_latest(database),
        spells=_spells(database, network),
        means=_means(database, network),
        spread=_spread(database),
    )


def _unite(database: DuckDBPyConnection, network: Network) -> None:
    """Both tables as one: where a report has a row, it is the settled one."""
    metrics = shown_metrics(network.frequency)
    settled, recent = (
        _figures(table, metrics) if table else _NOTHING
        for table in (network.settled, network.recent)
    )
    database.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE measured AS
        WITH settled AS ({settled}), recent AS ({recent})
        FROM settled UNION ALL
        (FROM recent ANTI JOIN settled USING (datasource_id, metric, moment))
        """,
        _of(network),
    )


def _figures(table: Table, metrics: Sequence[Metric]) -> str:
    if table.is_wide:
        known = [m for m in metrics if {f"{m.column}_raw", f"{m.column}_value"} & {*table.columns}]
        return " UNION ALL ".join(_wide(table, metric) for metric in known) or _NOTHING
    names = ", ".join(f"'{metric.metric}'" for metric in metrics)
    return _select(table, "metric", "", f"metric IN ({names})")


def _wide(table: Table, metric: Metric) -> str:
    stem = f"{metric.column}_"
    told = [f"{stem}{name}" for name in ("raw", "value", "status") if table.has(f"{stem}{name}")]
    there = " OR ".join(f"{name} IS NOT NULL" for name in told)
    return _select(table, f"'{metric.metric}'", stem, f"({there})")


def _select(table: Table, metric: str, stem: str, condition: str) -> str:
    return f"""
        SELECT datasource_id, {metric} AS metric, CAST(time AS TIMESTAMP) AS moment,
            {table.column(f"{stem}raw", "DOUBLE")} AS raw,
            {table.column(f"{stem}value", "DOUBLE")} AS value,
            {table.column(f"{stem}qc_assessment", "VARCHAR")} IS NOT DISTINCT FROM 'invalid'
                AS invalid
        FROM {table.sql}
        WHERE org = $org AND output_frequency = $frequency AND {condition}
    """  # noqa: S608


def _each(network: Network, columns: str, condition: str = "true") -> str:
    """The same columns of both tables, of this network only."""
    return " UNION ALL ".join(
        f"SELECT {columns} FROM {table.sql}"  # noqa: S608
        f" WHERE org = $org AND output_frequency = $frequency AND {condition}"
        f" AND ({table.measured_something})"
        for table in network.measurements
    )


def _of(network: Network) -> dict[str, str]:
    return {"org": network.org, "frequency": network.frequency}


def _listed(database: DuckDBPyConnection, network: Network) -> list[Listed]:
    table = network.datasources
    if table is None:
        return []
    name, group = (_annotation(table, each) for each in ("name", "group"))
    source = "current_source_id IS NOT NULL" if table.has("current_source_id") else "true"
    org = "org = $org" if table.has("org") else "$org IS NOT NULL"
    rows = database.execute(
        f"SELECT datasource_id, {name}, {group}, {source} FROM {table.sql} WHERE {org} ORDER BY 1",  # noqa: S608
        {"org": network.org},
    ).fetchall()
    return [Listed(*row) for row in rows]


def _annotation(table: Table, name: str) -> str:
    """What the organisation says of a station, also where the tap was told to flatten it."""
    if table.has("org_annotations"):
        return f"json_extract_string(org_annotations, '$.{name}')"
    return table.column(f"org_annotations__{name}", "VARCHAR")


def _places(database: DuckDBPyConnection, network: Network) -> dict[str, tuple[float, float]]:
    if not all(table.has("latitude", "longitude") for table in network.measurements):
        return {}
    each = _each(network, "datasource_id, time, latitude, longitude", "latitude IS NOT NULL")
    rows = database.execute(
        f"""
        SELECT datasource_id, arg_max(latitude, time), arg_max(longitude, time)
        FROM ({each}) GROUP BY 1
        """,  # noqa: S608
        _of(network),
    ).fetchall()
    return {id_: (latitude, longitude) for id_, latitude, longitude in rows}


def _latest(database: DuckDBPyConnection) -> list[Latest]:
    rows = database.execute(
        """
        SELECT datasource_id, metric, max(moment),
            arg_max(struct_pack(value, raw, invalid), moment)
        FROM measured WHERE coalesce(value, raw) IS NOT NULL
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return [Latest(id_, metric, at, **figures) for id_, metric, at, figures in rows]


def _spells(database: DuckDBPyConnection, network: Network) -> list[Spell]:
    step = network.period * 1000
    each = _each(network, f"datasource_id, epoch_ms(CAST(time AS TIMESTAMP)) // {step} AS period")
    rows = database.execute(
        f"""
        WITH there AS (SELECT DISTINCT * FROM ({each})),
        numbered AS (
            SELECT *, period - row_number() OVER (PARTITION BY datasource_id ORDER BY period)
                AS island FROM there
        )
        SELECT datasource_id, min(period), max(period) + 1
        FROM numbered GROUP BY datasource_id, island ORDER BY 1, 2
        """,  # noqa: S608
        _of(network),
    ).fetchall()
    return [Spell(*row) for row in rows]


def _means(database: DuckDBPyConnection, network: Network) -> list[Mean]:
    database.execute(
        """
        CREATE OR REPLACE TEMP TABLE means AS
        SELECT datasource_id, epoch_ms(moment) // $step AS period,
            favg(value) FILTER (NOT invalid) AS value,
            favg(raw) FILTER (NOT invalid) AS raw,
            favg(coalesce(value, raw)) FILTER (invalid) AS invalid
        FROM measured WHERE metric = $metric GROUP BY ALL
        """,
        {"step": network.period * 1000, "metric": shown_metrics(network.frequency)[0].metric},
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
