"""The table of stations: their names, latest values and completeness. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.page import formatting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_clarity.measurements.dictionary import Metric
    from tap_clarity.page.completeness import Coverage
    from tap_clarity.page.queries import Latest, NetworkData

UNCALIBRATED = "as sensed"
INVALID = "invalid"


@dataclass(frozen=True)
class LatestValue:
    """A value in the table, with notes on it."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class StationRow:
    """A row of the table; without values and times if the file has no measurement of it."""

    id: str
    label: str
    group: str
    location: str
    is_stopped: bool
    values: tuple[LatestValue | None, ...] = ()
    time: str = ""
    age: str = ""
    completeness: str = ""


def station_labels(data: NetworkData) -> dict[str, str]:
    """A unique label for each station, sorted as they are shown."""
    names = {id_: id_ for id_ in data.periods}
    names |= {station.id: station.name or station.id for station in data.stations}
    times = Counter(names.values())
    labels = {
        id_: name if times[name] == 1 or name == id_ else f"{name} ({id_})"
        for id_, name in names.items()
    }
    return dict(sorted(labels.items(), key=lambda item: (item[1].casefold(), item[0])))


def measured_metrics(metrics: Sequence[Metric], latest: Sequence[Latest]) -> list[Metric]:
    """PM2.5, and the other metrics that any station measures."""
    measured = {each.metric for each in latest}
    return [each for each in metrics if each is metrics[0] or each.metric in measured]


def station_rows(
    data: NetworkData,
    labels: Mapping[str, str],
    metrics: Sequence[Metric],
    coverage: Coverage,
    now: datetime,
) -> list[StationRow]:
    latest: dict[str, dict[str, Latest]] = defaultdict(dict)
    for each in data.latest:
        latest[each.id][each.metric] = each
    return [
        _add_measurements(
            row,
            [latest[row.id].get(metric.metric) for metric in metrics],
            metrics[0].output_frequency,
            coverage,
            now,
        )
        for row in _rows_without_measurements(data, labels)
    ]


def _rows_without_measurements(data: NetworkData, labels: Mapping[str, str]) -> list[StationRow]:
    stations = {station.id: station for station in data.stations}
    return [
        StationRow(
            id_,
            label,
            (station and station.group) or "",
            formatting.coordinates(data.locations.get(id_)),
            station is not None and not station.has_source,
        )
        for id_, label in labels.items()
        for station in [stations.get(id_)]
    ]


def _add_measurements(
    row: StationRow,
    latest: Sequence[Latest | None],
    frequency: str,
    coverage: Coverage,
    now: datetime,
) -> StationRow:
    if row.id not in coverage.periods:
        return row
    newest = max((each.time for each in latest if each), default=None)
    length = {"hour": timedelta(hours=1), "day": timedelta(days=1)}.get(frequency, timedelta())
    return replace(
        row,
        values=tuple(each and _latest_value(each, newest) for each in latest),
        time=formatting.minute(newest) if newest else "",
        age=formatting.age(now - newest - length) if newest else "",
        completeness=formatting.percentage(*coverage.count(row.id)),
    )


def _latest_value(latest: Latest, newest: datetime | None) -> LatestValue:
    number = latest.raw if latest.value is None else latest.value
    notes = (
        UNCALIBRATED if latest.value is None else "",
        INVALID if latest.is_invalid else "",
        formatting.minute(latest.time) if latest.time != newest else "",
    )
    return LatestValue(formatting.decimal(number or 0.0), tuple(filter(None, notes)))
