"""Calculates the rows per month of a measurement stream, for docs/warehouses/README.md."""

from __future__ import annotations

MONTH = 30 * 86_400
SECONDS = {"minute": 223, "hour": 3_600, "day": 86_400}
"""Between two measurements; nodes send samples every 223 s or more seldom."""
METRICS = {"minute": 9, "hour": 21, "day": 11}
"""Of a node without accessory modules, as the sandbox draws most of them."""
SENSORS = (10, 100, 300)


def volume_table() -> str:
    lines = [
        "| Frequency | Metrics | Sensors | Rows a month, long | Rows a month, wide |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(_line(frequency, sensors) for frequency in SECONDS for sensors in SENSORS),
    ]
    return "\n" + "\n".join(lines) + "\n\n"


def _line(frequency: str, sensors: int) -> str:
    wide = sensors * MONTH // SECONDS[frequency]
    long = wide * METRICS[frequency]
    return f"| {frequency} | {METRICS[frequency]} | {sensors} | {long:,} | {wide:,} |"
