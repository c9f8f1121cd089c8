"""Targets and emulators of warehouses."""
