"""Measurements as pure functions of their key: nothing is stored, everything can be asked again.

A row is what one device said about one instant or period; its cells are the metrics. What a row
says may depend on `as_of`: rows arrive late, and calibrated values are worked over afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE, SECOND
from tap_clarity.sandbox.core.timestamps import parse as instant_of
from tap_clarity.sandbox.world import air_quality_index as indices
from tap_clarity.sandbox.world.air import Signal, air_at
from tap_clarity.sandbox.world.metrics import sensed_by
from tap_clarity.sandbox.world.rng import mix, unit

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from tap_clarity.sandbox.world.metrics import Frequency, Metric
    from tap_clarity.sandbox.world.network import Datasource

PERIODS: Final[dict[Frequency, int]] = {"minute": 0, "hour": HOUR, "day": DAY}
CACHE_DEPTHS: Final[dict[Frequency, int]] = {"minute": DAY, "hour": 2 * DAY, "day": 10 * DAY}

RECALIBRATION_EVERY: Final = 14 * DAY
RECALIBRATION_REACHES: Final = 2 * DAY
_REPROCESSING_TAKES: Final = 6 * HOUR
_NEW_SOURCE_UNCALIBRATED: Final = 36 * HOUR
_OLD_DAYS_END: Final = instant_of("2024-01-01")
_NO2_FAILS_BELOW: Final = -18.0
_HUMIDITY_BOUND: Final = 97.0

# Of 1000 calibrated cells: up to which draw each fate goes.
_PROCESSING, _REVOKED, _MIXED, _REDOING, _UNKNOWN = 12, 16, 21, 23, 24
_RARELY: Final = 400
# Of 1000 rows: up to which draw they lack their own mean, or never come.
_THIN, _LOST = 12, 17


class Row(NamedTuple):
    """One device's word on an instant or period, and when it reached Clarity."""

    datasource: Datasource
    source_id: str
    frequency: Frequency
    time: int
    period_end: int | None
    arrival: int
    seed: int
    thin: bool


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What calibration says of a cell: its status and which revision, if any, gives a value."""

    status: str
    revision: int | None


def rows(
    datasource: Datasource,
    frequency: Frequency,
    start: int,
    end: int,
) -> Iterator[Row]:
    """Give the rows that begin in [start, end), whether they have arrived or not, in order."""
    for access in datasource.access:
        low = max(start, access.span.start)
        high = end if access.span.end is None else min(end, access.span.end)
        for time in _times(datasource, frequency, low, high):
            row = _row(datasource, access.source_id, frequency, time)
            if row is not None:
                yield row


def _times(datasource: Datasource, frequency: Frequency, start: int, end: int) -> Iterator[int]:
    if frequency != "minute":
        period = PERIODS[frequency]
        yield from range(start + -start % period, end, period)
    elif datasource.source_type == "CLARITY_NODE":
        yield from _samples(datasource, start, end)


def _samples(datasource: Datasource, start: int, end: int) -> Iterator[int]:
    """Space the samples evenly but for a jitter of a few seconds, to the millisecond."""
    cadence, wobble = datasource.cadence, 8 * SECOND
    for turn in range((start - wobble) // cadence, end // cadence + 1):
        time = turn * cadence + mix(datasource.seed ^ turn) % wobble
        if start <= time < end:
            yield time


def _row(datasource: Datasource, source_id: str, frequency: Frequency, time: int) -> Row | None:
    period = PERIODS[frequency]
    seed = mix(mix(datasource.seed ^ period) ^ time)
    out = _outage(datasource, time) if frequency != "day" else None
    draw = seed % 1000
    # In reports an hour without its own mean still shows rolling means and the NowCast.
    thin = frequency == "hour" and (out == "thin" or draw < _THIN)
    lost = _THIN <= draw < _LOST
    if lost or out == "silent" or (out == "thin" and frequency == "minute"):
        return None
    end = time + period
    arrival = end + _delay(frequency, seed)
    return Row(datasource, source_id, frequency, time, end if period else None, arrival, seed, thin)


def _outage(datasource: Datasource, time: int) -> str | None:
    """Take a device off the air for some hours now and then."""
    draw = mix(mix(datasource.seed ^ 0x0FF) ^ (time // (5 * HOUR))) % 160
    return {0: "silent", 1: "thin"}.get(draw)


def _soon(frequency: Frequency) -> int:
    return {"minute": 70 * SECOND, "hour": 4 * MINUTE, "day": 45 * MINUTE}[frequency]


def _delay(frequency: Frequency, seed: int) -> int:
    """Say how long after its end a row arrives: mostly soon, sometimes late, rarely too late.

    "Too late" means that it never entered the recent cache: only a report shows it.
    """
    draw, spread = mix(seed) % 1000, unit(mix(seed ^ 1))
    very_late, late = (3, 40) if frequency == "day" else (1, 22)
    soon = _soon(frequency)
    if frequency == "day":
        late_by, very_late_by = 46 * HOUR, (9 * DAY + HOUR, 12 * HOUR)
    else:
        late_by = 170 * MINUTE
        very_late_by = (CACHE_DEPTHS[frequency] + 10 * MINUTE, 16 * HOUR)
    if draw < very_late:
        return very_late_by[0] + int(spread * very_late_by[1])
    if draw < late:
        return soon + int(spread * (late_by - soon))
    return soon + int(spread * soon / 2)


def entered_cache(row: Row) -> bool:
    """Tell whether a row was young enough for the recent cache when it arrived."""
    return row.time >= row.arrival - CACHE_DEPTHS[row.frequency]


def is_late(row: Row) -> bool:
    """Tell whether a row arrived later than most do."""
    end = row.time + PERIODS[row.frequency]
    return row.arrival - end >= _soon(row.frequency) * 3 // 2


def cells(row: Row, as_of: int, among: Container[str] | None = None) -> Iterator[Cell]:
    """Give a row's cells by metric name, as they stand at an instant.

    `among` names the only metrics to work out, the concentrations of indices included.
    """
    datasource = row.datasource
    air = air_at(datasource.site, row.time + PERIODS[row.frequency] // 2)
    known: dict[str, Cell] = {}
    for metric in sensed_by(datasource.modules, row.frequency):
        if among is not None and metric.name not in among:
            continue
        if row.thin and metric.aggregate == "1HourMean":
            continue
        if metric.standard is not None:
            yield _index_cell(metric, known[metric.concentration])
            continue
        cell = _cell(row, metric, air[metric.quantity.name], as_of)
        known[metric.name] = cell
        yield cell


def _cell(row: Row, metric: Metric, signal: Signal, as_of: int) -> Cell:
    chance = mix(row.seed ^ metric.salt)
    raw = _reading(metric, signal, chance)
    flags = _flags(metric.quantity.name, raw, chance)
    if not metric.quantity.calibrated or row.datasource.source_type == "REFERENCE_SITE":
        return Cell(metric, raw, raw, "sensor-ready", flags)
    verdict = _verdict(row, metric, raw, chance, as_of)
    if verdict.revision is None:
        return Cell(metric, raw, None, verdict.status, flags)
    value = _calibrate(metric, raw, verdict.revision)
    return Cell(metric, raw, value, verdict.status, flags)


def _index_cell(metric: Metric, of: Cell) -> Cell:
    standard, quantity = metric.standard or "", metric.quantity.name
    raw = indices.index(standard, quantity, of.raw)
    value = indices.index(standard, quantity, None if of.value is None else max(0.0, of.value))
    return Cell(metric, raw, value, of.status, of.flags)


def _reading(metric: Metric, signal: Signal, chance: int) -> float:
    quantity = metric.quantity
    level = signal.now if metric.aggregate in {"1HourMean", "Individual"} else signal.daily
    if metric.aggregate == "Nowcast":
        level = (signal.now + signal.daily) / 2
    scatter = signal.scatter * (2 * unit(chance) - 1)
    if metric.aggregate == "Individual":
        scatter *= 1.6
    if quantity.name == "no2Conc":
        # The raw electrochemical signal swings wide: negative often enough, absurd at times.
        return trimmed(level + scatter - (24 if chance % _RARELY == 1 else 0), quantity.digits)
    reading = level + scatter
    if quantity.name == "windDirection":
        return trimmed(reading % 360, quantity.digits)
    if quantity.name.startswith("temperature"):
        return trimmed(reading, quantity.digits)
    return trimmed(max(0.0, reading), quantity.digits)


def trimmed(number: float, digits: int) -> float:
    """Round; a whole number loses its decimals, as in the API's JSON."""
    rounded = round(number, digits)
    return int(rounded) if rounded == int(rounded) else rounded


