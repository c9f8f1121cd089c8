"""Values that many tests use."""

from __future__ import annotations

NOW = "2026-03-10T09:20:00Z"
SANDBOX_NOW = "2026-11-20T13:07:00Z"
"""In the tests of the emulator itself."""
