"""Command lines of the tap under test."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from benchmarks.data import ORG, START

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.data import Size

TAP = (sys.executable, "-m", "tap_clarity")
VANILLA = (sys.executable, "-m", "benchmarks.vanilla")
MEASUREMENTS = "datasource_measurements"
Settings = dict[str, Any]


def settings_for(size: Size) -> Settings:
    """Settings by which exactly one window is asked for: all of a report."""
    return {
        "start_date": START.isoformat(),
        "end_date": size.end.isoformat(),
        "report_window_days": 366,
        "lookback_days": 0,
        "report_poll_interval": 0.001,
    }


def tap_command(
    folder: Path, url: str, *streams: str, layout: str = "long", **settings: object
) -> list[str]:
    """Give the command that reads these streams; its files are put into the folder."""
    common = {"api_url": url, "api_key": "benchmark", "org": ORG, "measurement_layout": layout}
    config = _write(folder / f"config-{layout}.json", {**common, **settings})
    catalog = _write(folder / f"catalog-{layout}.json", _catalog(layout, streams))
    return [*TAP, f"--config={config}", f"--catalog={catalog}"]


def vanilla_command(folder: Path, url: str, layout: str = "long", **settings: object) -> list[str]:
    """Give the command of the vanilla tap, which has one stream only."""
    config = {"api_url": url, "org": ORG, "measurement_layout": layout, **settings}
    return [*VANILLA, f"--config={_write(folder / f'vanilla-{layout}.json', config)}"]


def _write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _catalog(layout: str, streams: tuple[str, ...]) -> Any:  # noqa: ANN401
    catalog = json.loads(_discovered(layout))
    for stream in catalog["streams"]:
        root = next(each["metadata"] for each in stream["metadata"] if not each["breadcrumb"])
        root["selected"] = stream["tap_stream_id"] in streams
    return catalog


@cache
def _discovered(layout: str) -> str:
    config = json.dumps({"measurement_layout": layout})
    command = [*TAP, "--config=/dev/stdin", "--discover"]
    return subprocess.run(command, input=config, capture_output=True, text=True, check=True).stdout
