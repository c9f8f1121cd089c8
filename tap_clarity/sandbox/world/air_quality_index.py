"""Air-quality indices over concentrations; close to the published ones, rounded to integers."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

# Upper concentration and index of each band of the US EPA's scales.
_US_EPA: Final = {
    "pm2_5ConcMass": ((0, 0), (9, 50), (35.4, 100), (55.4, 150), (125.4, 200), (225.4, 300)),
    "pm10ConcMass": ((0, 0), (54, 50), (154, 100), (254, 150), (354, 200), (424, 300)),
    "no2Conc": ((0, 0), (53, 50), (100, 100), (360, 150), (649, 200), (1249, 300)),
}
# Western Australia's index: 100 at the standard.
_WA_STANDARD: Final = {"pm2_5ConcMass": 50, "pm10ConcMass": 100, "no2Conc": 80, "o3Conc": 65}
_HIGHEST: Final = 500


def index(standard: str, quantity: str, concentration: float | None) -> int | None:
    """Calculate an index; below zero there is none."""
    if concentration is None or concentration < 0:
        return None
    if standard == "WaDwerAqi":
        return min(_HIGHEST, round(100 * concentration / _WA_STANDARD[quantity]))
    for (low, below), (high, above) in pairwise(_US_EPA[quantity]):
        if concentration <= high:
            return round(below + (above - below) * (concentration - low) / (high - low))
    return _HIGHEST
