"""Loads invented data from the sandbox into DuckDB. Runs in a clone of the repository."""
