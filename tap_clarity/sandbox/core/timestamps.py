"""Instants as whole milliseconds since 1970, and the text that the API writes for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_millis(moment: datetime) -> int:
    """Count the milliseconds to a moment; one without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def to_datetime(when: int) -> datetime:
    """Turn milliseconds into an aware datetime."""
    return _EPOCH + when * _MILLISECOND


def parse(text: str) -> int:
    """Read ISO 8601, date-only strings included; raises ValueError."""
    return to_millis(datetime.fromisoformat(text))


def instant(moment: datetime | str) -> int:
    """Take a moment in either of the forms that callers use."""
    return parse(moment) if isinstance(moment, str) else to_millis(moment)


def iso(when: int) -> str:
    """Write an instant as the API does: `2026-01-31T09:00:00.000Z`."""
    moment = to_datetime(when)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{when % SECOND:03d}Z"


def iso_or_none(when: int | None) -> str | None:
    """Write an instant, or null."""
    return None if when is None else iso(when)
