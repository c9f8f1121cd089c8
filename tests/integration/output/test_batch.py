"""BATCH messages: files contain the same records as RECORD messaged."""

from __future__ import annotations

import gzip
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import pytest
from pyarrow import parquet

from tap_clarity.measurements.fast.record_writer import Lines
from tap_clarity.output import batch
from tap_clarity.output.batch import MAX_RECORDS, BatchFiles
from tap_clarity.output.line_writer import OutputClosed
from tests.support.constants import NOW
from tests.support.tap_process import TapRun, catalog_of, run_tap, utc

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import SDKBatchMessage

    from tap_clarity.sandbox import Sandbox

MEASUREMENTS = ["recent_measurements", "datasource_measurements"]
FORMATS = {"parquet": "parquet", "jsonl": "jsonl.gz"}
HOUR = timedelta(hours=1)
Record = dict[str, Any]


def batch_config(root: Path, format_: str, **more: int) -> dict[str, Any]:
    encoding = {"format": format_, "compression": "gzip" if format_ == "jsonl" else "none"}
    return {"encoding": encoding, "storage": {"root": root.as_uri()}, **more}


def files_of(run: TapRun, stream: str) -> list[list[Record]]:
    """Read the files that a run announced, as a loader would."""
    return [
        read(path_of(url))
        for message in run.messages
        if message["type"] == "BATCH" and message["stream"] == stream
        for url in message["manifest"]
    ]


def path_of(url: str) -> Path:
    return Path(unquote(urlparse(url).path))


def read(file: Path) -> list[Record]:
    if file.suffix == ".parquet":
        rows: list[Record] = parquet.read_table(file).to_pylist()
        return rows
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def without_nulls(value: Any) -> Any:  # noqa: ANN401
    """In Parquet, what is not there is null, at every depth."""
    if not isinstance(value, dict):
        return value
    return {name: without_nulls(each) for name, each in value.items() if each is not None}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_batch_files_equal_the_records(
    sandbox: Sandbox, tmp_path: Path, layout: str, format_: str
) -> None:
    streams = ["datasources", *MEASUREMENTS]
    settings: dict[str, Any] = {
        "start_date": "2026-03-07",
        "report_window_days": 2,
        "measurement_layout": layout,
        "metric_select": "all",
        "qc_flags": True,
    }
    messaged = run_tap(sandbox, streams=streams, **settings).check()
    sandbox.clock.set(NOW)
    settings["batch_config"] = batch_config(tmp_path, format_)
    batched = run_tap(sandbox, streams=streams, **settings).check()
    for stream in MEASUREMENTS:
        found = [without_nulls(record) for file in files_of(batched, stream) for record in file]
        assert found == [without_nulls(record) for record in messaged.records(stream)]
        assert batched.records(stream) == []
        assert batched.schemas(stream) == messaged.schemas(stream)
        assert batched.metric("record_count", stream) == len(found) > 0
    assert batched.upserted("datasources") == messaged.upserted("datasources") != {}
    assert len(files_of(batched, "datasource_measurements")) == 2
    assert batched.state["bookmarks"].keys() == messaged.state["bookmarks"].keys()
    assert batched.messages[-1]["type"] == "STATE"


def test_unknown_metrics_are_in_wide_parquet_files(sandbox: Sandbox, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"measurement_layout": "wide"}
    messaged = run_tap(sandbox, streams=MEASUREMENTS[:1], **settings).check()
    sandbox.clock.set(NOW)
    settings["batch_config"] = batch_config(tmp_path, "parquet")
    batched = run_tap(sandbox, streams=MEASUREMENTS[:1], **settings).check()
    stream = MEASUREMENTS[0]
    found = [without_nulls(record) for file in files_of(batched, stream) for record in file]
    assert found == [without_nulls(record) for record in messaged.records(stream)]
    assert any("other_metrics" in record for record in found)


