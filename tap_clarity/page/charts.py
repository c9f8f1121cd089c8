"""What is drawn: plotly's figures. Colours are the page's own, by name; page.js looks them up."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import plotly.graph_objects as go

from tap_clarity.page import formatting as words
from tap_clarity.page.completeness import Cell, by_day, days_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_clarity.page.completeness import Coverage, Span
    from tap_clarity.page.queries import Mean, Spread

Json = dict[str, Any]
LEVELS: Final = ("complete", "three quarters or more", "half or more", "less than half", "nothing")
EVERYONE: Final = "Any station"
_FEWEST_FOR_SPREAD: Final = 3
_SENSED: Final = "not calibrated yet: as sensed"
_INVALID: Final = "judged invalid"
_TICKS: Final = [
    {"dtickrange": [None, 86_399_999], "value": "%H:%M\n%-d %b"},
    {"dtickrange": [86_400_000, None], "value": "%-d %b\n%Y"},
]
_MOST_TICKS: Final = 6
_MANY_DAYS, _MANY_ROWS = 45, 60
_TALL, _FLAT = 24, 13


def series(
    means: Iterable[Mean],
    spread: Sequence[Spread],
    whole: Span,
    seconds: int,
    labels: Mapping[str, str],
) -> Json:
    """The PM2.5 series: the figure, and the stations that can be put into it, one at a time."""
    start, end = (_millis(each, seconds) for each in whole)
    figure = go.Figure(layout=_layout(height=380))
    if len(labels) >= _FEWEST_FOR_SPREAD:
        _add_spread(figure, spread, whole, seconds)
    _add_line(figure, [], "", "station", "solid")
    _add_marks(figure, "", "circle", "station", 3)
    _add_marks(figure, _SENSED, "circle-open", "mark", 6)
    _add_marks(figure, _INVALID, "x", "mark", 6)
    figure.update_traces(x0=start, dx=seconds * 1000)
    figure.update_xaxes(type="date", tickformatstops=_TICKS, range=[start, end])
    figure.update_yaxes(title="µg/m³", rangemode="tozero", fixedrange=True)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
    figure.update_layout(hovermode="x unified", legend=legend)
    return {"figure": figure.to_dict(), "stations": _of_stations(means, whole, seconds, labels)}


def _add_spread(figure: go.Figure, spread: Sequence[Spread], whole: Span, seconds: int) -> None:
    x, y = _outline(spread, seconds)
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"width": 0}, hoverinfo="skip",
        fill="toself", fillcolor="var(--band)", name="middle 80 % of stations",
    )  # fmt: skip
    median = _dense({each.period: each.median for each in spread}, whole)
    _add_line(figure, median, "median of stations", "median", "dot")


def _outline(spread: Sequence[Spread], seconds: int) -> tuple[list[Any], list[Any]]:
    """Along the upper edge, back along the lower: between two lines plotly fills holes, too."""
    x: list[int | None] = []
    y: list[float | None] = []
    for _, run in groupby(enumerate(spread), lambda item: item[1].period - item[0]):
        there = [each for _, each in run]
        back = there[::-1]
        x += [*(_millis(each.period, seconds) for each in (*there, *back)), None]
        y += [*(_rounded(e.high) for e in there), *(_rounded(e.low) for e in back), None]
    return x, y


def _add_line(figure: go.Figure, y: list[float | None], name: str, colour: str, dash: str) -> None:
    line = {"color": f"var(--{colour})", "width": 1.5, "dash": dash}
    figure.add_scatter(y=y, mode="lines", name=name, line=line, hovertemplate="%{y:.1f}")


def _add_marks(figure: go.Figure, name: str, symbol: str, colour: str, size: int) -> None:
    marker = {"symbol": symbol, "size": size, "color": f"var(--{colour})"}
    figure.add_scatter(
        y=[], mode="markers", name=name, marker=marker, showlegend=bool(name), cliponaxis=False,
        hovertemplate="%{y:.1f}" if name else None, hoverinfo=None if name else "skip",
    )  # fmt: skip


def _of_stations(
    means: Iterable[Mean], whole: Span, seconds: int, labels: Mapping[str, str]
) -> list[Json]:
    """What page.js puts into the last four traces: each mean is calibrated, sensed or invalid."""
    of: dict[str, list[Mean]] = defaultdict(list)
    for mean in means:
        of[mean.id].append(mean)
    return [
        {"label": label, **_of_station(of[id_], whole, seconds)} for id_, label in labels.items()
    ]


def _of_station(means: Sequence[Mean], whole: Span, seconds: int) -> Json:
    value = {each.period: each.value for each in means if each.value is not None}
    raw = {each.period: each.raw for each in means if each.value is None}
    # A line does not show a value between two holes.
    lone = {at: value[at] for at in value if at - 1 not in value and at + 1 not in value}
    return {
        "value": _dense(value, whole),
        "lone": _sparse(lone, seconds),
        "raw": _sparse(raw, seconds),
        "invalid": _sparse(
            {e.period: e.invalid for e in means if e.value is None and e.raw is None}, seconds
        ),
    }


def calendar(coverage: Coverage, labels: Mapping[str, str], seconds: int) -> Json:
    """The calendar of completeness: stations by days, the whole network on top."""
    per_day = 86_400 // seconds
    days = days_of(coverage.whole, per_day)
    rows = [(label, coverage.spans[id_]) for id_, label in labels.items()]
    if len(rows) > 1:
        rows = [(EVERYONE, coverage.together), *rows]
    cells = [by_day(spans, coverage.whole.end, days, per_day) for _, spans in rows]
    height = 70 + len(rows) * (_TALL if len(rows) < _MANY_ROWS else _FLAT)
    figure = go.Figure(layout=_layout(height))
    _add_cells(figure, cells, days, "day" if per_day == 1 else "hour")
    dates = [_date(day) for day in days]
    figure.update_xaxes(
        type="date", side="top", showgrid=False, fixedrange=True,
        tickvals=dates[:: -(-len(dates) // _MOST_TICKS)], tickformat="%-d %b", tickangle=0,
    )  # fmt: skip
    figure.update_yaxes(
        autorange="reversed", showgrid=False, fixedrange=True, tickvals=list(range(len(rows)))
    )
    return {"figure": figure.to_dict(), "rows": [label for label, _ in rows], "cells": cells}


def _add_cells(figure: go.Figure, cells: Sequence[Sequence[Cell]], days: range, noun: str) -> None:
    numbers = shows_numbers(len(cells), len(days))
    figure.add_heatmap(
        x=[_date(day) for day in days],
        z=[[level(cell) for cell in row] for row in cells],
        zmin=-0.5,
        zmax=len(LEVELS) - 0.5,
        colorscale=_steps(),
        showscale=False,
        xgap=1 if len(days) <= 2 * _MANY_DAYS else 0,
        ygap=1,
        text=[[_missing(cell) for cell in row] for row in cells] if numbers else None,
        texttemplate="%{text}" if numbers else None,
        # page.js knows how to write the station's name.
        hovertemplate="%{customdata[0]}<br>%{x|%a %-d %b %Y}<br>%{customdata[1]} of "
        f"%{{customdata[2]}} {noun}s<extra></extra>",
    )


def shows_numbers(rows: int, days: int) -> bool:
    """Whether there is room for figures in the calendar's cells."""
    return rows < _MANY_ROWS and days <= _MANY_DAYS


