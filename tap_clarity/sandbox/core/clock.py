"""The sandbox's own clock: it can be frozen, set and moved."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from tap_clarity.sandbox.core import timestamps as instants


class Clock:
    """Ticks with real time unless frozen; every answer of the sandbox reads only this clock."""

    def __init__(self, start: int, *, frozen: bool = False) -> None:
        self._lock = threading.Lock()
        self._base = start
        self._frozen = frozen
        self._since = time.monotonic()

    @property
    def frozen(self) -> bool:
        """Whether the clock moves only when told."""
        return self._frozen

    def millis(self) -> int:
        """Tell the time in milliseconds."""
        with self._lock:
            return self._read()

    def now(self) -> datetime:
        """Tell the time as an aware datetime."""
        return instants.to_datetime(self.millis())

    def set(self, moment: datetime | str) -> None:
        """Jump to a moment."""
        with self._lock:
            self._restart(instants.instant(moment))

    def advance(self, by: float | timedelta) -> None:
        """Move by seconds or a timedelta."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        with self._lock:
            self._restart(self._read() + round(seconds * instants.SECOND))

    def freeze(self, *, frozen: bool = True) -> None:
        """Stop the clock, or let it tick again."""
        with self._lock:
            self._restart(self._read())
            self._frozen = frozen

    def _read(self) -> int:
        if self._frozen:
            return self._base
        return self._base + int((time.monotonic() - self._since) * instants.SECOND)

    def _restart(self, at: int) -> None:
        self._base = at
        self._since = time.monotonic()
