"""Measurements as records, long or wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_clarity.instants import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_clarity.measurements.model import Expected, Measurement

Record = dict[str, Any]

OTHER_METRICS = "other_metrics"


def long_records(
    measurements: Iterable[Measurement], org: str, expected: Expected
) -> Iterator[Record]:
    """Write one record per metric that exists."""
    for measurement in measurements:
        shared = shared_fields(measurement, org, expected)
        for reading in measurement.readings:
            if reading.exists:
                yield shared | reading._asdict()


def wide_records(
    measurements: Iterable[Measurement], org: str, expected: Expected, columns: Mapping[str, str]
) -> Iterator[Record]:
    """Write one record per measurement; `columns` maps the known metrics to their columns."""
    for measurement in measurements:
        record = shared_fields(measurement, org, expected)
        others: Record = {}
        for reading in measurement.readings:
            if not reading.exists:
                continue
            attributes = reading._asdict()
            metric = attributes.pop("metric")
            if column := columns.get(metric):
                record |= {f"{column}_{name}": value for name, value in attributes.items()}
            else:
                others[metric] = attributes
        record[OTHER_METRICS] = others or None
        yield record


def shared_fields(measurement: Measurement, org: str, expected: Expected) -> Record:
    """Write what all records of a measurement share; the times come last."""
    end = measurement.period_end
    return {
        "org": org,
        expected.id_field: measurement.id,
        "source_id": measurement.source_id,
        "source_type": measurement.source_type,
        "output_frequency": expected.frequency.name,
        "latitude": measurement.latitude,
        "longitude": measurement.longitude,
        "time": format_instant(measurement.time),
        "period_end": None if end is None else format_instant(end),
    }
