"""Coordinates of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY

if TYPE_CHECKING:
    from tap_clarity.sandbox.behavior.quirks import Quirks
    from tap_clarity.sandbox.world.rows import Row

DECIMALS: Final = 5
FINE_DECIMALS: Final = 8
_STEP: Final = 0.00012345
_STEPS: Final = 5


def decimals(quirks: Quirks) -> int:
    """Return the number of decimals of coordinates."""
    return FINE_DECIMALS if Unknown.MOVING_COORDINATES in quirks else DECIMALS


def position(row: Row, quirks: Quirks) -> tuple[float, float]:
    """Return latitude and longitude; devices that move do so at 12:00 UTC."""
    latitude, longitude = row.datasource.latitude, row.datasource.longitude
    if Unknown.MOVING_COORDINATES not in quirks:
        return latitude, longitude
    shift = _STEP * (1 + (row.time + DAY // 2) // DAY % _STEPS)
    return round(latitude + shift, FINE_DECIMALS), round(longitude - shift, FINE_DECIMALS)
