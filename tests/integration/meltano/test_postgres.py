"""Meltano runs into a PostgreSQL server, in which each program is killed in turn."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.support.meltano.project import (
    CACHE,
    FIRST_RUN,
    REPORT,
    REPORT_TAKES,
    START,
    Project,
    check_same,
    create_once,
    hourly,
    town,
)
from tests.support.postgres_server import needs_postgres, postgres
from tests.support.tap_process import received_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tap_clarity.sandbox import Sandbox
    from tests.support.postgres_server import Postgres
    from tests.support.tap_process import Key, Record

pytestmark = [
    needs_postgres,
    pytest.mark.skipif(not find_spec("meltano"), reason="Meltano is not there for this Python"),
]

TIMEOUT_SECONDS = 120
METRIC = "pm2_5ConcMass1HourMean"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with town() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    loader = "target-postgres"

    def make(root: Path) -> None:
        Project.create(root, loader)

    return Project(create_once(tmp_path_factory, worker_id, "postgres", make), loader)


@pytest.fixture
def project(installed: Project, server: Postgres, tmp_path: Path) -> Project:
    return installed.copy(
        tmp_path / "project",
        host=server.host,
        port=server.port,
        user=server.user,
        password="not asked for",  # noqa: S106
        database=server.database,
    )


def stored(server: Postgres, stream: str) -> list[Record]:
    """Read a stream's table, without the columns that the loader adds."""
    return [
        {
            name: _as_written_by_tap(name, value)
            for name, value in row.items()
            if name[:5] != "_sdc_"
        }
        for row in server.rows(f"SELECT * FROM clarity_sandbox.{stream}")  # noqa: S608
    ]


def _as_written_by_tap(name: str, value: str | None) -> str | None:
    if value is None or name not in {"time", "period_end"}:
        return value
    return f"{datetime.fromisoformat(value).isoformat(timespec='milliseconds')}Z"


def test_tables_equal_expected_data_without_duplicates(
    project: Project, server: Postgres, sandbox: Sandbox
) -> None:
    project.load(sandbox).check()
    recent = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    check_same(stored(server, "recent_measurements"), recent.values())
    report = hourly(sandbox, START, FIRST_RUN, FIRST_RUN + REPORT_TAKES)
    check_same(stored(server, "datasource_measurements"), report.values())

    sandbox.clock.advance(timedelta(hours=3))
    now = sandbox.clock.now()
    project.load(sandbox, "--full-refresh").check()
    recent = hourly(sandbox, FIRST_RUN - CACHE, now, now) | recent
    recent |= hourly(sandbox, now - CACHE, now, now)
    check_same(stored(server, "recent_measurements"), recent.values())
    report = hourly(sandbox, START, now, now + REPORT_TAKES)
    check_same(stored(server, "datasource_measurements"), report.values())


@pytest.mark.parametrize(
    ("killed_program", "requests"),
    [
        # The loader has passed on the STATE with the report's id, so the report is taken up again.
        ("tap_launcher.py", 1),
        # The loader keeps a STATE back until the records before it are stored.
        ("target-postgres", 2),
        ("meltano", 2),
        ("server", 2),
    ],
)
def test_kill_of_any_program_loses_no_more_than_the_pending_report(
    project: Project, server: Postgres, sandbox: Sandbox, killed_program: str, requests: int
) -> None:
    sandbox.faults.inject("stall", path="/v2/report-request*", method="GET", times=None, seconds=1)
    with project.start_load(sandbox, metric_select=f"only {METRIC}") as run:
        wait_for(lambda: [*received_requests(sandbox, "GET", REPORT)])
        time.sleep(1)  # other programs pass the STATE on, by their own clocks
        if killed_program == "server":
            server.kill()
        else:
            (pid,) = [run.pid] if killed_program == "meltano" else project.pids(killed_program)
            os.kill(pid, signal.SIGKILL)
        assert run.wait() != 0
    wait_for(lambda: not (project.pids("tap_launcher.py") or project.pids("target-postgres")))
    sandbox.faults.clear()
    if killed_program == "server":
        server.start()

    # A killed Meltano leaves a mark that it would respect for some minutes.
    project.load(sandbox, "--force", metric_select=f"only {METRIC}").check()
    assert len([*received_requests(sandbox, "POST", REPORT)]) == requests
    recent = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    check_same(stored(server, "recent_measurements"), only_metric(recent))
    report = hourly(sandbox, START, FIRST_RUN, sandbox.clock.now())
    check_same(stored(server, "datasource_measurements"), only_metric(report))


def only_metric(records: Mapping[Key, Record]) -> list[Record]:
    return [record for record in records.values() if record["metric"] == METRIC]


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
