"""The rows that the models have to hold, worked out without SQL."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from tap_clarity.core.timestamps import format_instant
from tap_clarity.measurements.schema import wide_columns
from tests.support.expected_tables import dictionary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.gap_fixture import Town
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
"""The metrics that have a column of their own."""
_STATION = ("org", "datasource_id", "name", "group_name")
_KINDS = ("source_type", "current_source_id", "current_subscription_id")
_PLACE = ("latitude", "longitude")


class Expected:
    """The models of a town."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.listed = {row["datasource_id"]: row for row in town.datasources}
        self.metrics = {row["metric"]: row for row in dictionary()}

    @cached_property
    def measurements(self) -> list[Record]:
        return [self._named(self.chosen(key)) for key in self.town.recent | self.town.report]

    def chosen(self, key: Key) -> Record:
        recent, report = self.town.recent.get(key), self.town.report.get(key)
        if report is None or (_waits(report) and recent and recent["value"] is not None):
            assert recent
            return recent | {"stream": "recent_measurements"}
        return report | {"stream": "datasource_measurements"}

    def _named(self, row: Record) -> Record:
        said = self.listed[row["datasource_id"]]["org_annotations"]
        metric = self.metrics.get(row["metric"], {})
        named = {"name": said["name"], "group_name": said["group"]}
        told = {name: value for name, value in row.items() if name != "qc_flags"}
        return told | named | {name: metric.get(name) for name in ("quantity", "unit")}

    @cached_property
    def latest(self) -> list[Record]:
        newest: dict[Key, Record] = {}
        for row in sorted(self.measurements, key=lambda row: str(row["time"])):
            newest[row["datasource_id"], row["metric"]] = row
        return [*newest.values()]

    @cached_property
    def hourly_wide(self) -> list[Record]:
        stems = {metric: wide_columns("hour")[metric] for metric in COMMON}
        empty = {f"{stem}_value": None for stem in stems.values()}
        rows: dict[Key, Record] = {}
        for row in self.measurements:
            if stem := stems.get(row["metric"]):
                shared = {name: row[name] for name in (*_STATION, "time", *_PLACE)}
                wide = rows.setdefault((row["datasource_id"], row["time"]), shared | empty)
                wide[f"{stem}_value"] = row["value"]
        return [*rows.values()]

    @cached_property
    def datasources(self) -> list[Record]:
        told = defaultdict(list)
        for row in sorted(self.measurements, key=lambda row: str(row["time"])):
            told[row["datasource_id"]].append(row)
        return [self._datasource(row, told[id_]) for id_, row in self.listed.items()]

    def _datasource(self, listed: Record, told: Sequence[Record]) -> Record:
        first, last = (told[0], told[-1]) if told else ({}, {})
        said = listed["org_annotations"]
        copied = ("org", "datasource_id", *_KINDS)
        return (
            {name: listed[name] for name in copied}
            | {"name": said["name"], "group_name": said["group"]}
            | {name: last.get(name) for name in _PLACE}
            | {"first_time": first.get("time"), "last_time": last.get("time")}
        )

    @cached_property
    def _there(self) -> dict[str, set[datetime]]:
        there = defaultdict(set)
        for row in self.measurements:
            there[row["datasource_id"]].add(datetime.fromisoformat(row["time"]))
        return there

    @cached_property
    def _measuring(self) -> list[Record]:
        return [row for row in self.datasources if row["datasource_id"] in self._there]

    @cached_property
    def _newest(self) -> datetime:
        return max(map(max, self._there.values()))

    def _hours(self, id_: str) -> list[datetime]:
        """List the hours that are expected."""
        first = min(self._there[id_])
        return [first + n * HOUR for n in range((self._newest - first) // HOUR + 1)]

    def _expected_at(self, time: datetime) -> int:
        return sum(min(there) <= time for there in self._there.values())

    def _all_lack(self, time: datetime) -> bool:
        somebody = any(time in there for there in self._there.values())
        return self._expected_at(time) > 1 and not somebody

    @cached_property
    def expected_hours(self) -> list[Record]:
        return [
            {
                "org": row["org"],
                "datasource_id": id_,
                "time": format_instant(time),
                "is_there": time in self._there[id_],
                "datasources_expected": self._expected_at(time),
                "all_lack": self._all_lack(time),
            }
            for row in self._measuring
            for id_ in [row["datasource_id"]]
            for time in self._hours(id_)
        ]

    @cached_property
    def completeness(self) -> list[Record]:
        return [
            {name: row[name] for name in (*_STATION, *_PLACE)} | self._day(row, day, [*hours])
            for row in self._measuring
            for day, hours in groupby(self._hours(row["datasource_id"]), datetime.date)
        ]

    def _day(self, row: Record, day: object, hours: Sequence[datetime]) -> Record:
        there = self._there[row["datasource_id"]].intersection(hours)
        return {
            "day": str(day),
            "hours_expected": len(hours),
            "hours_there": len(there),
            "share": len(there) / len(hours),
            "hours_all_lack": sum(map(self._all_lack, hours)),
        }

    @cached_property
    def gaps(self) -> list[Record]:
        return [
            {name: row[name] for name in (*_STATION, *_PLACE)} | self._gap(hours)
            for row in self._measuring
            for hours in self._missing(row["datasource_id"])
        ]

    def _missing(self, id_: str) -> Iterator[list[datetime]]:
        for is_there, hours in groupby(self._hours(id_), self._there[id_].__contains__):
            if not is_there:
                yield [*hours]

    def _gap(self, hours: Sequence[datetime]) -> Record:
        all_lack = sum(map(self._all_lack, hours))
        suspects = {0: "sensor", len(hours): "pipeline"}
        is_alone = max(map(self._expected_at, hours)) == 1
        return {
            "gap_start": format_instant(hours[0]),
            "gap_end": format_instant(hours[-1] + HOUR),
            "hours": len(hours),
            "hours_all_lack": all_lack,
            "suspect": "unknown" if is_alone else suspects.get(all_lack, "both"),
            "is_open": hours[-1] == self._newest,
        }

    def models(self) -> dict[str, list[Record]]:
        """Give the rows of all tables by their names."""
        return {
            "clarity_measurements": self.measurements,
            "clarity_latest": self.latest,
            "clarity_hourly_wide": self.hourly_wide,
            "clarity_datasources": self.datasources,
            "clarity_expected_hours": self.expected_hours,
            "clarity_completeness": self.completeness,
            "clarity_gaps": self.gaps,
        }


def _waits(row: Record) -> bool:
    return bool(row["status"] == "calibration-processing")
