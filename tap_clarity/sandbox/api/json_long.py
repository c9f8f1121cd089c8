"""The json-long response: an object per row and metric."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import iso
from tap_clarity.sandbox.world.measurements import cells
from tap_clarity.sandbox.world.metrics import displayed_name, names_with_concentrations
from tap_clarity.sandbox.world.row_positions import position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.measurement_query import MeasurementQuery
    from tap_clarity.sandbox.world.measurements import Cell
    from tap_clarity.sandbox.world.rows import Row

Item = dict[str, Any]


def json_parts(
    query: MeasurementQuery,
    echo: Item,
    rows: Iterable[Row],
    as_of: int,
) -> Iterator[bytes]:
    """Generate the response in parts; `locations` is missing if there is no data."""
    locations: dict[str, Item] = {}
    yield b'{"request": ' + _json(echo) + b', "data": ['
    separator = b""
    for row in rows:
        items = list(_items(query, row, as_of))
        if items:
            yield separator + b", ".join(map(_json, items))
            separator = b", "
            locations.setdefault(row.datasource.datasource_id, _location(query, row))
    yield b"]"
    if locations or Quirk.EMPTY_OR_MISSING in query.quirks:
        yield b', "locations": ' + _json(list(locations.values()))
    yield b"}"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _items(query: MeasurementQuery, row: Row, as_of: int) -> Iterator[Item]:
    key = _key(query, row)
    columns = query.columns()
    needed = names_with_concentrations(columns)
    found = {cell.metric.name: cell for cell in cells(row, as_of, needed)}
    for metric in columns:
        name = displayed_name(metric.name, query.quirks)
        if metric.name in found:
            yield _item(query, key, name, _attributes(query, found[metric.name]))
        elif Quirk.PADDED_JSON_LONG in query.quirks:
            yield _item(query, key, name, dict.fromkeys(("raw", "value", "status")))


def _key(query: MeasurementQuery, row: Row) -> Item:
    datasource_id = row.datasource.datasource_id
    if row.period_end is None or Quirk.SWAPPED_COLUMNS not in query.quirks:
        return {"datasourceId": datasource_id, "time": iso(row.time)}
    return {
        "datasourceId": datasource_id,
        "sourceId": row.source_id,
        "sourceType": row.datasource.source_type,
        "startOfPeriod": iso(row.time),
        "endOfPeriod": iso(row.period_end),
    }


def _item(query: MeasurementQuery, key: Item, name: str, attributes: Item) -> Item:
    if Quirk.NESTED_JSON_LONG in query.quirks:
        return {**key, name: attributes}
    return {**key, "metric": name, **attributes}


def _attributes(query: MeasurementQuery, cell: Cell) -> Item:
    attributes: Item = {"raw": cell.raw, "value": cell.value, "status": cell.status}
    if query.qc_assessment:
        attributes[query.attributes()[0]] = cell.assessment
    if Unknown.UNKNOWN_ATTRIBUTES in query.quirks:
        attributes["confidence"] = 0.5
    if query.qc_flags:
        attributes["qcFlags"] = list(cell.flags)
    return attributes


def _location(query: MeasurementQuery, row: Row) -> Item:
    latitude, longitude = position(row, query.quirks)
    extra = {"altitude": 12} if Unknown.UNKNOWN_ATTRIBUTES in query.quirks else {}
    return {
        "datasourceId": row.datasource.datasource_id,
        "lat": round(latitude, query.location_rounding),
        "lon": round(longitude, query.location_rounding),
        **extra,
    }
