"""Expected data as plain records: snake case, times as text, without the API's wrappers."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.core.timestamps import iso, to_millis

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One expected measurement."""

    org: str
    datasource_id: str
    source_id: str
    source_type: str
    output_frequency: str
    metric: str
    time: datetime
    period_end: datetime | None
    raw: float | None
    value: float | None
    status: str
    qc_assessment: str
    qc_flags: tuple[str, ...]
    latitude: float
    longitude: float


def measurement_record(measurement: Measurement) -> dict[str, Any]:
    """Convert a measurement to what JSON can hold."""
    record = asdict(measurement)
    end = measurement.period_end
    record["time"] = iso(to_millis(measurement.time))
    record["period_end"] = None if end is None else iso(to_millis(end))
    record["qc_flags"] = list(measurement.qc_flags)
    return record


def snake_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Rename camel-case keys, nested ones too."""
    return {_WORD_START.sub("_", name).lower(): _nested(each) for name, each in fields.items()}


def _nested(value: object) -> object:
    if isinstance(value, dict):
        return snake_case(value)
    return [_nested(each) for each in value] if isinstance(value, list) else value
