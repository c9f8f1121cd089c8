"""`clarity-sandbox`: an emulator of the Clarity API on loopback, with generated data.

It imports nothing of the tap, so that one mistake cannot hide in both. Its packages import only
from lower ones: core, http, behavior, world, api, testing.
"""

from __future__ import annotations

from tap_clarity.sandbox.sandbox import Sandbox
from tap_clarity.sandbox.testing.expected_records import Measurement
from tap_clarity.sandbox.world.world import World

__all__ = ["Measurement", "Sandbox", "World"]
