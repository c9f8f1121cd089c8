"""Rows: when each device has measured, and when its data has arrived; generated, not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE, SECOND
from tap_clarity.sandbox.world.rng import fraction, mix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.network import Datasource

PERIODS: Final[dict[Frequency, int]] = {"minute": 0, "hour": HOUR, "day": DAY}
CACHE_DEPTHS: Final[dict[Frequency, int]] = {"minute": DAY, "hour": 2 * DAY, "day": 10 * DAY}

# Of 1000 rows: below which number they lack their own mean, or never arrive.
_WITHOUT_MEAN, _LOST = 12, 17


class Row(NamedTuple):
    """What a device measured at a timestamp or in a period, and when it reached Clarity."""

    datasource: Datasource
    source_id: str
    frequency: Frequency
    time: int
    period_end: int | None
    arrival: int
    seed: int
    lacks_mean: bool


def rows(
    datasource: Datasource,
    frequency: Frequency,
    start: int,
    end: int,
) -> Iterator[Row]:
    """Generate the rows that begin in [start, end) in order, whether they have arrived or not."""
    for access in datasource.access:
        low = max(start, access.time_range.start)
        high = end if access.time_range.end is None else min(end, access.time_range.end)
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
    """Generate timestamps at even intervals, with a jitter of a few seconds."""
    cadence, jitter = datasource.cadence, 8 * SECOND
    for number in range((start - jitter) // cadence, end // cadence + 1):
        time = number * cadence + mix(datasource.seed ^ number) % jitter
        if start <= time < end:
            yield time


def _row(datasource: Datasource, source_id: str, frequency: Frequency, time: int) -> Row | None:
    period = PERIODS[frequency]
    seed = mix(mix(datasource.seed ^ period) ^ time)
    outage = _outage(datasource, time) if frequency != "day" else None
    number = seed % 1000
    is_lost = _WITHOUT_MEAN <= number < _LOST
    if is_lost or outage == "full" or (outage == "partial" and frequency == "minute"):
        return None
    end = time + period
    period_end = end if period else None
    arrival = end + _delay(frequency, seed)
    # In reports an hour without its own mean still has rolling means and the NowCast.
    lacks_mean = frequency == "hour" and (outage == "partial" or number < _WITHOUT_MEAN)
    return Row(datasource, source_id, frequency, time, period_end, arrival, seed, lacks_mean)


def _outage(datasource: Datasource, time: int) -> Literal["full", "partial"] | None:
    """Return the outage that a device has now and then, for some hours."""
    number = mix(mix(datasource.seed ^ 0x0FF) ^ (time // (5 * HOUR))) % 160
    if number > 1:
        return None
    return "partial" if number else "full"


def _usual_delay(frequency: Frequency) -> int:
    return {"minute": 70 * SECOND, "hour": 4 * MINUTE, "day": 45 * MINUTE}[frequency]


def _delay(frequency: Frequency, seed: int) -> int:
    """Return how long after its end a row arrives: mostly soon, sometimes late, rarely too late.

    "Too late" means that it never enters the recent cache: only reports have it.
    """
    number, spread = mix(seed) % 1000, fraction(mix(seed ^ 1))
    very_late, late = (3, 40) if frequency == "day" else (1, 22)
    soon = _usual_delay(frequency)
    if frequency == "day":
        late_by, very_late_by = 46 * HOUR, (9 * DAY + HOUR, 12 * HOUR)
    else:
        late_by = 170 * MINUTE
        very_late_by = (CACHE_DEPTHS[frequency] + 10 * MINUTE, 16 * HOUR)
    if number < very_late:
        return very_late_by[0] + int(spread * very_late_by[1])
    if number < late:
        return soon + int(spread * (late_by - soon))
    return soon + int(spread * soon / 2)


def entered_cache(row: Row) -> bool:
    """Whether a row was recent enough for the recent cache when it arrived."""
    return row.time >= row.arrival - CACHE_DEPTHS[row.frequency]


def is_late(row: Row) -> bool:
    """Whether a row arrived later than most do."""
    end = row.time + PERIODS[row.frequency]
    return row.arrival - end >= _usual_delay(row.frequency) * 3 // 2