def level(cell: Cell) -> int | None:
    """Which of LEVELS; None where nothing is expected."""
    if not cell.expected:
        return None
    part = cell.there / cell.expected
    return next(
        (number for number, least in enumerate((1, 0.75, 0.5)) if part >= least),
        3 if cell.there else 4,
    )


def _date(day: int) -> str:
    return f"{words.moment(day, 86_400):%Y-%m-%d}"


def _missing(cell: Cell) -> str:
    return str(cell.expected - cell.there) if cell.there < cell.expected else ""


def _steps() -> list[list[Any]]:
    """A scale without transitions."""
    return [
        [round(edge / len(LEVELS), 6), f"var(--level-{number})"]
        for number in range(len(LEVELS))
        for edge in (number, number + 1)
    ]


def _dense(of: Mapping[int, float | None], whole: Span) -> list[float | None]:
    """A value for each period; a hole is null, and no line is drawn over it."""
    return [_rounded(of.get(period)) for period in range(whole.start, whole.end)]


def _sparse(of: Mapping[int, float | None], seconds: int) -> list[list[Any]]:
    there = {_millis(at, seconds): _rounded(each) for at, each in of.items() if each is not None}
    return [list(there.keys()), list(there.values())]


def _rounded(number: float | None) -> float | None:
    return None if number is None or not math.isfinite(number) else round(number, 2)


def _millis(period: int, seconds: int) -> int:
    return period * seconds * 1000


def _layout(height: int) -> Json:
    axis = {"gridcolor": "var(--grid)", "linecolor": "var(--grid)", "zeroline": False}
    return {
        "height": height,
        "margin": {"l": 48, "r": 24, "t": 30, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--ink)"},
        "hoverlabel": {"bgcolor": "var(--paper)", "font": {"color": "var(--ink)"}},
        "template": {},
        "xaxis": axis,
        "yaxis": axis,
    }
