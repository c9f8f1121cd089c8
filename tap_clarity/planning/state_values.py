"""Reads and writes the values of a stream's state.

Meltano merges states deeply and never deletes a key. So every key is always written, a cleared
value is null, and collections are lists. Whatever cannot be read raises ValueError: the stream then
starts without a state, and a warning says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tap_clarity.core.timestamps import DAY, Window, floor, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

State = dict[str, Any]
MAX_TEXT_LENGTH = 1 << 16
MAX_ITEMS = 1000
MAX_COUNT = 1_000_000
"""What the tap writes comes nowhere near these; longer values would be repeated in each STATE."""
T = TypeVar("T")


def read_optional(state: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Read a value of a type, or null."""
    value = state.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ValueError(f"{name} is not a {kind.__name__}")
    limit = MAX_TEXT_LENGTH if kind is str else MAX_ITEMS
    if isinstance(value, str | list) and len(value) > limit:
        raise ValueError(f"{name} exceeds the limit of {limit}")
    return value


def read_list(state: Mapping[str, Any], name: str) -> list[Any]:
    """Read a list; null is an empty one."""
    return read_optional(state, name, list) or []


def read_time(state: Mapping[str, Any], name: str) -> datetime | None:
    """Read an instant, or null."""
    text = read_optional(state, name, str)
    return parse_timestamp(text) if text else None


def read_timestamp(value: Any) -> datetime:  # noqa: ANN401
    """Read an instant or a UTC day."""
    if not isinstance(value, str):
        raise ValueError("an instant is not a text")  # noqa: TRY004 - any junk is a ValueError
    return parse_timestamp(value)


def read_count(value: Any) -> int:  # noqa: ANN401
    """Read a whole number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ValueError("a count is not a whole number")
    return value


def read_window(value: Any) -> Window:  # noqa: ANN401
    """Read a pair of instants."""
    match value:
        case [str(start), str(end)]:
            window = Window(parse_timestamp(start), parse_timestamp(end))
            if window.start < window.end:
                return window
    raise ValueError("a window is not a pair of instants, the earlier one first")


def window_pair(window: Window) -> list[str | None]:
    """Write a window as a pair of instants."""
    return [short_timestamp(window.start), short_timestamp(window.end)]


def short_timestamp(instant: datetime | None) -> str | None:
    """Write an instant as short as it is exact, 00:00 UTC as a date: states have to stay small."""
    if instant is None:
        return None
    if instant == floor(instant, DAY):
        return instant.date().isoformat()
    whole = "minutes" if not (instant.second or instant.microsecond) else "milliseconds"
    return instant.isoformat(timespec=whole).replace("+00:00", "Z")


def short_minute(instant: datetime | None) -> str | None:
    """Write an instant to the minute."""
    return short_timestamp(instant.replace(second=0, microsecond=0)) if instant else None


def short_day(day: date | None) -> str | None:
    """Write a UTC day."""
    return day.isoformat() if day else None
