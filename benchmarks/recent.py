"""A large reply of recent measurements, as JSON and as CSV: two days of many datasources."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.data import METRICS, ORG, Report, Size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = Size("recent", 350, 48, newest_first=True)
SMALL = Size("recent", 43, 48, newest_first=True)


@dataclass(frozen=True, slots=True)
class Recent:
    """The same reply twice."""

    csv: Path
    json: Path
    records: int
    json_mb: float
    """What the JSON weighs, unzipped."""

    @classmethod
    def make(cls, report: Report) -> Recent:
        """Write a table as JSON, unless that is there."""
        path = report.path.with_name(report.path.name.replace(".csv.gz", ".json.gz"))
        if not path.exists():
            with gzip.open(path, "wt", compresslevel=6, encoding="utf-8") as file:
                file.writelines(_json(report.path))
        with gzip.open(path) as file:
            size = sum(map(len, iter(lambda: file.read(1 << 20), b"")))
        return cls(report.path, path, report.records, size / 1e6)


def _json(path: Path) -> Iterator[str]:
    """Write as Clarity does: all metrics of a datasource and time together."""
    places: dict[str, tuple[float, float]] = {}
    yield f'{{"request":{json.dumps({"org": ORG, "outputFrequency": "hour"})},"data":['
    comma = ""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            id_ = row["datasourceId"]
            places[id_] = float(row["locationLatitude"]), float(row["locationLongitude"])
            for reading in _readings(row):
                yield comma + json.dumps(reading, separators=(",", ":"))
                comma = ","
    locations = [{"datasourceId": id_, "lat": at[0], "lon": at[1]} for id_, at in places.items()]
    yield f'],"locations":{json.dumps(locations)}}}'


def _readings(row: dict[str, str]) -> Iterator[dict[str, object]]:
    shared = {"datasourceId": row["datasourceId"], "time": row["startOfPeriod"]}
    for metric in METRICS:
        raw, value, status, assessment = (
            row[f"{metric.name}.{each}"] for each in ("raw", "value", "status", "qcAssessment")
        )
        if status:
            yield {
                **shared,
                "metric": metric.name,
                "raw": float(raw),
                "value": float(value) if value else None,
                "status": status,
                "qcAssessment": assessment,
            }
