"""A Singer tap for Clarity's air-quality data API."""
