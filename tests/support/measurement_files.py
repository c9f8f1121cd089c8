"""Writes measurements in Clarity's formats without the tap's code, and reads them with the tap."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from pyarrow import parquet

from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.core.timestamps import Window
from tap_clarity.measurements.csv_wide import Table
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.measurements.model import MISSING, Expected, Measurement, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAY_OF_FILE = Window(datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC))
PM = "pm2_5ConcMass1HourMean"
UNKNOWN = "pollenBirch1HourMean"

DUPLICATES = (
    "Duplicate rows: {} have the id and time of an earlier row; all are written, and the last one "
    "wins"
)
OUTSIDE = "Rows outside the requested window (2026-03-10 00:00 to 2026-03-11 00:00): {}; they are "
OUTSIDE += "written"

many_examples = settings(max_examples=max(100, settings().max_examples))


def expect(
    frequency: str = "hour", window: Window | None = None, id_field: str = "datasource_id"
) -> Expected:
    return Expected(id_field, FREQUENCIES[frequency], window)


def read_whole(content: bytes, expected: Expected | None = None) -> list[Measurement]:
    return list(read_measurements(io.BytesIO(content), expected or expect()))


def table_in(content: bytes, expected: Expected) -> Table:
    table = read_measurements(io.BytesIO(content), expected)
    assert isinstance(table, Table)
    return table


def read(content: bytes, expected: Expected | None = None) -> list[Measurement]:
    """Read all measurements, without the readings that say nothing."""
    return [
        found._replace(readings=[reading for reading in found.readings if reading.exists])
        for found in read_whole(content, expected)
    ]


def csv_of(rows: Iterable[Sequence[object]], **style: Any) -> bytes:  # noqa: ANN401
    text = io.StringIO()
    csv.writer(text, **style).writerows(rows)
    return text.getvalue().encode()


def table_of(lines: str) -> bytes:
    """Write a small CSV file as it looks."""
    return "\n".join(line.strip() for line in lines.strip().splitlines()).encode()


def at(hour: int) -> datetime:
    return datetime(2026, 3, 10, hour, tzinfo=UTC)


def only(measurements: Sequence[Measurement]) -> Reading:
    """Give the only reading of the only measurement."""
    (measurement,) = measurements
    (reading,) = measurement.readings
    return reading


ATTRIBUTES = ("raw", "value", "status", "qcAssessment", "qcFlags")
ID_COLUMNS = (
    "datasourceId",
    "sourceId",
    "sourceType",
    "outputFrequency",
    "startOfPeriod",
    "endOfPeriod",
    "locationLatitude",
    "locationLongitude",
)
METRICS = (PM, "no2Conc1HourMean", UNKNOWN)


def wide_rows(measurements: Iterable[Measurement]) -> list[list[object]]:
    """Lay measurements out as a wide table, the header first."""
    header = [*ID_COLUMNS, *(f"{metric}.{name}" for metric in METRICS for name in ATTRIBUTES)]
    return [list(header), *(_wide_row(measurement) for measurement in measurements)]


def _wide_row(measurement: Measurement) -> list[object]:
    readings = {reading.metric: reading for reading in measurement.readings}
    missing = Reading("", None, None, None, None, None)
    return [
        measurement.id,
        measurement.source_id,
        measurement.source_type,
        "hour",
        iso(measurement.time),
        iso(measurement.time + timedelta(hours=1)),
        measurement.latitude,
        measurement.longitude,
        *(cell for metric in METRICS for cell in readings.get(metric, missing)[1:]),
    ]


def iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.000Z"


def as_csv(measurements: Iterable[Measurement], **style: Any) -> bytes:  # noqa: ANN401
    return csv_of(
        (
            [json.dumps(cell) if isinstance(cell, list) else cell for cell in row]
            for row in wide_rows(measurements)
        ),
        **style,
    )


def as_json(measurements: Iterable[Measurement]) -> bytes:
    measurements = list(measurements)
    data = [
        {
            "datasourceId": measurement.id,
            "sourceId": measurement.source_id,
            "sourceType": measurement.source_type,
            "time": iso(measurement.time),
            "metric": reading.metric,
            **dict(zip(ATTRIBUTES, reading[1:], strict=True)),
        }
        for measurement in measurements
        for reading in measurement.readings
    ]
    locations = [
        {"datasourceId": each.id, "lat": each.latitude, "lon": each.longitude}
        for each in measurements
    ]
    return json.dumps(
        {"request": {"org": "exampleAB12"}, "data": data, "locations": locations}
    ).encode()


def as_parquet(measurements: Iterable[Measurement]) -> bytes:
    header, *rows = wide_rows(measurements)
    columns = {
        str(name): pa.array([row[place] for row in rows], _type_of(str(name)))
        for place, name in enumerate(header)
    }
    return parquet_of(pa.table(columns))


def parquet_of(table: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _type_of(name: str) -> Any:  # noqa: ANN401
    if name.endswith(("raw", "value", "itude")):
        return pa.float64()
    return pa.list_(pa.string()) if name.endswith("qcFlags") else pa.string()


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=8)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
words = texts.filter(lambda text: text.strip().lower() not in MISSING)
ids = st.sampled_from(["DAAAA0001", "DBBBB0002", 'with, "quotes"', "Zürich 北京\n", " ."])


@st.composite
def readings(draw: st.DrawFn, metric: str) -> Reading:
    reading = Reading(
        metric,
        draw(st.none() | numbers),
        draw(st.none() | numbers),
        draw(st.none() | words),
        draw(st.none() | st.sampled_from(["valid", "invalid"])),
        draw(st.none() | st.lists(texts, max_size=3)),
    )
    return reading if reading.exists else reading._replace(status="calibration-error")


@st.composite
def tables(draw: st.DrawFn) -> list[Measurement]:
    """Give measurements as they come in a file: by time, no key twice, none of them empty."""
    keys = sorted(draw(st.sets(st.tuples(st.integers(0, 23), ids), max_size=4)))
    sources = {
        id_: (
            draw(st.none() | words),
            draw(st.none() | st.sampled_from(["CLARITY_NODE", "REFERENCE_SITE"])),
            draw(st.none() | st.floats(-90, 90)),
            draw(st.none() | st.floats(-180, 180)),
        )
        for id_ in sorted({id_ for _, id_ in keys})
    }
    return [
        Measurement(
            id=id_,
            source_id=sources[id_][0],
            source_type=sources[id_][1],
            time=at(hour),
            period_end=at(hour) + timedelta(hours=1),
            latitude=sources[id_][2],
            longitude=sources[id_][3],
            readings=[
                draw(readings(metric))
                for metric in sorted(
                    draw(st.sets(st.sampled_from(METRICS), min_size=1)), key=METRICS.index
                )
            ],
        )
        for hour, id_ in keys
    ]
