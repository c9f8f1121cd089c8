"""Measurements as the API draws them: json-long and csv-wide."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.instants import iso
from tap_clarity.sandbox.measure import cells
from tap_clarity.sandbox.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.measure import Cell, Row
    from tap_clarity.sandbox.metrics import Frequency
    from tap_clarity.sandbox.query import MeasurementQuery

_ID_COLUMNS: Final = ("datasourceId", "sourceId", "sourceType", "outputFrequency")
_PLACE_COLUMNS: Final = ("locationLatitude", "locationLongitude")
_LINES_PER_PART: Final = 200


def attributes(query: MeasurementQuery) -> tuple[str, ...]:
    """Name the columns of one metric; inside a group they stand in this order."""
    asked = (("qcAssessment", query.qc_assessment), ("qcFlags", query.qc_flags))
    return (*(name for name, wanted in asked if wanted), "raw", "status", "value")


def header(query: MeasurementQuery) -> list[str]:
    times = ("time",) if query.frequency == "minute" else ("startOfPeriod", "endOfPeriod")
    groups = (
        f"{name}.{attribute}"
        for name in _columns(query.frequency, query.metrics)
        for attribute in attributes(query)
    )
    return [*_ID_COLUMNS, *times, *_PLACE_COLUMNS, *groups]


def _columns(frequency: Frequency, chosen: frozenset[str]) -> list[str]:
    return [metric.name for metric in catalogue(frequency) if metric.name in chosen]


def wide(query: MeasurementQuery, rows: Iterable[Row], as_of: int) -> Iterator[bytes]:
    """Draw CSV: one line per row, one group of columns per metric, empty where there is none."""
    names = _columns(query.frequency, query.metrics)
    width = len(attributes(query))
    places = {name: turn * width for turn, name in enumerate(names)}
    buffer = io.StringIO()
    write = csv.writer(buffer, lineterminator="\n").writerow
    write(header(query))
    for turn, row in enumerate(rows, start=1):
        line: list[object] = [None] * (len(names) * width)
        for cell in cells(row, as_of):
            at = places.get(cell.metric.name)
            if at is not None:
                line[at : at + width] = _group(query, cell)
        if any(line):
            write([*_identity(query, row), *line])
        if turn % _LINES_PER_PART == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _drain(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _identity(query: MeasurementQuery, row: Row) -> list[object]:
    datasource = row.datasource
    times = [row.time] if row.period_end is None else [row.time, row.period_end]
    return [
        datasource.datasource_id,
        row.source_id,
        datasource.source_type,
        row.frequency,
        *map(iso, times),
        round(datasource.latitude, query.location_rounding),
        round(datasource.longitude, query.location_rounding),
    ]


def _group(query: MeasurementQuery, cell: Cell) -> list[object]:
    group: list[object] = []
    if query.qc_assessment:
        group.append(_assessment(cell))
    if query.qc_flags:
        group.append(json.dumps(cell.flags))
    return [*group, cell.raw, cell.status, cell.value]


def _assessment(cell: Cell) -> str:
    return "invalid" if cell.flags else "valid"


def long(
    query: MeasurementQuery,
    echo: dict[str, Any],
    rows: Iterable[Row],
    as_of: int,
) -> Iterator[bytes]:
    """Draw JSON: one object per metric that the device has; `locations` only when there are any."""
    locations: dict[str, dict[str, Any]] = {}
    yield b'{"request": ' + _json(echo) + b', "data": ['
    separator = b""
    for row in rows:
        items = [
            _json(_item(query, row, cell))
            for cell in cells(row, as_of)
            if cell.metric.name in query.metrics
        ]
        if items:
            yield separator + b", ".join(items)
            separator = b", "
            locations.setdefault(row.datasource.datasource_id, _location(query, row))
    yield b"]"
    if locations:
        yield b', "locations": ' + _json(list(locations.values()))
    yield b"}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _item(query: MeasurementQuery, row: Row, cell: Cell) -> dict[str, Any]:
    item: dict[str, Any] = {
        "datasourceId": row.datasource.datasource_id,
        "time": iso(row.time),
        "metric": cell.metric.name,
        "raw": cell.raw,
        "value": cell.value,
        "status": cell.status,
    }
    if query.qc_assessment:
        item["qcAssessment"] = _assessment(cell)
    if query.qc_flags:
        item["qcFlags"] = list(cell.flags)
    return item


def _location(query: MeasurementQuery, row: Row) -> dict[str, Any]:
    datasource = row.datasource
    return {
        "datasourceId": datasource.datasource_id,
        "lat": round(datasource.latitude, query.location_rounding),
        "lon": round(datasource.longitude, query.location_rounding),
    }
