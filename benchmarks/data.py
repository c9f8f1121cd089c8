"""Reports as Clarity sends them: wide, hourly, gzipped; the same bytes each time they are made.

A fleet of nodes: all sense particles, three in four NO2, three in ten the weather. Now and then a
cell has another status and no value, or is flagged, and an hour has nothing but rolling means.
"""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

RECIPE = 1
"""To be raised with each change here, so that no old file is taken for a new one."""
ORG = "exampleAB12"
START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
IDS = (
    *("datasourceId", "sourceId", "sourceType", "outputFrequency"),
    *("startOfPeriod", "endOfPeriod", "locationLatitude", "locationLongitude"),
)
ATTRIBUTES = ("qcAssessment", "raw", "status", "value")
READINGS = 20_000
"""How many different readings a metric has."""
ODD_STATUSES = {
    "calibration-processing": False,
    "calibration-error": False,
    "calibration-missing": False,
    "calibration-mixed": True,
    "calibrated-reprocessing": True,
}
"""What a status may be instead of the usual one, and whether there is a value all the same."""
ODD, FLAGGED, THIN = 0.015, 0.0025, 0.012


class Metric(NamedTuple):
    """A metric, the range of its readings, and what is special about it."""

    name: str
    most: float
    least: float = 0
    digits: int = 2
    calibrated: bool = False
    module: str = "pm"
    index_of: str | None = None


METRICS = (
    Metric("no2Conc1HourMean", 80, least=-12, calibrated=True, module="no2"),
    Metric("no2Conc1HourMeanUsEpaAqi", 0, module="no2", index_of="no2Conc1HourMean"),
    Metric("no2Conc1HourMeanWaDwerAqi", 0, module="no2", index_of="no2Conc1HourMean"),
    Metric("pm10ConcMass1HourMean", 120, calibrated=True),
    Metric("pm10ConcMass24HourRollingMean", 90, calibrated=True),
    Metric("pm10ConcNum1HourMean", 600),
    Metric("pm1ConcMass1HourMean", 40, calibrated=True),
    Metric("pm1ConcNum1HourMean", 500),
    Metric("pm2_5ConcMass1HourMean", 70, calibrated=True),
    Metric("pm2_5ConcMass1HourMeanWaDwerAqi", 0, index_of="pm2_5ConcMass1HourMean"),
    Metric("pm2_5ConcMass24HourRollingMean", 60, calibrated=True),
    Metric("pm2_5ConcMassNowcast", 60, calibrated=True),
    Metric("pm2_5ConcMassNowcastUsEpaAqi", 0, index_of="pm2_5ConcMassNowcast"),
    Metric("pm2_5ConcNum1HourMean", 550),
    Metric("relHumidAmbient1HourMean", 100, least=15, module="weather"),
    Metric("relHumidInternal1HourMean", 90, least=5, module="internal"),
    Metric("temperatureAmbient1HourMean", 38, least=-9, module="weather"),
    Metric("temperatureInternal1HourMean", 50, least=-5, module="internal"),
    Metric("windDirection1HourMean", 360, digits=1, module="weather"),
    Metric("windSpeed1HourMean", 14, module="weather"),
)
HEADER = (*IDS, *(f"{metric.name}.{each}" for metric in METRICS for each in ATTRIBUTES))


@dataclass(frozen=True, slots=True)
class Size:
    """How much to make: a row per datasource and hour."""

    name: str
    datasources: int
    hours: int
    newest_first: bool = False

    @property
    def end(self) -> datetime:
        """The end of the last hour."""
        return START + self.hours * HOUR


TINY = Size("tiny", 7, 48)
SMALL = Size("small", 10, 876)
TENTH = Size("tenth", 100, 876)
FULL = Size("full", 100, 8760)


