"""Loads into Snowflake, BigQuery, DuckDB and PostgreSQL, and names and types for all of them."""
