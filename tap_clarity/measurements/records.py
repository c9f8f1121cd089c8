"""Measurements as records, long or wide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tap_clarity.core.timestamps import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_clarity.measurements.model import Expected, Measurement, Reading

Record = dict[str, Any]

OTHER_METRICS = "other_metrics"


class Layout(ABC):
    """How measurements become records."""

    def __init__(self, org: str, expected: Expected) -> None:
        self._org = org
        self._expected = expected

    @abstractmethod
    def records(self, measurements: Iterable[Measurement]) -> Iterator[Record]:
        """Write measurements as records."""

    @abstractmethod
    def fields(self, reading: Reading) -> Record:
        """Write what a reading adds to a record."""

    def shared_fields(self, measurement: Measurement) -> Record:
        """Write what all records of a measurement share; the times come last."""
        end = measurement.period_end
        return {
            "org": self._org,
            self._expected.id_field: measurement.id,
            "source_id": measurement.source_id,
            "source_type": measurement.source_type,
            "output_frequency": self._expected.frequency.name,
            "latitude": measurement.latitude,
            "longitude": measurement.longitude,
            "time": format_timestamp(measurement.time),
            "period_end": None if end is None else format_timestamp(end),
        }


class LongLayout(Layout):
    """One record per metric that exists."""

    def records(self, measurements: Iterable[Measurement]) -> Iterator[Record]:
        for measurement in measurements:
            shared = self.shared_fields(measurement)
            for reading in measurement.readings:
                if reading.exists:
                    yield shared | self.fields(reading)

    def fields(self, reading: Reading) -> Record:
        return reading._asdict()


class WideLayout(Layout):
    """One record per measurement, with columns for each metric that is known."""

    def __init__(self, org: str, expected: Expected, columns: Mapping[str, str]) -> None:
        """Write wide records.

        Args:
            org: Id of the organisation.
            expected: What the measurements are.
            columns: The known metrics, and how the names of their columns begin.
        """
        super().__init__(org, expected)
        self._columns = columns

    def records(self, measurements: Iterable[Measurement]) -> Iterator[Record]:
        for measurement in measurements:
            record = self.shared_fields(measurement)
            others: Record = {}
            for reading in measurement.readings:
                if reading.exists:
                    fields = self.fields(reading)
                    others |= fields.pop(OTHER_METRICS, {})
                    record |= fields
            yield record | {OTHER_METRICS: others or None}

    def fields(self, reading: Reading) -> Record:
        attributes = reading._asdict()
        metric = attributes.pop("metric")
        if column := self._columns.get(metric):
            return {f"{column}_{name}": value for name, value in attributes.items()}
        return {OTHER_METRICS: {metric: attributes}}
