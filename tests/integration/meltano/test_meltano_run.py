"""Meltano runs of the project into DuckDB: tables equal the expected data."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support import expected_tables
from tests.support.meltano.project import (
    CACHE,
    FIRST_RUN,
    MELTANO_YML,
    REPORT,
    REPORT_TAKES,
    START,
    Project,
    check_same,
    create_once,
    hourly,
    town,
)
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_clarity.sandbox import Sandbox

pytestmark = pytest.mark.skipif(
    not find_spec("meltano") or not find_spec("duckdb"),
    reason="Meltano and the loader's DuckDB are not there for this Python",
)

LOOKBACK = datetime(2026, 3, 7, tzinfo=UTC)
"""Where the report of the next day begins: midnight, three days before what is covered."""
QUERY = "/v2/recent-datasource-measurements-query"
CONTINUATION = "/v2/recent-datasource-measurements-continuation"
RECOVERY_MESSAGES = [
    (
        "the continuation token of 2026-03-10 09:20 UTC has expired, so Clarity's cache is asked "
        "from 2026-03-11 09:35 UTC on"
    ),
    ("Clarity's cache no longer has 2026-03-10 05:00 to 2026-03-11 10:00 UTC: requesting reports"),
    "a report has filled 2026-03-10 05:00 to 2026-03-11 10:00 UTC",
]
"""What the user reads after an outage."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with town() as running:
        yield running


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """The project after its first load."""

    def make(root: Path) -> None:
        project = Project.create(root, "target-duckdb")
        with town() as sandbox:
            (root / "log").write_text(project.load(sandbox).check().log)

    return Project(create_once(tmp_path_factory, worker_id, "duckdb", make), "target-duckdb")


@pytest.fixture
def project(loaded: Project, tmp_path: Path) -> Project:
    return loaded.copy(tmp_path / "project")


def test_first_load_equals_expected_data(loaded: Project, sandbox: Sandbox) -> None:
    tables = loaded.tables()
    (tap,) = yaml.safe_load(MELTANO_YML.read_text())["plugins"]["extractors"]
    assert {f"{name}.*" for name in tables} == {each for each in tap["select"] if each[0] != "!"}
    recent = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    check_same(tables.pop("recent_measurements"), recent.values())
    report = hourly(sandbox, START, FIRST_RUN, FIRST_RUN + REPORT_TAKES)
    check_same(tables.pop("datasource_measurements"), report.values())
    check_same(tables.pop("metrics"), expected_tables.dictionary())
    for name, rows in tables.items():
        check_same(rows, expected_tables.resource(sandbox, name))


def test_successful_run_logs_no_warning(loaded: Project, sandbox: Sandbox) -> None:
    log = (loaded.root / "log").read_text()
    assert "Beginning sync of 'datasource_measurements'" in log
    for warning in ("Warning", "WARNING", "ERROR", "Traceback", sandbox.api_key):
        assert warning not in log


def test_run_an_hour_later_sends_one_request_for_new_data(
    project: Project, sandbox: Sandbox
) -> None:
    before = project.tables()
    sandbox.clock.advance(3600)
    project.load(sandbox).check()
    assert [call["path"] for call in received_requests(sandbox, "POST")] == [CONTINUATION]
    after = project.tables()
    # Late points are new; what has been told already is not told again.
    now = sandbox.clock.now()
    reported = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    assert len(reported) == len(before["recent_measurements"])
    recent = hourly(sandbox, FIRST_RUN - CACHE, now, now) | reported
    assert len(recent) > len(reported)
    check_same(after.pop("recent_measurements"), recent.values())
    for name in ("datasource_measurements", "metrics"):
        check_same(after.pop(name), before[name])
    for name, rows in after.items():
        check_same(rows, expected_tables.resource(sandbox, name))


def test_run_on_the_next_day_reads_the_lookback_again(project: Project, sandbox: Sandbox) -> None:
    sandbox.clock.advance(24 * 3600)
    project.load(sandbox).check()
    (report,) = received_requests(sandbox, "POST", REPORT)
    assert report["body"]["startTime"] == "2026-03-07T00:00:00.000Z"
    first = hourly(sandbox, START, FIRST_RUN, FIRST_RUN + REPORT_TAKES)
    tomorrow = FIRST_RUN + timedelta(days=1)
    second = hourly(sandbox, LOOKBACK, tomorrow, tomorrow + REPORT_TAKES)
    assert any(first[key] != second[key] for key in first.keys() & second.keys())
    check_same(project.tables()["datasource_measurements"], (first | second).values())


