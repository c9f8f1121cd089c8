"""Behaviors of the API that the emulator switches on: discrepancies and unknowns."""
