"""From a reply's bytes to measurement records: knows neither HTTP nor state."""
