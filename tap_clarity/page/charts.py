"""Builds plotly's figures. Their colours are variables of page.css, which page.js resolves."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import plotly.graph_objects as go

from tap_clarity.page import formatting
from tap_clarity.page.completeness import Count, count_by_day, days_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_clarity.page.completeness import Coverage, Interval
    from tap_clarity.page.queries import Mean, Spread

Json = dict[str, Any]
LEVELS: Final = ("complete", "three quarters or more", "half or more", "less than half", "nothing")
ANY_STATION: Final = "Any station"
_MIN_STATIONS_FOR_SPREAD: Final = 3
_UNCALIBRATED: Final = "not calibrated yet: as sensed"
_INVALID: Final = "judged invalid"
_TICK_FORMATS: Final = [
    {"dtickrange": [None, 86_399_999], "value": "%H:%M\n%-d %b"},
    {"dtickrange": [86_400_000, None], "value": "%-d %b\n%Y"},
]
_MAX_TICKS: Final = 6
_MAX_LABELED_DAYS, _MAX_LABELED_ROWS = 45, 60
_ROW_HEIGHT, _SMALL_ROW_HEIGHT = 24, 13


def series_chart(
    means: Iterable[Mean],
    spread: Sequence[Spread],
    extent: Interval,
    period_seconds: int,
    labels: Mapping[str, str],
) -> Json:
    """The PM2.5 series: the figure, and the data of each station, of which one is shown."""
    start, end = (_milliseconds(each, period_seconds) for each in extent)
    figure = go.Figure(layout=_layout(height=380))
    if len(labels) >= _MIN_STATIONS_FOR_SPREAD:
        _add_spread(figure, spread, extent, period_seconds)
    _add_line(figure, [], "", "station", "solid")
    _add_markers(figure, "", "circle", "station", 3)
    _add_markers(figure, _UNCALIBRATED, "circle-open", "mark", 6)
    _add_markers(figure, _INVALID, "x", "mark", 6)
    figure.update_traces(x0=start, dx=period_seconds * 1000)
    figure.update_xaxes(type="date", tickformatstops=_TICK_FORMATS, range=[start, end])
    figure.update_yaxes(title="µg/m³", rangemode="tozero", fixedrange=True)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
    figure.update_layout(hovermode="x unified", legend=legend)
    return {
        "figure": figure.to_dict(),
        "stations": _all_stations(means, extent, period_seconds, labels),
    }


def _add_spread(
    figure: go.Figure, spread: Sequence[Spread], extent: Interval, period_seconds: int
) -> None:
    x, y = _spread_outline(spread, period_seconds)
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"width": 0}, hoverinfo="skip",
        fill="toself", fillcolor="var(--band)", name="middle 80 % of stations",
    )  # fmt: skip
    median = _values_by_period({each.period: each.median for each in spread}, extent)
    _add_line(figure, median, "median of stations", "median", "dot")


def _spread_outline(spread: Sequence[Spread], period_seconds: int) -> tuple[list[Any], list[Any]]:
    """Along the upper edge, back along the lower one: plotly fills gaps between two lines, too."""
    x: list[int | None] = []
    y: list[float | None] = []
    for _, run in groupby(enumerate(spread), lambda item: item[1].period - item[0]):
        forth = [each for _, each in run]
        back = forth[::-1]
        x += [*(_milliseconds(each.period, period_seconds) for each in (*forth, *back)), None]
        y += [*(_rounded(e.high) for e in forth), *(_rounded(e.low) for e in back), None]
    return x, y


def _add_line(figure: go.Figure, y: list[float | None], name: str, color: str, dash: str) -> None:
    line = {"color": f"var(--{color})", "width": 1.5, "dash": dash}
    figure.add_scatter(y=y, mode="lines", name=name, line=line, hovertemplate="%{y:.1f}")


def _add_markers(figure: go.Figure, name: str, symbol: str, color: str, size: int) -> None:
    marker = {"symbol": symbol, "size": size, "color": f"var(--{color})"}
    figure.add_scatter(
        y=[], mode="markers", name=name, marker=marker, showlegend=bool(name), cliponaxis=False,
        hovertemplate="%{y:.1f}" if name else None, hoverinfo=None if name else "skip",
    )  # fmt: skip


def _all_stations(
    means: Iterable[Mean], extent: Interval, period_seconds: int, labels: Mapping[str, str]
) -> list[Json]:
    """The data that page.js puts into the last four traces."""
    by_station: dict[str, list[Mean]] = defaultdict(list)
    for mean in means:
        by_station[mean.id].append(mean)
    return [
        {"label": label, **_station(by_station[id_], extent, period_seconds)}
        for id_, label in labels.items()
    ]


def _station(means: Sequence[Mean], extent: Interval, period_seconds: int) -> Json:
    """Each mean is calibrated, raw or invalid."""
    value = {each.period: each.value for each in means if each.value is not None}
    raw = {each.period: each.raw for each in means if each.value is None}
    invalid = {e.period: e.invalid for e in means if e.value is None and e.raw is None}
    # A line does not show a value between two gaps.
    isolated = {at: value[at] for at in value if at - 1 not in value and at + 1 not in value}
    return {
        "value": _values_by_period(value, extent),
        "isolated": _points(isolated, period_seconds),
        "raw": _points(raw, period_seconds),
        "invalid": _points(invalid, period_seconds),
    }


def calendar_chart(coverage: Coverage, labels: Mapping[str, str], period_seconds: int) -> Json:
    """The calendar of completeness: stations by days, the whole network on top."""
    per_day = 86_400 // period_seconds
    days = days_of(coverage.extent, per_day)
    rows = [(label, coverage.periods[id_]) for id_, label in labels.items()]
    if len(rows) > 1:
        rows = [(ANY_STATION, coverage.union), *rows]
    cells = [count_by_day(periods, coverage.extent.end, days, per_day) for _, periods in rows]
    row_height = _ROW_HEIGHT if len(rows) < _MAX_LABELED_ROWS else _SMALL_ROW_HEIGHT
    figure = go.Figure(layout=_layout(height=70 + len(rows) * row_height))
    _add_cells(figure, cells, days, "day" if per_day == 1 else "hour")
    dates = [_date(day) for day in days]
    figure.update_xaxes(
        type="date", side="top", showgrid=False, fixedrange=True,
        tickvals=dates[:: -(-len(dates) // _MAX_TICKS)], tickformat="%-d %b", tickangle=0,
    )  # fmt: skip
    figure.update_yaxes(
        autorange="reversed", showgrid=False, fixedrange=True, tickvals=list(range(len(rows)))
    )
    return {"figure": figure.to_dict(), "rows": [label for label, _ in rows], "cells": cells}


def _add_cells(
    figure: go.Figure, cells: Sequence[Sequence[Count]], days: range, period_name: str
) -> None:
    has_labels = has_cell_labels(len(cells), len(days))
    figure.add_heatmap(
        x=[_date(day) for day in days],
        z=[[level(cell) for cell in row] for row in cells],
        zmin=-0.5,
        zmax=len(LEVELS) - 0.5,
        colorscale=_color_scale(),
        showscale=False,
        xgap=1 if len(days) <= 2 * _MAX_LABELED_DAYS else 0,
        ygap=1,
        text=[[_missing(cell) for cell in row] for row in cells] if has_labels else None,
        texttemplate="%{text}" if has_labels else None,
        # page.js escapes the station's name.
        hovertemplate="%{customdata[0]}<br>%{x|%a %-d %b %Y}<br>%{customdata[1]} of "
        f"%{{customdata[2]}} {period_name}s<extra></extra>",
    )


def has_cell_labels(rows: int, days: int) -> bool:
    """Whether there is room for numbers in the calendar's cells."""
    return rows < _MAX_LABELED_ROWS and days <= _MAX_LABELED_DAYS