@pytest.mark.parametrize("format_", FORMATS)
def test_deselected_property_is_in_no_batch_file(
    sandbox: Sandbox, tmp_path: Path, format_: str
) -> None:
    catalog = catalog_of(MEASUREMENTS[:1])
    (stream,) = [s for s in catalog["streams"] if s["tap_stream_id"] == MEASUREMENTS[0]]
    (raw,) = [m for m in stream["metadata"] if m["breadcrumb"] == ["properties", "raw"]]
    raw["metadata"]["selected"] = False
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(catalog))
    config = batch_config(tmp_path, format_)
    run = run_tap(sandbox, f"--catalog={path}", batch_config=config).check()
    (schema,) = run.schemas(MEASUREMENTS[0])
    (file,) = files_of(run, MEASUREMENTS[0])
    assert len(file) == run.metric("record_count", MEASUREMENTS[0]) > 0
    assert {*file[0]} == {*schema["schema"]["properties"]}
    assert "raw" not in file[0]
    assert "value" in file[0]


def test_batch_file_does_not_exceed_the_batch_size(sandbox: Sandbox, tmp_path: Path) -> None:
    config = batch_config(tmp_path, "jsonl", batch_size=100)
    run = run_tap(sandbox, streams=MEASUREMENTS[:1], batch_config=config).check()
    *full, last = files_of(run, MEASUREMENTS[0])
    assert {len(file) for file in full} == {100}
    assert 0 < len(last) <= 100


def test_state_is_written_after_the_batch_files_that_it_covers(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run = run_tap(
        sandbox,
        streams=MEASUREMENTS[1:],
        start_date="2026-03-01",
        report_window_days=3,
        batch_config=batch_config(tmp_path, "jsonl"),
    ).check()
    written_times: set[datetime] = set()
    is_covered: list[bool] = []
    for message in run.messages:
        if message["type"] == "BATCH":
            (url,) = message["manifest"]
            written_times |= {datetime.fromisoformat(row["time"]) for row in read(path_of(url))}
        elif message["type"] == "STATE":
            covered = message["value"]["bookmarks"].get(MEASUREMENTS[1], {}).get("covered", [])
            is_covered += [hours(*window) <= written_times for window in covered]
    assert all(is_covered)
    assert len(is_covered) > 3


def hours(start: str, end: str) -> set[datetime]:
    first, last = utc(start), utc(end)
    return {first + timedelta(hours=hour) for hour in range(int((last - first) / HOUR))}


def test_invalid_row_ends_the_file_after_the_rows_before_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"start_date": "2026-03-07", "streams": MEASUREMENTS[1:]}
    sandbox.faults.inject("row-width", path="/files/*", times=None)
    messaged = run_tap(sandbox, **settings)
    sandbox.clock.set(NOW)
    batched = run_tap(sandbox, **settings, batch_config=batch_config(tmp_path, "jsonl"))
    (file,) = files_of(batched, MEASUREMENTS[1])
    assert file == messaged.records(MEASUREMENTS[1]) != []
    (error_line,) = batched.error_lines
    assert "cells where the header has" in error_line
    assert batched.status == messaged.status == 1


