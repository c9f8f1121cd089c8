"""Formats times, units and numbers for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - DuckDB's times are UTC and naive; so are ours
_UNITS: Final = {"ug/m3": "µg/m³", "ng/m3": "ng/m³", "degC": "°C"}
_MAX_NAMES: Final = 3


def period_start(period: int, period_seconds: int) -> datetime:
    """The time at which a period begins."""
    return _EPOCH + timedelta(seconds=period * period_seconds)


def minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def day(time: datetime) -> str:
    return f"{time.day} {time:%b %Y}"


def unit(name: str | None) -> str:
    return "unit unknown" if name is None else _UNITS.get(name, name)


def age(elapsed: timedelta) -> str:
    """How long ago, in minutes, hours or days."""
    minutes = max(0, int(elapsed.total_seconds()) // 60)
    if minutes < 90:  # noqa: PLR2004 - "1 hour" would be wrong by half
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"  # noqa: PLR2004 - two days


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(periods: int, period_seconds: int) -> str:
    if period_seconds == 86_400:  # noqa: PLR2004 - a day
        return count(periods, "day")
    days, hours = divmod(periods, 24)
    if not days:
        return count(hours, "hour")
    return count(days, "day") + (f" {count(hours, 'hour')}" if hours else "")


def percentage(part: int, total: int) -> str:
    """A percentage that is 100 only when nothing is missing."""
    if part == total:
        return "100 %"
    return f"{min(99.9, 100 * part / total):.1f} %"


def decimal(number: float) -> str:
    """A number with one decimal."""
    return minus_sign(f"{number:.1f}")


def coordinates(location: tuple[float, float] | None) -> str:
    return minus_sign(", ".join(f"{degrees:.4f}" for degrees in location or ()))


def minus_sign(number: str) -> str:
    return number.replace("-", "\N{MINUS SIGN}")


def station_names(names: Sequence[str]) -> str:
    """A list of stations, of which only the first are named if there are many."""
    if len(names) > _MAX_NAMES:
        return f"{', '.join(names[:2])} and {count(len(names) - 2, 'other station')}"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def quantity(name: str) -> str:
    """A quantity as the head of a column; all quantities on the page are ambient."""
    return name.removeprefix("ambient ").capitalize() if " " in name else name