def _flags(quantity: str, raw: float, chance: int) -> tuple[str, ...]:
    if quantity == "no2Conc" and raw < _NO2_FAILS_BELOW:
        return ("QC.I.OOB.001",)
    if quantity.startswith("relHumid") and raw > _HUMIDITY_BOUND:
        return ("QC.I.OOB.002",)
    return ("QC.I.OOB.001", "QC.I.OOB.002") if chance % _RARELY == 0 else ()


def _verdict(row: Row, metric: Metric, raw: float, chance: int, as_of: int) -> Verdict:
    quantity = metric.quantity.name
    if row.datasource.role == "bare" and quantity == "pm10ConcMass":
        return Verdict("calibration-missing", None)
    if row.time < _OLD_DAYS_END and quantity == "pm1ConcMass":
        return Verdict("calibration-unknown", None)
    if quantity == "no2Conc" and raw < _NO2_FAILS_BELOW:
        return Verdict("calibration-error", None)
    if _awaits_calibration(row, as_of):
        return Verdict("calibration-missing", None)
    return _fate(row, chance, as_of) or _recalibrated(row, chance, as_of)


def _awaits_calibration(row: Row, as_of: int) -> bool:
    """A new device's first values come without calibration, and are filled in a day later."""
    if len(row.datasource.stays) == 1:
        return False
    since = row.datasource.stays[-1].span.start
    assigned = since + _NEW_SOURCE_UNCALIBRATED
    return since <= row.time < assigned and as_of < assigned + DAY


