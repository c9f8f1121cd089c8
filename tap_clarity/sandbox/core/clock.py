"""The emulator's clock, which can be frozen, set and advanced."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from tap_clarity.sandbox.core import timestamps


class Clock:
    """Follows real time unless frozen; every response reads only this clock."""

    def __init__(self, start: int, *, frozen: bool = False) -> None:
        self._lock = threading.Lock()
        self._start = start
        self._frozen = frozen
        self._started_at = time.monotonic()

    @property
    def frozen(self) -> bool:
        """Whether the clock moves only by `set` and `advance`."""
        return self._frozen

    def millis(self) -> int:
        """Return the time in milliseconds."""
        with self._lock:
            return self._read()

    def now(self) -> datetime:
        """Return the time as an aware datetime."""
        return timestamps.to_datetime(self.millis())

    def set(self, moment: datetime | str) -> None:
        """Set the time."""
        with self._lock:
            self._restart(timestamps.to_millis(moment))

    def advance(self, by: float | timedelta) -> None:
        """Advance by seconds or a timedelta."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        with self._lock:
            self._restart(self._read() + round(seconds * timestamps.SECOND))

    def freeze(self, *, frozen: bool = True) -> None:
        """Stop the clock, or let it tick again."""
        with self._lock:
            self._restart(self._read())
            self._frozen = frozen

    def _read(self) -> int:
        if self._frozen:
            return self._start
        return self._start + int((time.monotonic() - self._started_at) * timestamps.SECOND)

    def _restart(self, timestamp: int) -> None:
        self._start = timestamp
        self._started_at = time.monotonic()
