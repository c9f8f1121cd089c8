"""Faults in the files of a report: each is detected, and no data is lost."""

from __future__ import annotations

import json
import re
import signal
import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api import response_body, transport
from tap_clarity.sandbox import Sandbox
from tests.support.documented.report_file_faults import FAULTS, Fault
from tests.support.reports.harness import (
    STREAM,
    bookmark_of,
    expected_records_of,
    requested_windows,
    run_killed,
    warnings,
)
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import TapRun, received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START, END = "2026-03-09", "2026-03-10T09:00Z"
WINDOW = "2026-03-09 00:00 to 2026-03-10 09:00"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go, even small ones; none is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(response_body, "MAX_IN_MEMORY", 1)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def create_sandbox(**options: Any) -> Sandbox:  # noqa: ANN401
    usual: dict[str, Any] = {"now": "2026-03-10T09:20:00Z", "frozen": True, "report_seconds": 0}
    return Sandbox(seed=1, datasources=2, **usual | options)


def load(sandbox: Sandbox, **settings: Any) -> TapRun:  # noqa: ANN401
    return run_in_process(sandbox, start_date=START, **settings)


def check_complete(run: TapRun, sandbox: Sandbox) -> None:
    run.check()
    assert run.upserted(STREAM) == expected_records_of(sandbox, START, END)
    assert bookmark_of(run)["covered"] == [["2026-03-09", "2026-03-10T09:00Z"]]
    assert bookmark_of(run)["reports"] == []
    assert len(requested_windows(sandbox)) == 1
    assert not any(request["leak"] for request in sandbox.requests)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_off_file_fault_loses_no_data(fault: Fault) -> None:
    with create_sandbox(**fault.sandbox) as sandbox:
        sandbox.faults.inject(path="/files/*", **fault.order)
        run = load(sandbox, **fault.settings)
        assert [request["fault"] for request in received_requests(sandbox, "GET", "/files/")] == [
            *(fault.order["kind"], None)
        ]
        check_complete(run, sandbox)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_persistent_file_fault_fails_the_run_and_keeps_the_window_open(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault.order["kind"].startswith("stall"):  # which takes real time
        monkeypatch.setattr(transport, "MAX_RETRY_TIME", timedelta(0))
    with create_sandbox(**fault.sandbox) as sandbox:
        sandbox.faults.inject(path="/files/*", times=None, **fault.order)
        failed = load(sandbox, **fault.settings)
        assert failed.status == 1
        (error_line,) = failed.error_lines
        match = re.fullmatch(
            rf"{STREAM}: report (\w+) for {WINDOW}, file 1 of 1: (.*); its window stays open, .*",
            error_line,
        )
        assert match, error_line
        pending = [match[1], "2026-03-09", "2026-03-10T09:00Z", "2026-03-10T09:20Z", 0, 1]
        assert bookmark_of(failed)["reports"] == [pending]
        assert bookmark_of(failed)["covered"] == []
        assert re.match(pattern(fault, sandbox), match[2]), match[2]
        sandbox.faults.clear()
        check_complete(load(sandbox, state=failed.state, **fault.settings), sandbox)


def pattern(fault: Fault, sandbox: Sandbox) -> str:
    """Fill in what the page leaves open; the fault is in the row in the middle."""
    rows = len({key[1:3] + key[-1:] for key in expected_records_of(sandbox, START, END)})
    row = 2 + rows // 2
    message = fault.message.replace("N:", f"{row}:")
    return re.escape(message).replace("…", ".+")


def test_duplicate_row_is_written_and_counted_in_a_warning() -> None:
    with create_sandbox() as sandbox:
        sandbox.faults.inject("row-twice", path="/files/*", times=None)
        run = load(sandbox)
        check_complete(run, sandbox)
        assert len(run.records(STREAM)) > len(expected_records_of(sandbox, START, END))
        (warning,) = warnings(run)
        assert warning.startswith("Duplicate rows: 1 have the id and time of an earlier row")


def test_row_outside_the_window_is_written_and_counted_in_a_warning() -> None:
    with create_sandbox() as sandbox:
        sandbox.faults.inject("row-outside", path="/files/*", times=None)
        run = load(sandbox).check()
        expected = expected_records_of(sandbox, START, END)
        found = run.upserted(STREAM)
        moved_records = {key: record for key, record in found.items() if record["time"] < "2000"}
        assert len(moved_records) > 1  # all metrics of one row
        assert len({record["time"] for record in moved_records.values()}) == 1
        unchanged_records = {
            key: record for key, record in found.items() if key not in moved_records
        }
        assert unchanged_records == {key: expected[key] for key in unchanged_records}
        assert len(expected) == len(found)
        assert bookmark_of(run)["covered"] == [["2026-03-09", "2026-03-10T09:00Z"]]
        (warning,) = warnings(run)
        assert warning == f"Rows outside the requested window ({WINDOW}): 1; they are written"


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("compression", ["declared", "bare", "none", "parquet"])
def test_all_compressions_and_numbers_of_files_are_read(compression: str, files: int) -> None:
    settings, options = {"report_file_format": "csv"}, {"gzip": compression}
    if compression == "parquet":
        settings, options = {"report_file_format": "parquet"}, {}
    with create_sandbox(files_per_report=files, **options) as sandbox:
        run = load(sandbox, **settings)
        assert len([*received_requests(sandbox, "GET", "/files/")]) == files
        check_complete(run, sandbox)
        assert warnings(run) == []


def test_corrupt_file_among_several_is_named_and_keeps_the_window_open() -> None:
    with create_sandbox(files_per_report=3) as sandbox:
        sandbox.faults.inject("row-width", path="/files/*-002.csv.gz", times=None)
        failed = load(sandbox)
        assert failed.status == 1
        assert re.search(r"file 2 of 3: row \d+: \d+ cells", failed.error_lines[0])
        assert bookmark_of(failed)["covered"] == []
        assert 0 < len(failed.upserted(STREAM)) < len(expected_records_of(sandbox, START, END))
        sandbox.faults.clear()
        check_complete(load(sandbox, state=failed.state), sandbox)


def test_no_record_is_written_before_all_files_are_complete() -> None:
    with create_sandbox(files_per_report=3) as sandbox:
        sandbox.faults.inject("cut-gzip", path="/files/*-003.csv.gz", times=None)
        failed = load(sandbox)
        assert failed.records(STREAM) == []
        assert "file 3 of 3: file download: the reply is cut or damaged" in failed.error_lines[0]


def test_file_on_another_host_is_downloaded_without_the_api_key() -> None:
    with create_sandbox() as sandbox, create_sandbox() as other:
        check_complete(load(other), other)
        (file,) = received_requests(other, "GET", "/files/")
        query = "&".join(f"{name}={value}" for name, value in file["query"].items())
        record = {"reportStatus": "succeeded", "urls": [f"{other.url}{file['path']}?{query}"]}
        sandbox.faults.inject(
            "status", path="/v2/report-request*", method="GET", status=200, body=json.dumps(record)
        )
        check_complete(load(sandbox), sandbox)
        assert [*received_requests(sandbox, "GET", "/files/")] == []
        assert [request["leak"] for request in received_requests(other, "GET", "/files/")] == [
            False,
            False,
        ]
        assert all(
            "x-api-key" not in r["headers"] for r in received_requests(other, "GET", "/files/")
        )


def test_stopped_run_leaves_no_temporary_files(folder: Path) -> None:
    with create_sandbox(gzip="none") as sandbox:
        sandbox.faults.inject("stall-inside", path="/files/*", seconds=60, at=0.9)
        stopped = run_killed(
            sandbox,
            lambda _: bool([*received_requests(sandbox, "GET", "/files/")]),
            signum=signal.SIGTERM,
            env={"TMPDIR": str(folder)},
            start_date="2026-02-01",
        )
        assert stopped.status == 128 + signal.SIGTERM
        assert bookmark_of(stopped)["reports"]
