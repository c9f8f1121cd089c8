"""The DAG of orchestrate/airflow: its properties, invalid shards, and real parallel runs."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.settings import SCHEMA
from tests.support import expected_tables
from tests.support.airflow import server, sharded_project
from tests.support.airflow.server import Airflow
from tests.support.airflow.sharded_project import (
    DAGS,
    LOADER,
    SHARDS,
    AirflowSetup,
    shard_entry,
    write_dag_folder,
)
from tests.support.meltano.project import Project, check_same, create_once
from tests.support.paths import ROOT, SUPPORT
from tests.support.postgres_server import needs_postgres
from tests.support.tap_process import received_requests
from tests.support.warehouses.installed_programs import loader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.tap_process import Key, Record

    Table = dict[Key, Record]

pytestmark = pytest.mark.warehouse

CONTINUATION = "/v2/recent-datasource-measurements-continuation"
PAGE = (ROOT / "docs" / "airflow.md").read_text("utf-8")
FERRY = 2
"""The map index of the shard that things happen to."""
HALVES = [
    shard_entry("harbour", datasource_ids=["DA"], report_daily_limit=15),
    shard_entry("hills", datasource_ids=["DB"], report_daily_limit=15),
]
REFUSED = {
    "no org": (
        [{"name": "harbour", "connection": "clarity_saltbay"}],
        ", entry 1: org: Field required",
    ),
    "unknown field": ([shard_entry(orgs=[])], ", entry 1: orgs: Extra inputs are not permitted"),
    "no list": (
        shard_entry(),
        ", entry 1: Input should be a valid dictionary or instance of Shard",
    ),
    "a name that is none": (
        [*HALVES, shard_entry("../x")],
        ", entry 3: name: String should match pattern '^[a-z0-9_-]+$'",
    ),
    "same name twice": (
        [HALVES[0], HALVES[1] | {"name": "harbour"}],
        ": two shards have the name harbour",
    ),
    "quota over 30": (
        [HALVES[0], HALVES[1] | {"report_daily_limit": 16}],
        ": the report_daily_limit of saltbayQX7 is 31 in all; Clarity allows 30",
    ),
    "quota not said": (
        [HALVES[0], shard_entry("hills", datasource_ids=["DB"])],
        ": the report_daily_limit of saltbayQX7 is 40 in all; Clarity allows 30",
    ),
    "undivided": (
        [HALVES[0], shard_entry("rest", report_daily_limit=15)],
        ": each of several shards of saltbayQX7 needs datasource_ids",
    ),
    "divided badly": (
        [HALVES[0], HALVES[1] | {"datasource_ids": ["DB", "DA"]}],
        ": datasource DA of saltbayQX7 is named twice",
    ),
}


class Parsed(NamedTuple):
    """What Airflow has made of DAG folders, by name, and where it would have its database."""

    folders: dict[str, Record]
    home: Path


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    """Let Airflow parse all the folders in one go: importing it takes seconds."""
    root = tmp_path_factory.mktemp("bags")
    for name, (entries, _) in REFUSED.items():
        write_dag_folder(root / name, entries)
    shutil.copytree(DAGS, root / "ours", ignore=shutil.ignore_patterns("__pycache__"))
    home = tmp_path_factory.mktemp("home")
    script = SUPPORT / "airflow" / "parsed_dags.py"
    done = subprocess.run(
        [server.python(), script, *sorted(root.iterdir())],
        env=Airflow(home, root, {"AIRFLOW_CONN_CLARITY_EMPTY": "generic://"}).environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Parsed(json.loads(done.stdout.splitlines()[-1]), home)


def test_dag_has_the_documented_properties(parsed: Parsed) -> None:
    ours = parsed.folders["ours"]
    assert ours["errors"] == []
    assert ours["dag"] == {
        "id": "tap_clarity",
        "schedule": "17 * * * *",
        "catchup": False,
        "max_active_runs": 1,
        "tasks": ["load"],
    }
    load = ours["load"]
    assert load["mapped"] is True
    assert load["retries"] == 2
    assert load["retry_delay"] == 300
    assert load["max_active_tis_per_dag"] == 4
    assert "SHARD" in load["map_index_template"]


def test_task_timeout_exceeds_report_wait_timeout(parsed: Parsed) -> None:
    waiting = SCHEMA["properties"]["report_wait_timeout"]["default"]
    assert parsed.folders["ours"]["load"]["execution_timeout"] > 2 * waiting


def test_page_documents_all_fields_of_a_shard(parsed: Parsed) -> None:
    table = PAGE.partition("| Field |")[2].partition("\n\n")[0]
    assert re.findall(r"^ *\| `(\w+)` \|", table, re.MULTILINE) == parsed.folders["ours"]["fields"]


def test_page_and_image_name_the_tested_versions() -> None:
    image = (DAGS.parent / "Dockerfile").read_text("utf-8")
    version = server.AIRFLOW.partition("==")[2]
    assert f"FROM apache/airflow:{version}-" in image
    assert f" apache-airflow=={version}\n" in PAGE
    assert f"airflowVersion: {version}\n" in PAGE
    (meltano,) = re.findall(r"meltano\[s3\](==[\d.]+)", image)
    assert f'"meltano{meltano};' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_files_copied_into_the_image_exist() -> None:
    image = (DAGS.parent / "Dockerfile").read_text("utf-8")
    copied = [line.split()[1:-1] for line in image.splitlines() if line.startswith("COPY ")]
    names = [name for name in chain(*copied) if not name.startswith("--")]
    assert {"meltano.yml", "tap_clarity", "orchestrate/airflow/dags"} <= {*names}
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_variables_on_the_page_are_settings_of_the_loader() -> None:
    named = {name.lower() for name in re.findall(r"^TARGET_POSTGRES_(\w+)=", PAGE, re.MULTILINE)}
    definition = loader(LOADER)
    (needed,) = definition["settings_group_validation"]
    assert {*needed} <= named <= {each["name"] for each in definition["settings"]}


def test_dag_parses_without_a_database(parsed: Parsed) -> None:
    assert not [*parsed.home.glob("*.db")]


def test_connection_without_key_is_rejected_with_one_line(parsed: Parsed) -> None:
    wanted = "The password of clarity_empty has to be an API key"
    assert parsed.folders["ours"]["without password"] == wanted


def test_first_shard_of_an_organization_loads_the_undivided_streams(parsed: Parsed) -> None:
    first, second = (each["env"] for each in parsed.folders["ours"]["shards"])
    assert "TAP_CLARITY__SELECT_FILTER" not in first
    assert json.loads(second["TAP_CLARITY__SELECT_FILTER"]) == [
        "datasource_details",
        "datasource_measurements",
        "recent_measurements",
    ]


def test_shards_divide_the_datasources_of_the_sandbox(parsed: Parsed) -> None:
    found = [
        json.loads(each["env"]["TAP_CLARITY_DATASOURCE_IDS"])
        for each in parsed.folders["ours"]["shards"]
    ]
    with Sandbox() as sandbox:
        expected = sandbox.expected.records("datasources", sandbox.clock.now())
        assert sorted(chain(*found)) == sorted(each["datasource_id"] for each in expected)


@pytest.mark.parametrize("name", REFUSED)
def test_invalid_shards_are_rejected_with_one_line(parsed: Parsed, name: str) -> None:
    (error,) = parsed.folders[name]["errors"]
    assert error.splitlines()[-1] == f"ValueError: {SHARDS}{REFUSED[name][1]}"
    assert parsed.folders[name]["dag"] is None


@pytest.fixture
def setup(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[AirflowSetup]:
    def make(root: Path) -> None:
        Project.create(root, LOADER)

    installed_project = Project(create_once(tmp_path_factory, worker_id, "postgres", make), LOADER)
    with sharded_project.setup(tmp_path, installed_project) as found:
        yield found


@needs_postgres
@pytest.mark.skipif(not find_spec("meltano"), reason="Meltano is not there for this Python")
def test_parallel_shards_load_expected_data_and_resume_after_a_stop(setup: AirflowSetup) -> None:
    make_tables(setup)
    with setup.running() as airflow:
        recent, history = check_first_run(setup, airflow)
        # As on Kubernetes, where a task's disk is gone with its pod.
        shutil.rmtree(setup.project.root / ".meltano" / "shards")
        setup.advance(3600)
        run = check_stopped_run(setup, airflow)
        airflow.clear(run, FERRY)
        assert airflow.finish(run) == "success"
        assert setup.reports() == [2, 1]
        check_same(setup.rows("recent_measurements"), setup.recent(recent).values())
        check_same(setup.rows("datasource_measurements"), history.values())
    check_no_key(setup)


def make_tables(setup: AirflowSetup) -> None:
    """Load by hand, as the page says."""
    setup.project.load(setup.ferry, report_daily_limit="0").check()
    assert setup.reports() == [0, 0]


def check_first_run(setup: AirflowSetup, airflow: Airflow) -> tuple[Table, Table]:
    """One shard fails and is tried again; all of them load the truth at the same time."""
    setup.ferry.faults.inject("status", path="/v2/subscriptions", status=400)
    run = airflow.run()
    assert airflow.finish(run) == "success"
    tries = [airflow.tries(run, index) for index in range(3)]
    assert [len(each) for each in tries] == [1, 1, 2]
    firsts = [each[0] for each in tries]
    assert max(each["start_date"] for each in firsts) < min(each["end_date"] for each in firsts)
    assert setup.reports() == [2, 1]
    # The two halves of saltbay have asked for each of its four datasources once.
    assert len([*received_requests(setup.saltbay, "GET", "/v2/datasources/")]) == 4
    recent, history = setup.recent({}), setup.history()
    check_same(setup.rows("recent_measurements"), recent.values())
    check_same(setup.rows("datasource_measurements"), history.values())
    for stream in ("datasources", "datasource_details", "nodes"):
        expected = [
            row for each in setup.sandboxes for row in expected_tables.resource(each, stream)
        ]
        check_same(setup.rows(stream), expected)
    return recent, history


def check_stopped_run(setup: AirflowSetup, airflow: Airflow) -> str:
    """A person stops one of the shards, and the others go on; gives the run."""
    setup.ferry.faults.inject("stall", path=CONTINUATION, seconds=20)
    asked = len([*received_requests(setup.ferry, "POST", CONTINUATION)])
    run = airflow.run()
    airflow.wait(lambda: len([*received_requests(setup.ferry, "POST", CONTINUATION)]) > asked)
    airflow.stop(run, FERRY)
    assert airflow.finish(run) == "failed"
    airflow.wait(lambda: "return code" in airflow.log(run, FERRY))
    assert f"return code {128 + signal.SIGTERM}" in airflow.log(run, FERRY)
    assert not setup.project.pids("tap_launcher.py")
    states = {name: each["state"] for name, each in airflow.tasks(run).items()}
    assert states == {"harbour": "success", "hills": "success", "ferry": "failed"}
    return run


def check_no_key(setup: AirflowSetup) -> None:
    """Neither logs nor rendered fields nor the database hold a key."""
    files = [file for file in setup.airflow.home.rglob("*") if file.is_file()]
    for text, is_there in [(each.org, True) for each in setup.sandboxes] + [
        (each.api_key, False) for each in setup.sandboxes
    ]:
        found = [file.name for file in files if text.encode() in file.read_bytes()]
        # SQLite keeps what is new in a log beside the file for a while.
        assert any(name.startswith("airflow.db") for name in found) is is_there
        assert bool(found) is is_there, found
