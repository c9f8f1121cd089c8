"""A report's file counts only when it is proven: nothing wrong with it passes in silence."""

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
from tests.support.report_faults import FAULTS, PAGE, Fault, page
from tests.support.report_harness import (
    STREAM,
    asked,
    run_inside,
    run_killed,
    stand,
    truth,
    warnings,
)
from tests.support.tap_process import TapRun, calls

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


def clarity(**options: Any) -> Sandbox:  # noqa: ANN401
    usual: dict[str, Any] = {"now": "2026-03-10T09:20:00Z", "frozen": True, "report_seconds": 0}
    return Sandbox(seed=1, datasources=2, **usual | options)


def load(sandbox: Sandbox, **settings: Any) -> TapRun:  # noqa: ANN401
    return run_inside(sandbox, start_date=START, **settings)


def assert_all_is_there(run: TapRun, sandbox: Sandbox) -> None:
    run.check()
    assert run.upserted(STREAM) == truth(sandbox, START, END)
    assert stand(run)["covered"] == [["2026-03-09", "2026-03-10T09:00Z"]]
    assert stand(run)["reports"] == []
    assert len(asked(sandbox)) == 1
    assert not any(request["leak"] for request in sandbox.requests)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_that_passes_costs_nothing(fault: Fault) -> None:
    with clarity(**fault.sandbox) as sandbox:
        sandbox.faults.inject(path="/files/*", **fault.order)
        run = load(sandbox, **fault.settings)
        assert [request["fault"] for request in calls(sandbox, "GET", "/files/")] == [
            *(fault.order["kind"], None)
        ]
        assert_all_is_there(run, sandbox)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_that_stays_ends_the_run_and_harms_nothing(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault.order["kind"].startswith("stall"):  # which takes real time
        monkeypatch.setattr(transport, "MAX_RETRY_TIME", timedelta(0))
    with clarity(**fault.sandbox) as sandbox:
        sandbox.faults.inject(path="/files/*", times=None, **fault.order)
        bad = load(sandbox, **fault.settings)
        assert bad.status == 1
        (complaint,) = bad.complaints
        said = re.fullmatch(
            rf"{STREAM}: report (\w+) for {WINDOW}, file 1 of 1: (.*); its window stays open, .*",
            complaint,
        )
        assert said, complaint
        pending = [said[1], "2026-03-09", "2026-03-10T09:00Z", "2026-03-10T09:20Z", 0, 1]
        assert stand(bad)["reports"] == [pending]
        assert stand(bad)["covered"] == []
        assert re.match(pattern(fault, sandbox), said[2]), said[2]
        sandbox.faults.clear()
        assert_all_is_there(load(sandbox, state=bad.state, **fault.settings), sandbox)


def pattern(fault: Fault, sandbox: Sandbox) -> str:
    """Fill in what the page leaves open; the fault strikes the row in the middle."""
    rows = len({key[1:3] + key[-1:] for key in truth(sandbox, START, END)})
    struck = 2 + rows // 2
    says = fault.says.replace("N:", f"{struck}:")
    return re.escape(says).replace("…", ".+")


def test_a_duplicate_row_is_written_and_counted_in_a_warning() -> None:
    with clarity() as sandbox:
        sandbox.faults.inject("row-twice", path="/files/*", times=None)
        run = load(sandbox)
        assert_all_is_there(run, sandbox)
        assert len(run.records(STREAM)) > len(truth(sandbox, START, END))
        (warning,) = warnings(run)
        assert warning.startswith("Duplicate rows: 1 have the id and time of an earlier row")


def test_a_row_outside_the_window_is_written_and_counted_in_a_warning() -> None:
    with clarity() as sandbox:
        sandbox.faults.inject("row-outside", path="/files/*", times=None)
        run = load(sandbox).check()
        true = truth(sandbox, START, END)
        found = run.upserted(STREAM)
        moved = {key: record for key, record in found.items() if record["time"] < "2000"}
        assert len(moved) > 1  # all metrics of one row
        assert len({record["time"] for record in moved.values()}) == 1
        kept = {key: record for key, record in found.items() if key not in moved}
        assert kept == {key: true[key] for key in kept}
        assert len(true) == len(found)
        assert stand(run)["covered"] == [["2026-03-09", "2026-03-10T09:00Z"]]
        (warning,) = warnings(run)
        assert warning == f"Rows outside the requested window ({WINDOW}): 1; they are written"


def test_the_page_says_what_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.support.report_faults"


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("form", ["declared", "bare", "none", "parquet"])
def test_all_forms_and_numbers_of_files_are_normal(form: str, files: int) -> None:
    settings, options = {"report_file_format": "csv"}, {"gzip": form}
    if form == "parquet":
        settings, options = {"report_file_format": "parquet"}, {}
    with clarity(files_per_report=files, **options) as sandbox:
        run = load(sandbox, **settings)
        assert len([*calls(sandbox, "GET", "/files/")]) == files
        assert_all_is_there(run, sandbox)
        assert warnings(run) == []


def test_a_bad_file_among_several_is_named_and_keeps_the_window_open() -> None:
    with clarity(files_per_report=3) as sandbox:
        sandbox.faults.inject("row-width", path="/files/*-002.csv.gz", times=None)
        bad = load(sandbox)
        assert bad.status == 1
        assert re.search(r"file 2 of 3: row \d+: \d+ cells", bad.complaints[0])
        assert stand(bad)["covered"] == []
        assert 0 < len(bad.upserted(STREAM)) < len(truth(sandbox, START, END))
        sandbox.faults.clear()
        assert_all_is_there(load(sandbox, state=bad.state), sandbox)


def test_nothing_is_written_before_all_files_are_there_whole() -> None:
    with clarity(files_per_report=3) as sandbox:
        sandbox.faults.inject("cut-gzip", path="/files/*-003.csv.gz", times=None)
        bad = load(sandbox)
        assert bad.records(STREAM) == []
        assert "file 3 of 3: file download: the reply is cut or damaged" in bad.complaints[0]


def test_a_file_may_lie_with_another_host_which_never_sees_the_key() -> None:
    with clarity() as sandbox, clarity() as other:
        assert_all_is_there(load(other), other)
        (file,) = calls(other, "GET", "/files/")
        query = "&".join(f"{name}={value}" for name, value in file["query"].items())
        record = {"reportStatus": "succeeded", "urls": [f"{other.url}{file['path']}?{query}"]}
        sandbox.faults.inject(
            "status", path="/v2/report-request*", method="GET", status=200, body=json.dumps(record)
        )
        assert_all_is_there(load(sandbox), sandbox)
        assert [*calls(sandbox, "GET", "/files/")] == []
        assert [request["leak"] for request in calls(other, "GET", "/files/")] == [False, False]
        assert all("x-api-key" not in r["headers"] for r in calls(other, "GET", "/files/"))


def test_a_stopped_run_leaves_no_files_behind(folder: Path) -> None:
    with clarity(gzip="none") as sandbox:
        sandbox.faults.inject("stall-inside", path="/files/*", seconds=60, at=0.9)
        stopped = run_killed(
            sandbox,
            lambda _: bool([*calls(sandbox, "GET", "/files/")]),
            signum=signal.SIGTERM,
            env={"TMPDIR": str(folder)},
            start_date="2026-02-01",
        )
        assert stopped.status == 128 + signal.SIGTERM
        assert stand(stopped)["reports"]
