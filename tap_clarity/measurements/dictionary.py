"""The metrics of Clarity's API v2 that the tap knows, and what they measure.

The facts are in `metrics.csv` beside this module: one row per metric, empty where nothing is known.
The names are those of Clarity's minute and default hourly files, of its daily metrics as far as
they have been seen, and of PM10's NowCast, which is delivered only when selected: none is made up
by analogy. Units are those of public clients and portals that carry the data, above all Chicago's
(data.cityofchicago.org, "Open Air Chicago"); the particle numbers of PM1 and PM10 take that of
PM2.5.

A metric that is not listed is no error. Clarity adds metrics, and most daily names are unconfirmed:
such a metric passes through under its canonical name, and no column is made up for it.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOOLEANS = {"true": True, "false": False, "": None}


class Metric(NamedTuple):
    """One metric; what is unknown, or does not apply, is None.

    Attributes:
        metric: The canonical name, as the API writes it: base, aggregation, index standard.
        column: The same words in snake case, the stem of the metric's columns in the wide layout.
        quantity: What is measured, or what the index is computed from. A bare `PM2.5` is the mass
            concentration; counts are `PM2.5 particle number`.
        unit: In ASCII: `ug/m3`, `#/cm3`, `ng/m3`, `ppb`, `degC`, `%`, `m/s`, `atm`, `deg` (a wind
            from the north is 0, clockwise), `index` for an air-quality index. That of O3 is
            not documented.
        output_frequency: `minute`, `hour` or `day`: the only one at which it is delivered.
        averaging_period: `individual` (a sample, not averaged), `1-hour mean`,
            `24-hour rolling mean`, `NowCast` or `24-hour mean`. By Chicago's portal, a 1-hour mean
            covers one UTC hour; a rolling mean (24 hours) and a NowCast (12 hours, by the rules of
            the US EPA) end at the end of their hour. By a daily file, days are UTC days.
        index_standard: `US EPA AQI` or `WA DWER AQI` (Western Australia); None if not an index.
        english_label: Clarity's English name, from an hourly report of 2024; none was seen for
            black carbon, nor at the other frequencies. Clarity may reword it: `column_labels`
            compares its letters and digits alone.
        cloud_calibrated: Whether `value` comes from a calibration in the cloud, and is null without
            one (PM mass, NO2, the indices of both), or equals `raw`, straight from the sensor.
        category: The accessory module that senses it: `wind module`, `ozone module` or
            `black carbon module`.
    """

    metric: str
    column: str
    quantity: str
    unit: str | None
    output_frequency: str
    averaging_period: str
    index_standard: str | None
    english_label: str | None
    cloud_calibrated: bool | None
    category: str | None


@cache
def load_dictionary() -> Mapping[str, Metric]:
    """Every known metric by its canonical name, in the order of the file; read once."""
    table = resources.files("tap_clarity.measurements") / "metrics.csv"
    with table.open(encoding="utf-8") as lines:
        metrics = [_metric(row) for row in csv.DictReader(lines, strict=True)]
    return MappingProxyType({metric.metric: metric for metric in metrics})


def metrics_at(output_frequency: str) -> tuple[Metric, ...]:
    """The known metrics delivered at a frequency, by name: the order in which the API has them."""
    return tuple(
        metric
        for metric in load_dictionary().values()
        if metric.output_frequency == output_frequency
    )


def _metric(row: Mapping[str, str]) -> Metric:
    return Metric(
        metric=row["metric"],
        column=row["column"],
        quantity=row["quantity"],
        unit=row["unit"] or None,
        output_frequency=row["output_frequency"],
        averaging_period=row["averaging_period"],
        index_standard=row["index_standard"] or None,
        english_label=row["english_label"] or None,
        cloud_calibrated=_BOOLEANS[row["cloud_calibrated"]],
        category=row["category"] or None,
    )
