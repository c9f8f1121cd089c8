"""`clarity-sandbox`: Clarity's documented API, emulated on loopback over an invented city.

It shares no code with the tap, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from tap_clarity.sandbox.sandbox import Sandbox
from tap_clarity.sandbox.world.world import Measurement, World

__all__ = ["Measurement", "Sandbox", "World"]