def test_after_three_days_without_a_run_the_series_is_complete(
    project: Project, sandbox: Sandbox
) -> None:
    sandbox.clock.advance(timedelta(days=3))
    now = sandbox.clock.now()
    done = project.load(sandbox).check()
    gap = datetime(2026, 3, 10, 5, tzinfo=UTC), datetime(2026, 3, 11, 10, tzinfo=UTC)
    series = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    series |= hourly(sandbox, *gap, now + REPORT_TAKES) | hourly(sandbox, gap[1], now, now)
    check_same(project.tables()["recent_measurements"], series.values())
    reported = [line.split("recent_measurements: ")[-1] for line in done.log.splitlines()]
    positions = [reported.index(line) for line in RECOVERY_MESSAGES]
    assert positions == sorted(positions)


def test_next_run_resumes_after_an_outage(project: Project, sandbox: Sandbox) -> None:
    sandbox.clock.advance(24 * 3600)
    tomorrow = sandbox.clock.now()
    sandbox.faults.inject("status", path=f"{REPORT}/*", times=None, status=503)
    done = project.load(sandbox)
    assert done.status == 1
    assert "datasource_measurements: GET /v2/report-requests" in done.log
    assert [call["path"] for call in received_requests(sandbox, "POST")] == [QUERY, REPORT]
    sandbox.faults.clear()
    sandbox.requests.clear()
    project.load(sandbox).check()
    assert [call["path"] for call in received_requests(sandbox, "POST")] == [CONTINUATION]
    first = hourly(sandbox, START, FIRST_RUN, FIRST_RUN + REPORT_TAKES)
    second = hourly(sandbox, LOOKBACK, tomorrow, tomorrow + REPORT_TAKES)
    check_same(project.tables()["datasource_measurements"], (first | second).values())


def test_full_refresh_starts_without_state(project: Project, sandbox: Sandbox) -> None:
    sandbox.clock.advance(3600)
    now = sandbox.clock.now()
    project.load(sandbox, "--full-refresh").check()
    assert [call["path"] for call in received_requests(sandbox, "POST")] == [QUERY, REPORT]
    bookmarks = project.state()["bookmarks"]
    recent = bookmarks["recent_measurements"]
    assert recent["continuation_token"]
    assert (recent["token_issued_at"], recent["gaps"]) == ("2026-03-10T10:20Z", [])
    reports = bookmarks["datasource_measurements"]
    assert reports["covered"] == [["2026-03-06", "2026-03-10T10:00Z"]]
    assert (reports["reports"], reports["requests"][1]) == ([], 1)
    tables = project.tables()
    again = hourly(sandbox, START, now, now + REPORT_TAKES)
    check_same(tables["datasource_measurements"], again.values())
    reported = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    check_same(
        tables["recent_measurements"], (reported | hourly(sandbox, now - CACHE, now, now)).values()
    )


def test_meltano_config_test_passes_without_requesting_a_report(
    project: Project, sandbox: Sandbox
) -> None:
    done = project.meltano("config", "test", "tap-clarity", sandbox=sandbox).check()
    assert "Plugin configuration is valid" in done.output
    assert [*received_requests(sandbox, "GET", "/v2/datasources")]
    assert not [*received_requests(sandbox, "POST", REPORT)]


def test_meltano_config_test_fails_with_a_wrong_key(project: Project, sandbox: Sandbox) -> None:
    done = project.meltano("config", "test", "tap-clarity", sandbox=sandbox, api_key="another")
    assert done.status == 1
    assert "check the setting api_key" in done.log


def test_meltano_discovers_without_key_or_network(project: Project) -> None:
    done = project.meltano("invoke", "tap-clarity", "--discover").check()
    streams = {stream["tap_stream_id"] for stream in json.loads(done.output)["streams"]}
    assert streams >= {"datasources", "metrics", "recent_measurements", "datasource_measurements"}


def test_meltano_shows_the_description_of_the_tap(project: Project) -> None:
    done = project.meltano("invoke", "tap-clarity", "--about", "--format=json").check()
    about = json.loads(done.output)
    assert about["name"] == "tap-clarity"
    assert {"api_key", "org", "start_date"} <= about["settings"]["properties"].keys()
