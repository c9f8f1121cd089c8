"""The tap that one writes first: csv.DictReader, a dict per record, all else the SDK's defaults.

python -m benchmarks.vanilla --config FILE
"""

from __future__ import annotations

import csv
import gzip
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

from tap_clarity.measurements.schema import measurement_keys, measurement_schema, wide_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from singer_sdk.helpers.types import Context

Row = dict[str, str]
Record = dict[str, Any]
TIMEOUT_SECONDS = 60


class DatasourceMeasurements(Stream):
    """A report of hourly measurements, in the layout that the settings say."""

    name = "datasource_measurements"

    @property
    def _layout(self) -> str:
        return str(self.config["measurement_layout"])

    def __init__(self, tap: Tap) -> None:
        layout = str(tap.config["measurement_layout"])
        super().__init__(tap, schema=measurement_schema("datasource_id", layout, "hour"))
        self.primary_keys = measurement_keys("datasource_id", layout)

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        to_records = self._long if self._layout == "long" else self._wide
        with tempfile.TemporaryFile() as file:
            self._download(file)
            file.seek(0)
            with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
                reader = csv.DictReader(lines)
                metrics = [
                    name.removesuffix(".raw")
                    for name in reader.fieldnames or ()
                    if name.endswith(".raw")
                ]
                for row in reader:
                    yield from to_records(row, metrics)

    def _download(self, file: BinaryIO) -> None:
        with requests.get(self._link(), stream=True, timeout=TIMEOUT_SECONDS) as reply:
            reply.raise_for_status()
            shutil.copyfileobj(reply.raw, file)  # as it comes, zipped

    def _link(self) -> str:
        url = f"{self.config['api_url']}/v2/report-requests"
        report = {"org": self.config["org"], "report": "datasource-measurements"}
        record = requests.post(url, json=report, timeout=TIMEOUT_SECONDS).json()
        while record["reportStatus"] != "succeeded":
            record = requests.get(f"{url}/{record['reportId']}", timeout=TIMEOUT_SECONDS).json()
            if record["reportStatus"] == "in-progress":
                time.sleep(1)
        return str(record["urls"][0])

    def _shared(self, row: Row) -> Record:
        return {
            "org": self.config["org"],
            "datasource_id": row["datasourceId"],
            "source_id": row["sourceId"],
            "source_type": row["sourceType"],
            "output_frequency": row["outputFrequency"],
            "time": row["startOfPeriod"],
            "period_end": row["endOfPeriod"],
            "latitude": _number(row["locationLatitude"]),
            "longitude": _number(row["locationLongitude"]),
        }

    def _long(self, row: Row, metrics: list[str]) -> Iterator[Record]:
        shared = self._shared(row)
        for metric in metrics:
            reading = _reading(row, metric)
            if _exists(reading):
                yield {**shared, "metric": metric, **reading}

    def _wide(self, row: Row, metrics: list[str]) -> Iterator[Record]:
        columns = wide_columns("hour")
        record = self._shared(row)
        for metric in metrics:
            reading = _reading(row, metric)
            if _exists(reading):
                for name, value in reading.items():
                    record[f"{columns[metric]}_{name}"] = value
        yield record


def _reading(row: Row, metric: str) -> Record:
    return {
        "raw": _number(row[f"{metric}.raw"]),
        "value": _number(row[f"{metric}.value"]),
        "status": row[f"{metric}.status"] or None,
        "qc_assessment": row[f"{metric}.qcAssessment"] or None,
        "qc_flags": None,
    }


def _exists(reading: Record) -> bool:
    return any(reading[name] is not None for name in ("raw", "value", "status"))


def _number(text: str) -> float | None:
    return float(text) if text else None


class TapVanilla(Tap):
    """A tap with that one stream."""

    name = "tap-vanilla"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("api_url", th.StringType, required=True),
        th.Property("org", th.StringType, required=True),
        th.Property("measurement_layout", th.StringType, default="long"),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [DatasourceMeasurements(self)]


if __name__ == "__main__":
    TapVanilla.cli()
