"""The air of the generated city: smooth levels of each quantity by place and time."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

from tap_clarity.sandbox.core.timestamps import DAY, HOUR
from tap_clarity.sandbox.world.rng import combine, fraction

CYCLE: Final = 28 * DAY
"""Smoke and the special events of the world repeat every four weeks."""

_SMOKE_STARTS: Final = 9 * DAY
_SMOKE_LASTS: Final = 4 * DAY
_SMOKE_PEAK: Final = 110.0

# One factor per hour of the day, from midnight UTC.
_TRAFFIC: Final = (
    *(-0.55, -0.65, -0.7, -0.7, -0.55, -0.2, 0.35, 0.85, 0.9, 0.5, 0.15, 0.05),
    *(0.05, 0.05, 0.1, 0.25, 0.5, 0.85, 0.9, 0.6, 0.25, 0.0, -0.2, -0.4),
)
_SUN: Final = (
    *(-0.6, -0.7, -0.75, -0.8, -0.85, -0.9, -0.7, -0.4, 0.0, 0.35, 0.65, 0.85),
    *(0.95, 1.0, 1.0, 0.9, 0.7, 0.45, 0.2, 0.0, -0.15, -0.3, -0.4, -0.5),
)


class Signal(NamedTuple):
    """The level of a quantity: now, over the day, and how far single readings scatter."""

    now: float
    daily: float
    scatter: float


class Site(NamedTuple):
    """How a place differs from the city as a whole."""

    seed: int
    dust: float
    traffic: float
    warmth: float


@lru_cache(maxsize=4096)
def air_at(site: Site, timestamp: int) -> dict[str, Signal]:
    """Return the signal of every quantity at a place and time."""
    traffic, sun = _hourly_factor(_TRAFFIC, timestamp), _hourly_factor(_SUN, timestamp)
    fine_day = site.dust * (_drift(site.seed, "haze", timestamp) * 13 + 4 + _smoke(timestamp))
    fine = fine_day * (1 + 0.35 * traffic)
    no2_day = site.traffic * (6 + 12 * _drift(site.seed, "stagnation", timestamp)) - 1
    no2 = no2_day + site.traffic * 7 * traffic
    warm_day = site.warmth + _season(timestamp) + 6 * (_drift(site.seed, "warmth", timestamp) - 0.5)
    warm = warm_day + 4 * sun
    damp_day = 72 - 0.8 * (warm_day - 10)
    soot_day = 350 * site.traffic * (0.6 + _drift(site.seed, "stagnation", timestamp))
    soot = soot_day * (1 + 0.5 * traffic)
    return {
        **_particles(fine, fine_day),
        **_soot(soot, soot_day),
        "no2Conc": Signal(no2, no2_day, 7),
        "o3Conc": Signal(max(1.0, 28 + 14 * sun - 0.4 * no2), max(1.0, 28 - 0.4 * no2_day), 3),
        "temperatureAmbient": Signal(warm, warm_day, 0.6),
        "temperatureInternal": Signal(warm + 5, warm_day + 5, 0.6),
        "relHumidAmbient": Signal(damp_day - 14 * sun, damp_day, 4),
        "relHumidInternal": Signal(damp_day - 14 * sun - 16, damp_day - 16, 4),
        "atmPressure": Signal(
            *_constant(1 + 0.02 * (_drift(site.seed, "pressure", timestamp) - 0.5)), 0.0008
        ),
        "windSpeed": Signal(3.2 + 1.6 * sun, 3.2, 1.8),
        "windDirection": Signal(*_constant(360 * _drift(site.seed, "wind", timestamp)), 50),
        "uvIndex": Signal(max(0.0, 6 * sun), 1.8, 0.4),
    }


def _particles(fine: float, fine_day: float) -> dict[str, Signal]:
    return {
        "pm1ConcMass": Signal(0.68 * fine, 0.68 * fine_day, 1.2),
        "pm2_5ConcMass": Signal(fine, fine_day, 1.8),
        "pm10ConcMass": Signal(1.5 * fine + 5, 1.5 * fine_day + 5, 4),
        "pm1ConcNum": Signal(7.5 * fine, 7.5 * fine_day, 6),
        "pm2_5ConcNum": Signal(8.1 * fine, 8.1 * fine_day, 6),
        "pm10ConcNum": Signal(8.2 * fine, 8.2 * fine_day, 6),
    }


def _soot(soot: float, soot_day: float) -> dict[str, Signal]:
    shares = {
        "bcAllSources": 1.0,
        "bcBiomass": 0.35,
        "bcFossilFuel": 0.65,
        "bcSpectralB": 1.05,
        "bcSpectralG": 1.02,
        "bcSpectralIR": 0.98,
        "bcSpectralR": 1.0,
        "bcSpectralUV": 1.15,
    }
    return {name: Signal(share * soot, share * soot_day, 30) for name, share in shares.items()}


def _constant(level: float) -> tuple[float, float]:
    return level, level


def _hourly_factor(factors: tuple[float, ...], timestamp: int) -> float:
    hour, past = divmod(timestamp % DAY, HOUR)
    return factors[hour] + (factors[(hour + 1) % 24] - factors[hour]) * past / HOUR


def _drift(seed: int, name: str, timestamp: int) -> float:
    """Vary between 0 and 1 from day to day, without steps."""
    day, past = divmod(timestamp, DAY)
    today, tomorrow = _day_level(seed, name, day), _day_level(seed, name, day + 1)
    return today + (tomorrow - today) * past / DAY


@lru_cache(maxsize=4096)
def _day_level(seed: int, name: str, day: int) -> float:
    return fraction(combine(seed, day, *name.encode()))


def _season(timestamp: int) -> float:
    return 14 - 8 * math.cos(2 * math.pi * (timestamp / DAY - 15) / 365.25)


def _smoke(timestamp: int) -> float:
    past = timestamp % CYCLE - _SMOKE_STARTS
    if not 0 <= past < _SMOKE_LASTS:
        return 0.0
    return _SMOKE_PEAK * math.sin(math.pi * past / _SMOKE_LASTS) ** 2
