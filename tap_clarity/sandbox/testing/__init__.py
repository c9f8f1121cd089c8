"""What tests control and observe: faults, the request log, expected data, and the admin API."""
