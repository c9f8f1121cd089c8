"""Clock and timestamps of the emulator."""
