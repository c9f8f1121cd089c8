"""The expected rows of the dbt models, computed without SQL."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import format_timestamp
from tap_clarity.measurements.schema import wide_columns
from tests.support.expected_tables import dictionary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.gap_fixture import LoadedNetwork
    from tests.support.tap_process import Key, Record

HOUR = timedelta(hours=1)
COMMON = [
    f"{quantity}1HourMean"
    for quantity in (
        *("pm1ConcMass", "pm2_5ConcMass", "pm10ConcMass", "no2Conc", "o3Conc", "atmPressure"),
        *("temperatureAmbient", "temperatureInternal", "relHumidAmbient", "relHumidInternal"),
        *("windSpeed", "windDirection"),
    )
]
"""The metrics that have a column in the wide model."""
_NAMED = ("org", "datasource_id", "name", "group_name")
_SOURCES = ("source_type", "current_source_id", "current_subscription_id")
_LOCATION = ("latitude", "longitude")


class Expected:
    """The models built from a network."""

    def __init__(self, network: LoadedNetwork) -> None:
        self.network = network
        self.by_id = {row["datasource_id"]: row for row in network.datasources}
        self.metrics = {row["metric"]: row for row in dictionary()}

    @cached_property
    def measurements(self) -> list[Record]:
        return [
            self._named(self.preferred(key)) for key in self.network.recent | self.network.report
        ]

    def preferred(self, key: Key) -> Record:
        recent, report = self.network.recent.get(key), self.network.report.get(key)
        if report is None or (_is_processing(report) and recent and recent["value"] is not None):
            assert recent
            return recent | {"stream": "recent_measurements"}
        return report | {"stream": "datasource_measurements"}

    def _named(self, row: Record) -> Record:
        annotations = self.by_id[row["datasource_id"]]["org_annotations"]
        metric = self.metrics.get(row["metric"], {})
        named = {"name": annotations["name"], "group_name": annotations["group"]}
        columns = {name: value for name, value in row.items() if name != "qc_flags"}
        return columns | named | {name: metric.get(name) for name in ("quantity", "unit")}

    @cached_property
    def latest(self) -> list[Record]:
        newest: dict[Key, Record] = {}
        for row in sorted(self.measurements, key=lambda row: str(row["time"])):
            newest[row["datasource_id"], row["metric"]] = row
        return [*newest.values()]

    @cached_property
    def hourly_wide(self) -> list[Record]:
        prefixes = {metric: wide_columns("hour")[metric] for metric in COMMON}
        empty = {f"{prefix}_value": None for prefix in prefixes.values()}
        rows: dict[Key, Record] = {}
        for row in self.measurements:
            if prefix := prefixes.get(row["metric"]):
                shared = {name: row[name] for name in (*_NAMED, "time", *_LOCATION)}
                wide = rows.setdefault((row["datasource_id"], row["time"]), shared | empty)
                wide[f"{prefix}_value"] = row["value"]
        return [*rows.values()]

    @cached_property
    def datasources(self) -> list[Record]:
        rows = defaultdict(list)
        for row in sorted(self.measurements, key=lambda row: str(row["time"])):
            rows[row["datasource_id"]].append(row)
        return [self._datasource(row, rows[id_]) for id_, row in self.by_id.items()]

    def _datasource(self, datasource: Record, rows: Sequence[Record]) -> Record:
        first, last = (rows[0], rows[-1]) if rows else ({}, {})
        annotations = datasource["org_annotations"]
        copied = ("org", "datasource_id", *_SOURCES)
        return (
            {name: datasource[name] for name in copied}
            | {"name": annotations["name"], "group_name": annotations["group"]}
            | {name: last.get(name) for name in _LOCATION}
            | {"first_time": first.get("time"), "last_time": last.get("time")}
        )

    @cached_property
    def _observed(self) -> dict[str, set[datetime]]:
        observed = defaultdict(set)
        for row in self.measurements:
            observed[row["datasource_id"]].add(datetime.fromisoformat(row["time"]))
        return observed

    @cached_property
    def _measuring(self) -> list[Record]:
        return [row for row in self.datasources if row["datasource_id"] in self._observed]

    @cached_property
    def _newest(self) -> datetime:
        return max(map(max, self._observed.values()))

    def _hours(self, id_: str) -> list[datetime]:
        """List the expected hours."""
        first = min(self._observed[id_])
        return [first + n * HOUR for n in range((self._newest - first) // HOUR + 1)]

    def _expected_at(self, time: datetime) -> int:
        return sum(min(hours) <= time for hours in self._observed.values())

    def _is_missing_for_all(self, time: datetime) -> bool:
        is_observed = any(time in hours for hours in self._observed.values())
        return self._expected_at(time) > 1 and not is_observed

    @cached_property
    def expected_hours(self) -> list[Record]:
        return [
            {
                "org": row["org"],
                "datasource_id": id_,
                "time": format_timestamp(time),
                "is_present": time in self._observed[id_],
                "datasources_expected": self._expected_at(time),
                "is_missing_for_all": self._is_missing_for_all(time),
            }
            for row in self._measuring
            for id_ in [row["datasource_id"]]
            for time in self._hours(id_)
        ]

    @cached_property
    def completeness(self) -> list[Record]:
        return [
            {name: row[name] for name in (*_NAMED, *_LOCATION)} | self._day(row, day, [*hours])
            for row in self._measuring
            for day, hours in groupby(self._hours(row["datasource_id"]), datetime.date)
        ]

    def _day(self, row: Record, day: object, hours: Sequence[datetime]) -> Record:
        observed = self._observed[row["datasource_id"]].intersection(hours)
        return {
            "day": str(day),
            "hours_expected": len(hours),
            "hours_observed": len(observed),
            "share": len(observed) / len(hours),
            "hours_missing_for_all": sum(map(self._is_missing_for_all, hours)),
        }

    @cached_property
    def gaps(self) -> list[Record]:
        return [
            {name: row[name] for name in (*_NAMED, *_LOCATION)} | self._gap(hours)
            for row in self._measuring
            for hours in self._missing(row["datasource_id"])
        ]

    def _missing(self, id_: str) -> Iterator[list[datetime]]:
        for is_present, hours in groupby(self._hours(id_), self._observed[id_].__contains__):
            if not is_present:
                yield [*hours]

    def _gap(self, hours: Sequence[datetime]) -> Record:
        missing_for_all = sum(map(self._is_missing_for_all, hours))
        causes = {0: "sensor", len(hours): "pipeline"}
        is_alone = max(map(self._expected_at, hours)) == 1
        return {
            "gap_start": format_timestamp(hours[0]),
            "gap_end": format_timestamp(hours[-1] + HOUR),
            "hours": len(hours),
            "hours_missing_for_all": missing_for_all,
            "likely_cause": "unknown" if is_alone else causes.get(missing_for_all, "both"),
            "is_open": hours[-1] == self._newest,
        }

    def models(self) -> dict[str, list[Record]]:
        """The rows of each model."""
        return {
            "clarity__measurements": self.measurements,
            "clarity__latest": self.latest,
            "clarity__hourly_wide": self.hourly_wide,
            "clarity__datasources": self.datasources,
            "clarity__expected_hours": self.expected_hours,
            "clarity__completeness": self.completeness,
            "clarity__gaps": self.gaps,
        }


def _is_processing(row: Record) -> bool:
    return bool(row["status"] == "calibration-processing")