def _fate(row: Row, chance: int, as_of: int) -> Verdict | None:
    """Draw the lot of the few cells that go their own way."""
    draw = (chance >> 20) % 1000
    if draw >= _UNKNOWN:
        return None
    odd = row.datasource.unlisted_statuses
    turn = row.arrival + 2 * HOUR + chance % (28 * HOUR)
    if draw < _PROCESSING:
        return Verdict("calibration-processing", None) if as_of < turn else None
    if draw < _REVOKED:
        return None if as_of < turn else Verdict("calibration-error", None)
    if draw < _MIXED:
        return Verdict("calibrated-provisionally" if odd else "calibration-mixed", 0)
    if draw < _REDOING:
        return Verdict("calibrated-reprocessing", 0)
    return Verdict("calibration-in-review" if odd else "calibration-unknown", None)


def _recalibrated(row: Row, chance: int, as_of: int) -> Verdict:
    """Apply the calibration that is redone every fortnight for the two days before it."""
    phase = row.datasource.seed % RECALIBRATION_EVERY
    redone = row.time + (phase - row.time) % RECALIBRATION_EVERY
    if redone - row.time > RECALIBRATION_REACHES or as_of < redone - _REPROCESSING_TAKES:
        return Verdict("calibrated-ready", 0)
    if as_of < redone:
        return Verdict("calibrated-reprocessing", 0)
    if (chance >> 32) % 40 == 0:
        return Verdict("calibration-missing", None)
    return Verdict("calibrated-ready", 1)


def _calibrate(metric: Metric, raw: float, revision: int) -> float:
    slope, offset = (0.86, 1.3) if metric.quantity.name != "no2Conc" else (0.92, 2.4)
    return trimmed(raw * (slope - 0.05 * revision) + offset + 0.4 * revision, 2)
