"""Tests by behavior: the tap runs against the emulator."""
