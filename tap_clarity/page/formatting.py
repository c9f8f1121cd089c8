"""Times, units and numbers as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - DuckDB's times are UTC and naive; so are ours
_UNITS: Final = {"ug/m3": "µg/m³", "ng/m3": "ng/m³", "degC": "°C"}
_MOST_NAMED: Final = 3


def moment(period: int, seconds: int) -> datetime:
    """The instant at which a period begins."""
    return _EPOCH + timedelta(seconds=period * seconds)


def minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def day(instant: datetime) -> str:
    return f"{instant.day} {instant:%b %Y}"


def unit(name: str | None) -> str:
    return "unit unknown" if name is None else _UNITS.get(name, name)


def age(passed: timedelta) -> str:
    """How long ago, in the unit that tells most."""
    minutes = max(0, int(passed.total_seconds()) // 60)
    if minutes < 90:  # noqa: PLR2004 - "1 hour" would be wrong by half
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"  # noqa: PLR2004 - two days


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def length(periods: int, seconds: int) -> str:
    if seconds == 86_400:  # noqa: PLR2004 - a day
        return counted(periods, "day")
    days, hours = divmod(periods, 24)
    if not days:
        return counted(hours, "hour")
    return counted(days, "day") + (f" {counted(hours, 'hour')}" if hours else "")


def share(part: int, whole: int) -> str:
    """A percentage that says 100 only when nothing is missing."""
    if part == whole:
        return "100 %"
    return f"{min(99.9, 100 * part / whole):.1f} %"


def figure(number: float) -> str:
    return f"{number:.1f}".replace("-", "\N{MINUS SIGN}")


def names(of: Sequence[str]) -> str:
    """A list of stations, the first few by name."""
    if len(of) > _MOST_NAMED:
        return f"{', '.join(of[:2])} and {counted(len(of) - 2, 'other station')}"
    return " and ".join(filter(None, [", ".join(of[:-1]), of[-1]]))


def plain(quantity: str) -> str:
    """A quantity as the head of a column; all that is on the page is ambient."""
    return quantity.removeprefix("ambient ").capitalize() if " " in quantity else quantity
