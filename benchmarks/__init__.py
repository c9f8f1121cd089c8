"""Measures the tap against what else there is: `python3 -m benchmarks`, see docs/performance.md."""