def test_unwritable_storage_ends_the_run(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = batch_config(tmp_path / "file", "jsonl")
    run = run_tap(sandbox, streams=MEASUREMENTS[:1], batch_config=config)
    (error_line,) = run.error_lines
    assert error_line.startswith("a batch file could not be stored: ")
    assert error_line.endswith("; check batch_config.storage")
    assert run.status == 1
    assert "bookmarks" not in run.state or "token" not in json.dumps(run.state)


@pytest.mark.parametrize(
    ("settings", "error_line"),
    [
        (
            {"batch_config": {"storage": {"root": "/tmp"}}},  # noqa: S108
            "setting batch_config needs encoding.format: parquet or jsonl",
        ),
        (
            {"batch_config": {"encoding": {"format": "jsonl"}}},
            "setting batch_config needs storage.root: where to write, such as file:///tmp/batches",
        ),
        (
            {"batch_config": batch_config(Path("/x"), "jsonl") | {"batch_size": 0}},
            "setting batch_config: batch_size must be a whole number above 0",
        ),
        (
            {"batch_config": batch_config(Path("/x"), "jsonl") | {"batch_sise": 1}},
            "setting batch_config: batch_sise is unknown",
        ),
        (
            {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "x", "y": 1}}},
            "setting batch_config: storage.y is unknown",
        ),
        (
            {
                "batch_config": {
                    "encoding": {"format": "jsonl", "compression": "none"},
                    "storage": {"root": "x"},
                }
            },
            "setting batch_config: jsonl is always gzipped: set encoding.compression to gzip",
        ),
        (
            {
                "batch_config": batch_config(Path("/x"), "jsonl"),
                "stream_maps": {"metrics": {"unit": "unit"}},
            },
            "setting stream_maps does not work with batch_config: leave out one of them",
        ),
        (
            {
                "batch_config": batch_config(Path("/x"), "jsonl"),
                "flattening_enabled": True,
                "flattening_max_depth": 1,
            },
            "setting flattening_enabled does not work with batch_config: leave out one of them",
        ),
    ],
)
def test_unsupported_batch_config_is_rejected_with_its_name(
    sandbox: Sandbox, settings: dict[str, Any], error_line: str
) -> None:
    run = run_tap(sandbox, **settings)
    assert run.error_lines == [error_line]
    assert run.status == 1
    assert not list(sandbox.requests)


def test_parquet_batch_requires_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "find_spec", lambda _: None)
    config = {"batch_config": batch_config(Path("/x"), "parquet")}
    assert list(batch.batch_problems(config)) == [
        "setting batch_config: parquet needs pip install 'tap-clarity[parquet]'"
    ]


def test_batch_files_are_split_at_the_default_size(tmp_path: Path) -> None:
    announced: list[SDKBatchMessage] = []
    files = BatchFiles(
        batch_config(tmp_path, "jsonl", batch_size=10**9), "stream", {}, announced.append
    )
    numbers = range(2 * MAX_RECORDS + 5)
    for start in range(0, len(numbers), 30_000):
        chunk = numbers[start : start + 30_000]
        files.add(Lines("".join(f'{{"n":{number}}}\n' for number in chunk), len(chunk)))
    files.flush()
    read_back = [read(path_of(message.manifest[0])) for message in announced]
    assert [len(file) for file in read_back] == [MAX_RECORDS, MAX_RECORDS, 5]
    assert [record["n"] for file in read_back for record in file] == [*numbers]


def test_records_incompatible_with_arrow_end_the_run_with_one_line(tmp_path: Path) -> None:
    """An inner field that is now a number, now a text: none was ever seen."""
    announced: list[SDKBatchMessage] = []
    files = BatchFiles(batch_config(tmp_path, "parquet"), "stream", {}, announced.append)
    files.add(Lines('{"other": {"raw": 1}}\n{"other": {"raw": "one"}}\n', 2))
    with pytest.raises(OutputClosed) as caught:
        files.flush()
    assert re.fullmatch(
        r"records do not fit into Parquet: [^\n]+; set batch_config\.encoding\.format to jsonl",
        str(caught.value),
    )
    assert announced == []


def test_long_records_give_smaller_batch_files(tmp_path: Path) -> None:
    announced: list[SDKBatchMessage] = []
    files = BatchFiles(batch_config(tmp_path, "jsonl"), "stream", {}, announced.append)
    line = json.dumps({"text": "x" * (batch.MAX_BYTES // 10)}) + "\n"
    for _ in range(25):
        files.add(Lines(line, 1))
    files.flush()
    sizes = [len(read(path_of(message.manifest[0]))) for message in announced]
    assert sizes == [10, 10, 5]
