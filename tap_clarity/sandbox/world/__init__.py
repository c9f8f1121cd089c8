"""The simulated world: a city, its air, its devices, and what they measure."""
