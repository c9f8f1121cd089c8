"""The clock."""

from __future__ import annotations

import time

from tap_clarity.sandbox import Sandbox


def test_an_unfrozen_clock_ticks() -> None:
    sandbox = Sandbox(now="2026-01-01T00:00:00Z")
    before = sandbox.clock.millis()
    time.sleep(0.01)
    assert before < sandbox.clock.millis() < before + 5000
