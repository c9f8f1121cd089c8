"""One HTML page to look at, from a DuckDB file that a load has filled."""
