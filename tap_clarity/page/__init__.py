"""Makes one HTML page from a DuckDB file that a load has filled."""
