"""The truth in plain words: snake case, times as text, nothing of the API's wrapping."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.core import timestamps as instants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_clarity.sandbox.world.world import Measurement

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def plain(measurement: Measurement) -> dict[str, Any]:
    record = asdict(measurement)
    end = measurement.period_end
    record["time"] = instants.iso(instants.to_millis(measurement.time))
    record["period_end"] = None if end is None else instants.iso(instants.to_millis(end))
    record["qc_flags"] = list(measurement.qc_flags)
    return record


def snake(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Rename camel-case keys, nested ones too."""
    return {_WORD_START.sub("_", name).lower(): _inside(each) for name, each in fields.items()}


def _inside(value: object) -> object:
    if isinstance(value, dict):
        return snake(value)
    return [_inside(each) for each in value] if isinstance(value, list) else value
