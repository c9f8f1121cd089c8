"""The data behind the API, generated from a seed: datasources, devices, air, measurements."""
