"""What arrives in Snowflake and BigQuery, and which names and types all warehouses can take."""
