"""Metrics: their names, quantities and aggregates, and the modules that measure them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks
from tap_clarity.sandbox.world.rng import hash_text

if TYPE_CHECKING:
    from collections.abc import Iterable

Frequency = Literal["minute", "hour", "day"]
FREQUENCIES: Final[tuple[Frequency, ...]] = ("minute", "hour", "day")

INDEX_STANDARDS: Final = ("UsEpaAqi", "WaDwerAqi")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A physical quantity, the module that measures it, and its aggregates at each frequency."""

    name: str
    module: str
    calibrated: bool = False
    digits: int = 2
    hourly: tuple[str, ...] = ("1HourMean",)
    hourly_on_request: tuple[str, ...] = ()
    daily: tuple[str, ...] = ("24HourMean",)

    def aggregates(self, frequency: Frequency) -> tuple[str, ...]:
        """List the endings of the metric names of this quantity at a frequency."""
        if frequency == "minute":
            return ("Individual",)
        return self.hourly + self.hourly_on_request if frequency == "hour" else self.daily


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: a quantity, an aggregate, and the standard if it is an air-quality index."""

    name: str
    quantity: Quantity
    aggregate: str
    standard: str | None
    is_default: bool
    name_hash: int

    @property
    def concentration(self) -> str:
        """The name of the metric that an index is calculated from."""
        return self.quantity.name + self.aggregate


_MASS_HOURLY = ("1HourMean", "1HourMeanWaDwerAqi", "24HourRollingMean")
_NOWCAST = ("Nowcast", "NowcastUsEpaAqi")
_COUNT_HOURLY = ("1HourMean", "24HourRollingMean")
_MASS_DAILY = ("24HourMean", "24HourMeanUsEpaAqi")

QUANTITIES: Final = (
    Quantity("atmPressure", "wind", digits=4),
    Quantity("bcAllSources", "blackcarbon", digits=1),
    Quantity("bcBiomass", "blackcarbon", digits=1),
    Quantity("bcFossilFuel", "blackcarbon", digits=1),
    Quantity("bcSpectralB", "blackcarbon", digits=1),
    Quantity("bcSpectralG", "blackcarbon", digits=1),
    Quantity("bcSpectralIR", "blackcarbon", digits=1),
    Quantity("bcSpectralR", "blackcarbon", digits=1),
    Quantity("bcSpectralUV", "blackcarbon", digits=1),
    Quantity(
        "no2Conc",
        "no2",
        calibrated=True,
        hourly=("1HourMean", "1HourMeanUsEpaAqi", "1HourMeanWaDwerAqi"),
    ),
    Quantity("o3Conc", "ozone", hourly=("1HourMean", "1HourMeanWaDwerAqi")),
    Quantity(
        "pm10ConcMass",
        "pm",
        calibrated=True,
        hourly=_MASS_HOURLY,
        hourly_on_request=_NOWCAST,
        daily=_MASS_DAILY,
    ),
    Quantity("pm10ConcNum", "pm", hourly=_COUNT_HOURLY),
    Quantity("pm1ConcMass", "pm", calibrated=True),
    Quantity("pm1ConcNum", "pm"),
    Quantity(
        "pm2_5ConcMass",
        "pm",
        calibrated=True,
        hourly=_MASS_HOURLY + _NOWCAST,
        daily=_MASS_DAILY,
    ),
    Quantity("pm2_5ConcNum", "pm", hourly=_COUNT_HOURLY),
    Quantity("relHumidAmbient", "wind"),
    Quantity("relHumidInternal", "internal"),
    Quantity("temperatureAmbient", "wind"),
    Quantity("temperatureInternal", "internal"),
    # Nobody documents this one: a new kind of sensor must not break a client.
    Quantity("uvIndex", "ultraviolet", digits=1),
    Quantity("windDirection", "wind", digits=1),
    Quantity("windSpeed", "wind"),
)


def _metric(quantity: Quantity, ending: str) -> Metric:
    standard = next((name for name in INDEX_STANDARDS if ending.endswith(name)), None)
    name = quantity.name + ending
    return Metric(
        name=name,
        quantity=quantity,
        aggregate=ending.removesuffix(standard or ""),
        standard=standard,
        is_default=ending not in quantity.hourly_on_request,
        name_hash=hash_text(name),
    )


@cache
def all_metrics(frequency: Frequency) -> tuple[Metric, ...]:
    """List every metric of a frequency, sorted; an index comes after its concentration."""
    found = [_metric(each, end) for each in QUANTITIES for end in each.aggregates(frequency)]
    return tuple(sorted(found, key=lambda metric: metric.name))


@cache
def metrics_of_modules(modules: frozenset[str], frequency: Frequency) -> tuple[Metric, ...]:
    """List the metrics that a device with these modules measures."""
    return tuple(each for each in all_metrics(frequency) if each.quantity.module in modules)


def names_with_concentrations(metrics: Iterable[Metric]) -> frozenset[str]:
    """Name the metrics and those that the indices among them are calculated from."""
    return frozenset(name for each in metrics for name in (each.name, each.concentration))


@cache
def default_metric_names(frequency: Frequency) -> frozenset[str]:
    """Name the metrics that a request without metricSelect returns."""
    return frozenset(each.name for each in all_metrics(frequency) if each.is_default)


def displayed_name(name: str, quirks: Quirks) -> str:
    """Return a metric's name as responses write it."""
    return name.replace("Nowcast", "NowCast") if Quirk.NOWCAST_CASING in quirks else name


def rounded(number: float, digits: int) -> float:
    """Round; whole numbers have no decimals, as in the API's JSON."""
    shorter = round(number, digits)
    return int(shorter) if shorter == int(shorter) else shorter
