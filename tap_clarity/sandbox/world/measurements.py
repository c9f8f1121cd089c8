"""Measurements: the cells of a row, one per metric, generated from their key: nothing is stored.

They depend on `as_of`, as calibrated values are recalculated after the row has arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tap_clarity.sandbox.world import air_quality_index
from tap_clarity.sandbox.world.air import Signal, air_at
from tap_clarity.sandbox.world.calibration import (
    NO2_FAILS_BELOW,
    calibrated_value,
    calibration_of,
)
from tap_clarity.sandbox.world.metrics import metrics_of_modules, rounded
from tap_clarity.sandbox.world.rng import fraction, mix
from tap_clarity.sandbox.world.rows import PERIODS

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from tap_clarity.sandbox.world.metrics import Metric
    from tap_clarity.sandbox.world.rows import Row

_MAX_HUMIDITY: Final = 97.0
_RARE_EVERY: Final = 400


class Cell(NamedTuple):
    """One metric of a row."""

    metric: Metric
    raw: float | None
    value: float | None
    status: str
    flags: tuple[str, ...]

    @property
    def assessment(self) -> str:
        """The worst severity of the flags; there is only one so far."""
        return "invalid" if self.flags else "valid"


def cells(row: Row, as_of: int, among: Container[str] | None = None) -> Iterator[Cell]:
    """Generate a row's cells by metric name, as of a timestamp.

    `among` names the only metrics to calculate, the concentrations of indices included.
    """
    datasource = row.datasource
    air = air_at(datasource.site, row.time + PERIODS[row.frequency] // 2)
    concentrations: dict[str, Cell] = {}
    for metric in metrics_of_modules(datasource.modules, row.frequency):
        if among is not None and metric.name not in among:
            continue
        if row.lacks_mean and metric.aggregate == "1HourMean":
            continue
        if metric.standard is not None:
            yield _index_cell(metric, concentrations[metric.concentration])
            continue
        cell = _cell(row, metric, air[metric.quantity.name], as_of)
        concentrations[metric.name] = cell
        yield cell


def _cell(row: Row, metric: Metric, signal: Signal, as_of: int) -> Cell:
    chance = mix(row.seed ^ metric.name_hash)
    raw = _reading(metric, signal, chance)
    flags = _flags(metric.quantity.name, raw, chance)
    if not metric.quantity.calibrated or row.datasource.source_type == "REFERENCE_SITE":
        return Cell(metric, raw, raw, "sensor-ready", flags)
    calibration = calibration_of(row, metric, raw, chance, as_of)
    value = None
    if calibration.revision is not None:
        value = calibrated_value(metric, raw, calibration.revision)
    return Cell(metric, raw, value, calibration.status, flags)


def _index_cell(metric: Metric, concentration: Cell) -> Cell:
    standard, quantity = metric.standard or "", metric.quantity.name
    raw = air_quality_index.index(standard, quantity, concentration.raw)
    calibrated = None if concentration.value is None else max(0.0, concentration.value)
    value = air_quality_index.index(standard, quantity, calibrated)
    return Cell(metric, raw, value, concentration.status, concentration.flags)


def _reading(metric: Metric, signal: Signal, chance: int) -> float:
    quantity = metric.quantity
    level = signal.now if metric.aggregate in {"1HourMean", "Individual"} else signal.daily
    if metric.aggregate == "Nowcast":
        level = (signal.now + signal.daily) / 2
    scatter = signal.scatter * (2 * fraction(chance) - 1)
    if metric.aggregate == "Individual":
        scatter *= 1.6
    if quantity.name == "no2Conc":
        # The raw electrochemical signal varies widely: often negative, sometimes implausible.
        return rounded(level + scatter - (24 if chance % _RARE_EVERY == 1 else 0), quantity.digits)
    reading = level + scatter
    if quantity.name == "windDirection":
        return rounded(reading % 360, quantity.digits)
    if quantity.name.startswith("temperature"):
        return rounded(reading, quantity.digits)
    return rounded(max(0.0, reading), quantity.digits)


def _flags(quantity: str, raw: float, chance: int) -> tuple[str, ...]:
    if quantity == "no2Conc" and raw < NO2_FAILS_BELOW:
        return ("QC.I.OOB.001",)
    if quantity.startswith("relHumid") and raw > _MAX_HUMIDITY:
        return ("QC.I.OOB.002",)
    return ("QC.I.OOB.001", "QC.I.OOB.002") if chance % _RARE_EVERY == 0 else ()
