"""What the emulated API does differently on request: quirks, unknowns and their parameters."""