def level(cell: Count) -> int | None:
    """The index in LEVELS; None where nothing is expected."""
    if not cell.expected:
        return None
    share = cell.present / cell.expected
    return next(
        (index for index, minimum in enumerate((1, 0.75, 0.5)) if share >= minimum),
        3 if cell.present else 4,
    )


def _date(day: int) -> str:
    return f"{formatting.period_start(day, 86_400):%Y-%m-%d}"


def _missing(cell: Count) -> str:
    return str(cell.expected - cell.present) if cell.present < cell.expected else ""


def _color_scale() -> list[list[Any]]:
    """A scale without transitions."""
    return [
        [round(edge / len(LEVELS), 6), f"var(--level-{index})"]
        for index in range(len(LEVELS))
        for edge in (index, index + 1)
    ]


def _values_by_period(values: Mapping[int, float | None], extent: Interval) -> list[float | None]:
    """A value for each period; a gap is null, which interrupts the line."""
    return [_rounded(values.get(period)) for period in range(extent.start, extent.end)]


def _points(values: Mapping[int, float | None], period_seconds: int) -> list[list[Any]]:
    points = {
        _milliseconds(period, period_seconds): _rounded(value)
        for period, value in values.items()
        if value is not None
    }
    return [list(points.keys()), list(points.values())]


def _rounded(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else round(number, 2)


def _milliseconds(period: int, period_seconds: int) -> int:
    return period * period_seconds * 1000


def _layout(height: int) -> Json:
    axis = {"gridcolor": "var(--grid)", "linecolor": "var(--grid)", "zeroline": False}
    return {
        "height": height,
        "margin": {"l": 48, "r": 24, "t": 30, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--text)"},
        "hoverlabel": {"bgcolor": "var(--surface)", "font": {"color": "var(--text)"}},
        "template": {},
        "xaxis": axis,
        "yaxis": axis,
    }
