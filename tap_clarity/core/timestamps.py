"""Instants and windows of time, always in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_timestamp(text: str) -> datetime:
    """Read an ISO 8601 instant; without a zone it means UTC, without a time 00:00.

    What is finer than a millisecond is dropped: neither Clarity nor a record can say it.

    Raises:
        ValueError: If the text is no instant. The message does not repeat it.
    """
    try:
        # Digits alone are a date in ISO 8601, and an epoch in files: 1795010100000 is no 1795.
        instant = datetime.fromisoformat(
            "" if text.isdigit() and len(text) > len("YYYYMMDD") else text
        )
    except (AttributeError, TypeError, ValueError) as error:
        message = "not an ISO 8601 date or time"
        raise ValueError(message) from error
    try:
        instant = instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        message = "outside the years 1 to 9999"
        raise ValueError(message) from error
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def format_timestamp(instant: datetime) -> str:
    """Write an instant as records carry it: `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def floor(instant: datetime, step: timedelta) -> datetime:
    """Give the last whole multiple of `step` since the epoch, at or before `instant`.

    The epoch began at 00:00 UTC, so days and whole divisions of a day begin there too.
    """
    return instant - (instant - EPOCH) % step


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open range of time: `start` belongs to it, `end` does not."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        """Whether the instant lies inside."""
        return self.start <= instant < self.end

    def __str__(self) -> str:
        """Write the two ends, for people."""
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"
