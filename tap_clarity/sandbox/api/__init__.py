"""Handlers of the emulated API."""
