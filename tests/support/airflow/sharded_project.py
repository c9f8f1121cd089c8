"""Two organizations in three shards, a database, and the Airflow that loads them into it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tap_clarity.sandbox import Sandbox
from tests.support import expected_tables
from tests.support.airflow.server import Airflow
from tests.support.constants import NOW
from tests.support.meltano.project import CACHE, FIRST_RUN, START, START_SETTING, Project, hourly
from tests.support.paths import ROOT
from tests.support.postgres_server import postgres
from tests.support.stream_schemas import times
from tests.support.tap_process import LAUNCHER, received_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.postgres_server import Postgres
    from tests.support.tap_process import Key, Record

DAGS = ROOT / "orchestrate" / "airflow" / "dags"
DAG_FILE = "clarity_shards.py"
SHARDS = "clarity_shards.yaml"
LOADER = "target-postgres"
_REPORTS = "/v2/report-requests"
_KEYS = ("a-key-of-saltbay-3f9d", "a-key-of-ferry-77ab")


def shard_entry(name: str = "harbour", **more: Any) -> Record:  # noqa: ANN401
    return {"name": name, "org": "saltbayQX7", "connection": "clarity_saltbay", **more}


def write_dag_folder(folder: Path, entries: Any) -> None:  # noqa: ANN401
    """Put the DAG beside other shards; it runs when it is told, not at a minute past the hour."""
    folder.mkdir()
    text = (DAGS / DAG_FILE).read_text("utf-8")
    changed = text.replace('schedule="17 * * * *"', "schedule=None")
    assert changed != text
    (folder / DAG_FILE).write_text(changed, encoding="utf-8")
    (folder / SHARDS).write_text(yaml.safe_dump(entries), encoding="utf-8")


@dataclass(frozen=True)
class AirflowSetup:
    """What the runs read, what they use and where it goes."""

    saltbay: Sandbox
    ferry: Sandbox
    server: Postgres
    project: Project
    airflow: Airflow

    @property
    def sandboxes(self) -> Sequence[Sandbox]:
        return self.saltbay, self.ferry

    @contextmanager
    def running(self) -> Iterator[Airflow]:
        """Run Airflow; it knows the keys from its Connections only."""
        with self.airflow.running():
            self.airflow.connect("clarity_saltbay", self.saltbay.api_key)
            self.airflow.connect("clarity_ferry", self.ferry.api_key)
            yield self.airflow

    def advance(self, seconds: float) -> None:
        for sandbox in self.sandboxes:
            sandbox.clock.advance(seconds)

    def reports(self) -> list[int]:
        """Count the reports that each organisation was asked for."""
        return [len([*received_requests(each, "POST", _REPORTS)]) for each in self.sandboxes]

    def recent(self, known: dict[Key, Record]) -> dict[Key, Record]:
        """Tell the recent measurements, those of before included."""
        for sandbox in self.sandboxes:
            now = sandbox.clock.now()
            known = hourly(sandbox, FIRST_RUN - CACHE, now, now) | known
        return known

    def history(self) -> dict[Key, Record]:
        """Tell what the reports of the first run hold."""
        expected: dict[Key, Record] = {}
        for sandbox in self.sandboxes:
            expected |= hourly(sandbox, START, FIRST_RUN, sandbox.clock.now())
        return expected

    def rows(self, stream: str) -> list[Record]:
        """Read a table, as the tap has written it."""
        return [
            {
                name: _as_written_by_tap(name, value)
                for name, value in row.items()
                if name[:5] != "_sdc_"
            }
            for row in self.server.rows(f"SELECT * FROM clarity_sandbox.{stream}")  # noqa: S608
        ]


def _as_written_by_tap(name: str, value: str | None) -> str | None:
    return expected_tables.in_utc(f"{value}+00:00") if name in times() and value else value


@contextmanager
def setup(folder: Path, installed_project: Project) -> Iterator[AirflowSetup]:
    """Make two organisations, an empty database, and a project with the loader installed."""
    with (
        Sandbox(seed=1, datasources=4, now=NOW, frozen=True, api_key=_KEYS[0]) as saltbay,
        Sandbox(
            seed=2, datasources=3, now=NOW, frozen=True, api_key=_KEYS[1], org="ferryQX7"
        ) as ferry,
        postgres() as server,
    ):
        access = {name: str(getattr(server, name)) for name in ("host", "port", "user", "database")}
        project = installed_project.copy(folder / "project", password="not asked for", **access)  # noqa: S106
        _prepare(project.root)
        write_dag_folder(folder / "dags", _shards(saltbay, ferry))
        (folder / "airflow").mkdir()
        airflow = Airflow(folder / "airflow", folder / "dags", _settings(project, folder))
        yield AirflowSetup(saltbay, ferry, server, project, airflow)


def _prepare(root: Path) -> None:
    """Let the DAG find Meltano, and each tap go by the clock of the sandbox that it reads."""
    (root / ".venv").symlink_to(sys.prefix)
    (root / ".meltano" / "extractors").mkdir(exist_ok=True)
    clock = 'TEST_SANDBOX_URL="$TAP_CLARITY_API_URL"'
    (root / "tap-clarity").write_text(
        f'#!/bin/sh\n{clock} exec "{sys.executable}" "{LAUNCHER}" "$@"\n'
    )


def _shards(saltbay: Sandbox, ferry: Sandbox) -> list[Record]:
    ids = [each["datasource_id"] for each in saltbay.expected.records("datasources", FIRST_RUN)]
    saltbay_at, ferry_at = ({"TAP_CLARITY_API_URL": each.url} for each in (saltbay, ferry))
    half = {"report_daily_limit": 15, "env": saltbay_at}
    return [
        shard_entry("harbour", datasource_ids=ids[:2], **half),
        shard_entry("hills", datasource_ids=ids[2:], **half),
        shard_entry("ferry", org=ferry.org, connection="clarity_ferry", env=ferry_at),
    ]


def _settings(project: Project, folder: Path) -> dict[str, str]:
    target = {f"TARGET_POSTGRES_{k.upper()}": str(v) for k, v in project.loader_settings.items()}
    return target | {
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "CLARITY_PROJECT": str(project.root),
        "CLARITY_LOADER": LOADER,
        "MELTANO_ENVIRONMENT": "sandbox",
        "MELTANO_STATE_BACKEND_URI": (folder / "state").as_uri(),
        "TAP_CLARITY_START_DATE": START_SETTING["start_date"],
    }
