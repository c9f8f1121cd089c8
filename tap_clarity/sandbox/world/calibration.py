"""Calibration: the status of a cell and its calibrated value, which later revisions change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tap_clarity.sandbox.core.timestamps import DAY, HOUR, parse
from tap_clarity.sandbox.world.metrics import rounded

if TYPE_CHECKING:
    from tap_clarity.sandbox.world.metrics import Metric
    from tap_clarity.sandbox.world.rows import Row

NO2_FAILS_BELOW: Final = -18.0
_REDONE_EVERY: Final = 14 * DAY
_REDONE_DEPTH: Final = 2 * DAY
_REPROCESSING_TAKES: Final = 6 * HOUR
_NEW_SOURCE_UNCALIBRATED: Final = 36 * HOUR
_CALIBRATION_KNOWN_FROM: Final = parse("2024-01-01")

# Of 1000 calibrated cells: below which number each status ends.
_PROCESSING, _REVOKED, _MIXED, _REPROCESSING, _UNKNOWN = 12, 16, 21, 23, 24


class Calibration(NamedTuple):
    """The calibration of a cell: its status, and the revision that gives its value, if any."""

    status: str
    revision: int | None


def calibration_of(row: Row, metric: Metric, raw: float, chance: int, as_of: int) -> Calibration:
    quantity = metric.quantity.name
    if row.datasource.role == "bare" and quantity == "pm10ConcMass":
        return Calibration("calibration-missing", None)
    if row.time < _CALIBRATION_KNOWN_FROM and quantity == "pm1ConcMass":
        return Calibration("calibration-unknown", None)
    if quantity == "no2Conc" and raw < NO2_FAILS_BELOW:
        return Calibration("calibration-error", None)
    if _awaits_calibration(row, as_of):
        return Calibration("calibration-missing", None)
    return _rare_calibration(row, chance, as_of) or _usual_calibration(row, chance, as_of)


def _awaits_calibration(row: Row, as_of: int) -> bool:
    """Whether a row is one of the first of a new device: those get their values a day later."""
    if len(row.datasource.source_history) == 1:
        return False
    since = row.datasource.source_history[-1].time_range.start
    assigned = since + _NEW_SOURCE_UNCALIBRATED
    return since <= row.time < assigned and as_of < assigned + DAY


def _rare_calibration(row: Row, chance: int, as_of: int) -> Calibration | None:
    """Return the calibration of the few cells that have another one than most."""
    number = (chance >> 20) % 1000
    if number >= _UNKNOWN:
        return None
    is_unlisted = row.datasource.unlisted_statuses
    changes_at = row.arrival + 2 * HOUR + chance % (28 * HOUR)
    if number < _PROCESSING:
        return Calibration("calibration-processing", None) if as_of < changes_at else None
    if number < _REVOKED:
        return None if as_of < changes_at else Calibration("calibration-error", None)
    if number < _MIXED:
        return Calibration("calibrated-provisionally" if is_unlisted else "calibration-mixed", 0)
    if number < _REPROCESSING:
        return Calibration("calibrated-reprocessing", 0)
    return Calibration("calibration-in-review" if is_unlisted else "calibration-unknown", None)


def _usual_calibration(row: Row, chance: int, as_of: int) -> Calibration:
    """Return the calibration, which is redone every two weeks for the two days before."""
    phase = row.datasource.seed % _REDONE_EVERY
    redone_at = row.time + (phase - row.time) % _REDONE_EVERY
    if redone_at - row.time > _REDONE_DEPTH or as_of < redone_at - _REPROCESSING_TAKES:
        return Calibration("calibrated-ready", 0)
    if as_of < redone_at:
        return Calibration("calibrated-reprocessing", 0)
    if (chance >> 32) % 40 == 0:
        return Calibration("calibration-missing", None)
    return Calibration("calibrated-ready", 1)


def calibrated_value(metric: Metric, raw: float, revision: int) -> float:
    slope, offset = (0.86, 1.3) if metric.quantity.name != "no2Conc" else (0.92, 2.4)
    return rounded(raw * (slope - 0.05 * revision) + offset + 0.4 * revision, 2)
