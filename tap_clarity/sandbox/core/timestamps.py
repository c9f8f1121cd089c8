"""Timestamps: whole milliseconds since 1970, and the ISO 8601 text that the API writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse(text: str) -> int:
    """Read ISO 8601, date-only strings included; raises ValueError."""
    return to_millis(datetime.fromisoformat(text))


def to_millis(moment: datetime | str) -> int:
    """Convert a datetime or ISO 8601 text; UTC where it names no zone."""
    if isinstance(moment, str):
        return parse(moment)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def to_datetime(timestamp: int) -> datetime:
    """Convert milliseconds to an aware datetime."""
    return _EPOCH + timestamp * _MILLISECOND


def iso(timestamp: int) -> str:
    """Format a timestamp as the API does: `2026-01-31T09:00:00.000Z`."""
    return f"{to_datetime(timestamp):%Y-%m-%dT%H:%M:%S}.{timestamp % SECOND:03d}Z"


def iso_or_none(timestamp: int | None) -> str | None:
    """Format a timestamp, or return null."""
    return None if timestamp is None else iso(timestamp)
