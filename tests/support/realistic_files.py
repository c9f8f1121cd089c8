"""Writes `tests/data/*.csv`: files in the exact format of real ones, with invented ids and values.

Real files differ from those of the emulator: in the report of a node all labels are English except
that of the first column; the daily file was grouped by datasource and shortened by its user.

`python -m tests.support.realistic_files` writes them again.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.support.paths import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER = DATA
NODE_REPORT = FOLDER / "node_report_english.csv"
DAILY_REPORT = FOLDER / "daily_report_grouped.csv"
Row = tuple[str, ...] | list[str]

ENGLISH_IDS = (
    *("nodeId", "Source Id", "Source Type", "Output Frequency", "Start of Period"),
    *("End of Period", "Location Latitude [deg]", "Location Longitude [deg]"),
)
LABELS = {
    "atmPressure1HourMean": "Atmospheric pressure, 1-hour mean",
    "no2Conc1HourMean": "NO2 concentration, 1-hour mean",
    "no2Conc1HourMeanUsEpaAqi": "NO2 concentration, 1-hour mean, UsEpaAqi",
    "no2Conc1HourMeanWaDwerAqi": "NO2 concentration, 1-hour mean, WaDwerAqi",
    "o3Conc1HourMean": "Ozone, 1-hour mean",
    "o3Conc1HourMeanWaDwerAqi": "Ozone, 1-hour mean, WaDwerAqi",
    "pm10ConcMass1HourMean": "PM 10 mass concentration, 1-hour mean",
    "pm10ConcMass1HourMeanWaDwerAqi": "PM 10 mass concentration, 1-hour mean, WaDwerAqi",
    "pm10ConcMass24HourRollingMean": "PM 10 mass concentration, 24-hour rolling mean",
    "pm10ConcNum1HourMean": "PM 10 number concentration, 1-hour mean",
    "pm10ConcNum24HourRollingMean": "PM 10 number concentration, 24-hour rolling mean",
    "pm1ConcMass1HourMean": "PM 1 mass concentration, 1-hour mean",
    "pm1ConcNum1HourMean": "PM 1 number concentration, 1-hour mean",
    "pm2_5ConcMass1HourMean": "PM 2.5 mass concentration, 1-hour mean",
    "pm2_5ConcMass1HourMeanWaDwerAqi": "PM 2.5 mass concentration, 1-hour mean, WaDwerAqi",
    "pm2_5ConcMass24HourRollingMean": "PM 2.5 mass concentration, 24-hour rolling mean",
    "pm2_5ConcMassNowcast": "PM 2.5 mass concentration, Nowcast",
    "pm2_5ConcMassNowcastUsEpaAqi": "PM 2.5 mass concentration, Nowcast, UsEpaAqi",
    "pm2_5ConcNum1HourMean": "PM 2.5 number concentration, 1-hour mean",
    "pm2_5ConcNum24HourRollingMean": "PM 2.5 number concentration, 24-hour rolling mean",
    "relHumidAmbient1HourMean": "Relative humidity ambient, 1-hour mean",
    "relHumidInternal1HourMean": "Relative humidity internal, 1-hour mean",
    "temperatureAmbient1HourMean": "Temperature ambient, 1-hour mean",
    "temperatureInternal1HourMean": "Temperature internal, 1-hour mean",
    "windDirection1HourMean": "Wind direction, 1-hour mean",
    "windSpeed1HourMean": "Wind speed, 1-hour mean",
}
ATTRIBUTES = ("raw", "status", "value")
FIRST_HOUR = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 12
NODES = ("A7Q0X3B1", "A9Z2M5K8")
MOVED_AT = 7
"""The hour from which the second node stands elsewhere."""

DAILY_COLUMNS = (
    *("datasourceId", "sourceId", "sourceType", "outputFrequency", "startOfPeriod", "endOfPeriod"),
    *("locationLatitude", "locationLongitude", "Name"),
    *("pm2_5ConcMass24HourMean.raw", "pm2_5ConcMass24HourMean.value"),
    *("pm2_5ConcMass24HourMeanUsEpaAqi.value", "pm2_5ConcNum24HourMean.value"),
    *("relHumidInternal24HourMean.raw", "temperatureInternal24HourMean.raw"),
)
FIRST_DAY = datetime(2026, 2, 1, tzinfo=UTC)
DAYS = 8
DATASOURCES = (("DKQRS4821", "Harbour"), ("DBLMN0173", "School"), ("DTVWX6650", "Mill"))


def iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.000Z"


def node_report() -> Iterator[Row]:
    """Give 86 columns, ordered by time; all numbers have two decimals, coordinates eight."""
    yield [*ENGLISH_IDS, *(f"{label} {each}" for label in LABELS.values() for each in ATTRIBUTES)]
    for hour in range(HOURS):
        start = FIRST_HOUR + timedelta(hours=hour)
        for place, node in enumerate(NODES):
            is_moved = place == 1 and hour >= MOVED_AT
            yield [
                *(node, node, "CLARITY_NODE", "hour"),
                *(iso(start), iso(start + timedelta(hours=1))),
                f"{37.7193391 + place + is_moved / 1000:.8f}",
                f"{-122.4000125 + place + is_moved / 1000:.8f}",
                *(cell for metric in LABELS for cell in hourly_cells(metric, place, hour)),
            ]


def hourly_cells(metric: str, place: int, hour: int) -> Row:
    """Give raw, status and value; the second node has neither ozone nor wind nor ambient air."""
    if place == 1 and metric.startswith(("o3", "wind", "atm", "relHumidA", "temperatureA")):
        return ("", "empty", "")
    number = [*LABELS].index(metric) + hour
    if metric.endswith("Aqi"):  # indices are whole; some have no raw
        return ("" if hour == 3 else f"{number}", "calibrated-ready", f"{number + 5}")
    if not metric.startswith("pm") and not metric.startswith("no2"):
        return (f"{number}.50", "sensor-ready", f"{number}.50")
    if metric.startswith("no2") and hour == 5:
        return (f"-{number}.25", "calibration-error", "")
    return (f"{number}.10", "calibrated-ready", f"{number}.90")


def daily_report() -> Iterator[Row]:
    """Give a few metrics, without statuses, grouped by datasource; a column is the user's own."""
    yield DAILY_COLUMNS
    for place, (datasource, name) in enumerate(DATASOURCES):
        for day in range(DAYS):
            start = FIRST_DAY + timedelta(days=day)
            number = 10 * place + day
            mass = ["", ""] if (place, day) == (2, 4) else [f"{number}.4", f"{number}.125"]
            yield [
                *(datasource, f"A{place}B7C2D4", "CLARITY_NODE", "day"),
                *(iso(start), iso(start + timedelta(days=1))),
                *(f"{37.64 + place / 100:.4f}", f"{-122.41 + place / 100:.4f}", name),
                *(*mass, f"{2 * number}", f"{number}.75", f"{40 + day}.5", f"{15 + day}"),
            ]


def write(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    write(NODE_REPORT, node_report())
    write(DAILY_REPORT, daily_report())
