"""Runs the tap as a process, as users do, and reads its output."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tests.support import fork_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_clarity.sandbox import Measurement, Sandbox

LAUNCHER = Path(__file__).parent / "tap_launcher.py"
TIMEOUT = 120
Json = Any
Record = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class TapRun:
    """What one run of the tap left behind."""

    status: int
    output: bytes
    errors: str

    @cached_property
    def messages(self) -> list[Json]:
        """All Singer messages; the last line must be whole like the others."""
        assert not self.output or self.output.endswith(b"\n")
        return [json.loads(line) for line in self.output.splitlines()]

    def records(self, stream: str) -> list[Record]:
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]

    def upserted(self, stream: str) -> dict[Key, Record]:
        """The records as an upserting target would hold them, by key."""
        return upsert({}, self, stream)

    def schemas(self, stream: str) -> list[Json]:
        return [m for m in self.messages if m["type"] == "SCHEMA" and m["stream"] == stream]

    def metric(self, name: str, stream: str) -> Json:
        """The last value that the SDK's metrics give of a stream."""
        points = [json.loads(line.split("METRIC: ", 1)[1]) for line in self._metric_lines()]
        stream_points = [p for p in points if p["metric"] == name and p["tags"]["stream"] == stream]
        return stream_points[-1]["value"]

    def _metric_lines(self) -> list[str]:
        return [line for line in self.errors.splitlines() if "METRIC: " in line]

    @property
    def state(self) -> Json:
        """The last STATE that got out; an empty one if none did."""
        states = [m["value"] for m in self.messages if m["type"] == "STATE"]
        return states[-1] if states else {}

    @property
    def error_lines(self) -> list[str]:
        """The error lines, without time and logger."""
        return [
            line.split("|", 3)[3].strip() for line in self.errors.splitlines() if "| ERROR " in line
        ]

    def check(self) -> TapRun:
        """Fail, showing what the tap said, unless it ended well."""
        assert self.status == 0, self.errors
        assert "Traceback" not in self.errors, self.errors
        return self


def run_tap(
    sandbox: Sandbox,
    *args: str,
    streams: Iterable[str] | None = None,
    state: Json = None,
    env: Mapping[str, str] | None = None,
    **settings: Json,
) -> TapRun:
    """Run the tap against a sandbox, by the sandbox's clock.

    Args:
        sandbox: Where to read, and which clock to go by.
        *args: Further arguments of the command line.
        streams: Streams to select; None for what is selected by default.
        state: The Singer state to begin with.
        env: Further environment variables.
        **settings: Settings beside those that lead to the sandbox.
    """
    config = sandbox_settings(sandbox) | settings
    with tempfile.TemporaryDirectory() as folder:
        files = {"--config": config}
        if streams is not None:
            layout = settings.get("measurement_layout", "long")
            files["--catalog"] = catalog_of(
                tuple(streams),
                layout,
                config.get("output_frequency", "hour"),
            )
        if state is not None:
            files["--state"] = state
        for option, content in files.items():
            path = Path(folder, option.strip("-"))
            path.write_text(json.dumps(content), encoding="utf-8")
            args = (*args, f"{option}={path}")
        return launch(sandbox, args, env or {})


def sandbox_settings(sandbox: Sandbox) -> dict[str, Json]:
    """Give the settings with which the tap reads from a sandbox."""
    return {"api_url": sandbox.url, "api_key": sandbox.api_key, "org": sandbox.org}


def launch(sandbox: Sandbox, args: Sequence[str], env: Mapping[str, str]) -> TapRun:
    """Run the tap's command line by the sandbox's clock, with exactly these arguments."""
    environment = {**os.environ, "TEST_SANDBOX_URL": sandbox.url, **env}
    done = fork_server.run(args, environment, TIMEOUT)
    return TapRun(done.returncode, done.stdout, done.stderr.decode())


@cache
def _catalog(layout: str, frequency: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump({"measurement_layout": layout, "output_frequency": frequency}, config)
        config.flush()
        done = subprocess.run(
            [sys.executable, "-m", "tap_clarity", f"--config={config.name}", "--discover"],
            capture_output=True,
            check=True,
        )
    return done.stdout.decode()


def catalog_of(
    streams: Sequence[str], layout: str = "long", frequency: str = "hour"
) -> dict[str, Json]:
    """Discover a catalog in which exactly these streams are selected."""
    catalog: dict[str, Json] = json.loads(_catalog(layout, frequency))
    assert set(streams) <= {stream["tap_stream_id"] for stream in catalog["streams"]}
    for stream in catalog["streams"]:
        root = next(m["metadata"] for m in stream["metadata"] if m["breadcrumb"] == [])
        root["selected"] = stream["tap_stream_id"] in streams
    return catalog


def upsert(table: dict[Key, Record], run: TapRun, stream: str) -> dict[Key, Record]:
    """Load a run's records into a table as an upserting target would; gives the table."""
    keys: list[str] = next(
        (
            m["key_properties"]
            for m in run.messages
            if m["type"] == "SCHEMA" and m["stream"] == stream
        ),
        [],
    )
    for record in run.records(stream):
        table[tuple(record[key] for key in keys)] = record
    return table


def expected_records(
    measurements: Iterable[Measurement],
    id_field: str = "datasource_id",
    *,
    qc_assessment: bool = True,
    qc_flags: bool = False,
) -> dict[Key, Record]:
    """Write down the world's truth as the long records that the tap has to emit, by key."""
    records = {}
    for m in measurements:
        id_ = m.datasource_id if id_field == "datasource_id" else m.source_id
        time = _time(m.time)
        metric = m.metric.replace("NowCast", "Nowcast")  # whichever the emulator sends
        records[m.org, id_, m.output_frequency, metric, time] = {
            "org": m.org,
            id_field: id_,
            "source_id": m.source_id,
            "source_type": m.source_type,
            "output_frequency": m.output_frequency,
            "metric": metric,
            "time": time,
            "period_end": None if m.period_end is None else _time(m.period_end),
            "raw": m.raw,
            "value": m.value,
            "status": m.status,
            "qc_assessment": m.qc_assessment if qc_assessment else None,
            "qc_flags": list(m.qc_flags) if qc_flags else None,
            "latitude": m.latitude,
            "longitude": m.longitude,
        }
    return records


def utc(text: str) -> datetime:
    """Read an instant as a state holds it: 00:00 UTC is written as a date."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T00:00Z")


def _time(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def received_requests(sandbox: Sandbox, method: str = "", path: str = "") -> Iterator[Json]:
    """Give the requests that the sandbox has answered, of a method and a part of the path."""
    return (
        request
        for request in sandbox.requests
        if method in ("", request["method"]) and path in request["path"]
    )


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Write down what a tap in this process logs, in the form of a tap in another."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("- | %(levelname)-8s | %(name)s | %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with patch.object(root, "level", logging.INFO):
            yield text
    finally:
        root.removeHandler(handler)
