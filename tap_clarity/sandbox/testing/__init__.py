"""What tests control: faults, corruption, request log and the admin API."""