@dataclass(frozen=True, slots=True)
class Report:
    """A file, and how much is in it: rows, and long records."""

    path: Path
    size: Size
    rows: int
    records: int

    @classmethod
    def make(cls, size: Size, folder: Path) -> Report:
        """Make the file, unless it is there."""
        path = folder / f"report-{RECIPE}-{size.name}-{size.datasources}x{size.hours}.csv.gz"
        counts = path.with_suffix(".json")
        if not counts.exists():
            folder.mkdir(parents=True, exist_ok=True)
            rows, records = _write(path, size)
            counts.write_text(json.dumps({"rows": rows, "records": records}), encoding="ascii")
        return cls(path, size, **json.loads(counts.read_text(encoding="ascii")))


def _write(path: Path, size: Size) -> tuple[int, int]:
    rows = records = 0
    with path.open("wb") as plain, gzip.GzipFile("", "wb", 6, plain, mtime=0) as file:
        file.write(f"{','.join(HEADER)}\n".encode())
        for text, count in _hours(size):
            file.write(text.encode())
            rows += size.datasources
            records += count
    return rows, records


def _hours(size: Size) -> Iterator[tuple[str, int]]:
    """Give the rows of each hour, and how many measurements they hold."""
    draw = random.Random("rows").random  # noqa: S311 - to be the same each time
    readings = [_readings(metric) for metric in METRICS]
    nodes = [Node.numbered(number) for number in range(size.datasources)]
    order = range(size.hours)
    for hour in reversed(order) if size.newest_first else order:
        start = START + hour * HOUR
        times = f"{_iso(start)},{_iso(start + HOUR)}"
        filled = [node.row(times, readings, draw) for node in nodes]
        yield "".join(text for text, _ in filled), sum(count for _, count in filled)


def _readings(metric: Metric) -> list[str]:
    """Draw the cells that a metric can have; those of an index go with its concentration's."""
    draw = random.Random(metric.index_of or metric.name)  # noqa: S311 - as above
    source = next((each for each in METRICS if each.name == metric.index_of), metric)
    return [_reading(draw, source, is_index=source is not metric) for _ in range(READINGS)]


def _reading(draw: random.Random, metric: Metric, *, is_index: bool) -> str:
    raw = draw.uniform(metric.least, metric.most)
    value = max(0.0, 0.86 * raw + draw.gauss(1.3, 1)) if metric.calibrated else raw
    status = "calibrated-ready" if metric.calibrated else "sensor-ready"
    has_value = True
    if metric.calibrated and draw.random() < ODD:
        status, has_value = draw.choice([*ODD_STATUSES.items()])
    assessment = "invalid" if draw.random() < FLAGGED else "valid"
    digits = 0 if is_index else metric.digits
    texts = [f"{max(0.0, each) if is_index else each:.{digits}f}" for each in (raw, value)]
    return f",{assessment},{texts[0]},{status},{texts[1] if has_value else ''}"


@dataclass(frozen=True, slots=True)
class Node:
    """One node: what it is called, where it is, and what it senses."""

    ids: str
    place: str
    senses: Sequence[int]
    senses_always: Sequence[int]

    @classmethod
    def numbered(cls, number: int) -> Node:
        modules = {"pm", "internal"}
        modules |= {"no2"} if number % 4 else set()
        modules |= {"weather"} if number % 10 in {1, 4, 8} else set()
        senses = [place for place, each in enumerate(METRICS) if each.module in modules]
        return cls(
            f"DBENC{number:04d},A{number:07d},CLARITY_NODE,hour",
            f",{47 + number / 1000:.5f},{8 + number / 700:.5f}",
            senses,
            [place for place in senses if "1HourMean" not in METRICS[place].name],
        )

    def row(
        self, times: str, readings: Sequence[list[str]], draw: Callable[[], float]
    ) -> tuple[str, int]:
        """Fill a row; also give how many of its metrics are there."""
        senses = self.senses_always if draw() < THIN else self.senses
        cells = ["," * len(ATTRIBUTES)] * len(METRICS)
        picks: dict[str, int] = {}
        for place in senses:
            metric = METRICS[place]
            pick = picks[metric.index_of] if metric.index_of else int(draw() * READINGS)
            picks[metric.name] = pick
            cells[place] = readings[place][pick]
        return f"{self.ids},{times}{self.place}{''.join(cells)}\n", len(senses)


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.000Z"
