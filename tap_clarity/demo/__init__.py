"""The demo: invented data, from the sandbox into DuckDB. Runs from a clone."""
