"""The DAG of orchestrate/airflow: what it promises, what it refuses, and real runs side by side."""

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
from tests.support import airflow_project as airflow_world
from tests.support import airflow_server
from tests.support import expected_tables as truth
from tests.support.airflow_project import DAGS, LOADER, SHARDS, World, dag_folder, shard
from tests.support.airflow_server import Airflow
from tests.support.meltano_project import Project, check_same, made_once
from tests.support.paths import ROOT, SUPPORT
from tests.support.postgres_server import needs_postgres
from tests.support.tap_process import calls
from tests.support.warehouses.programs import loader

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
    shard("harbour", datasource_ids=["DA"], report_daily_limit=15),
    shard("hills", datasource_ids=["DB"], report_daily_limit=15),
]
REFUSED = {
    "no org": (
        [{"name": "harbour", "connection": "clarity_saltbay"}],
        ", entry 1: org: Field required",
    ),
    "unknown field": ([shard(orgs=[])], ", entry 1: orgs: Extra inputs are not permitted"),
    "no list": (
        shard(),
        ", entry 1: Input should be a valid dictionary or instance of Shard",
    ),
    "a name that is none": (
        [*HALVES, shard("../x")],
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
        [HALVES[0], shard("hills", datasource_ids=["DB"])],
        ": the report_daily_limit of saltbayQX7 is 40 in all; Clarity allows 30",
    ),
    "undivided": (
        [HALVES[0], shard("rest", report_daily_limit=15)],
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
        dag_folder(root / name, entries)
    shutil.copytree(DAGS, root / "ours", ignore=shutil.ignore_patterns("__pycache__"))
    home = tmp_path_factory.mktemp("home")
    script = SUPPORT / "airflow_dags.py"
    done = subprocess.run(
        [airflow_server.python(), script, *sorted(root.iterdir())],
        env=Airflow(home, root, {"AIRFLOW_CONN_CLARITY_EMPTY": "generic://"}).environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Parsed(json.loads(done.stdout.splitlines()[-1]), home)


def test_the_dag_is_what_its_page_promises(parsed: Parsed) -> None:
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


def test_a_task_lasts_longer_than_the_wait_for_reports(parsed: Parsed) -> None:
    waiting = SCHEMA["properties"]["report_wait_timeout"]["default"]
    assert parsed.folders["ours"]["load"]["execution_timeout"] > 2 * waiting


def test_the_page_names_the_fields_of_a_shard(parsed: Parsed) -> None:
    table = PAGE.partition("| Field |")[2].partition("\n\n")[0]
    assert re.findall(r"^ *\| `(\w+)` \|", table, re.MULTILINE) == parsed.folders["ours"]["fields"]


def test_page_and_image_name_the_versions_that_are_tested() -> None:
    image = (DAGS.parent / "Dockerfile").read_text("utf-8")
    version = airflow_server.AIRFLOW.partition("==")[2]
    assert f"FROM apache/airflow:{version}-" in image
    assert f" apache-airflow=={version}\n" in PAGE
    assert f"airflowVersion: {version}\n" in PAGE
    (meltano,) = re.findall(r"meltano\[s3\](==[\d.]+)", image)
    assert f'"meltano{meltano};' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_the_image_s_files_are_there() -> None:
    image = (DAGS.parent / "Dockerfile").read_text("utf-8")
    copied = [line.split()[1:-1] for line in image.splitlines() if line.startswith("COPY ")]
    names = [name for name in chain(*copied) if not name.startswith("--")]
    assert {"meltano.yml", "tap_clarity", "orchestrate/airflow/dags"} <= {*names}
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_page_s_variables_are_settings_of_the_loader() -> None:
    named = {name.lower() for name in re.findall(r"^TARGET_POSTGRES_(\w+)=", PAGE, re.MULTILINE)}
    definition = loader(LOADER)
    (needed,) = definition["settings_group_validation"]
    assert {*needed} <= named <= {each["name"] for each in definition["settings"]}


def test_parsing_needs_no_database(parsed: Parsed) -> None:
    assert not [*parsed.home.glob("*.db")]


def test_a_connection_without_a_key_is_refused_in_one_line(parsed: Parsed) -> None:
    wanted = "The password of clarity_empty has to be an API key"
    assert parsed.folders["ours"]["without password"] == wanted


def test_the_first_shard_of_an_organisation_loads_what_is_not_divided(parsed: Parsed) -> None:
    first, second = (each["env"] for each in parsed.folders["ours"]["shards"])
    assert "TAP_CLARITY__SELECT_FILTER" not in first
    assert json.loads(second["TAP_CLARITY__SELECT_FILTER"]) == [
        "datasource_details",
        "datasource_measurements",
        "recent_measurements",
    ]


def test_its_shards_divide_the_sandbox_s_datasources(parsed: Parsed) -> None:
    found = [
        json.loads(each["env"]["TAP_CLARITY_DATASOURCE_IDS"])
        for each in parsed.folders["ours"]["shards"]
    ]
    with Sandbox() as sandbox:
        told = sandbox.expected.records("datasources", sandbox.clock.now())
        assert sorted(chain(*found)) == sorted(each["datasource_id"] for each in told)


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_shards_are_refused_in_one_line(parsed: Parsed, name: str) -> None:
    (error,) = parsed.folders[name]["errors"]
    assert error.splitlines()[-1] == f"ValueError: {SHARDS}{REFUSED[name][1]}"
    assert parsed.folders[name]["dag"] is None


@pytest.fixture
def world(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[World]:
    def make(root: Path) -> None:
        Project.create(root, LOADER)

    made = Project(made_once(tmp_path_factory, worker_id, "postgres", make), LOADER)
    with airflow_world.world(tmp_path, made) as found:
        yield found


@needs_postgres
@pytest.mark.skipif(not find_spec("meltano"), reason="Meltano is not there for this Python")
def test_shards_load_the_truth_side_by_side_and_go_on_where_they_stopped(world: World) -> None:
    make_tables(world)
    with world.running() as airflow:
        recent, history = check_first_run(world, airflow)
        # As on Kubernetes, where a task's disk is gone with its pod.
        shutil.rmtree(world.project.root / ".meltano" / "shards")
        world.advance(3600)
        run = check_stopped_run(world, airflow)
        airflow.clear(run, FERRY)
        assert airflow.finish(run) == "success"
        assert world.reports() == [2, 1]
        check_same(world.rows("recent_measurements"), world.recent(recent).values())
        check_same(world.rows("datasource_measurements"), history.values())
    check_no_key(world)


def make_tables(world: World) -> None:
    """Load by hand, as the page says."""
    world.project.load(world.ferry, report_daily_limit="0").check()
    assert world.reports() == [0, 0]


def check_first_run(world: World, airflow: Airflow) -> tuple[Table, Table]:
    """One shard fails and is tried again; all of them load the truth at the same time."""
    world.ferry.faults.inject("status", path="/v2/subscriptions", status=400)
    run = airflow.run()
    assert airflow.finish(run) == "success"
    tries = [airflow.tries(run, index) for index in range(3)]
    assert [len(each) for each in tries] == [1, 1, 2]
    firsts = [each[0] for each in tries]
    assert max(each["start_date"] for each in firsts) < min(each["end_date"] for each in firsts)
    assert world.reports() == [2, 1]
    # The two halves of saltbay have asked for each of its four datasources once.
    assert len([*calls(world.saltbay, "GET", "/v2/datasources/")]) == 4
    recent, history = world.recent({}), world.history()
    check_same(world.rows("recent_measurements"), recent.values())
    check_same(world.rows("datasource_measurements"), history.values())
    for stream in ("datasources", "datasource_details", "nodes"):
        told = [row for each in world.sandboxes for row in truth.resource(each, stream)]
        check_same(world.rows(stream), told)
    return recent, history


def check_stopped_run(world: World, airflow: Airflow) -> str:
    """A person stops one of the shards, and the others go on; gives the run."""
    world.ferry.faults.inject("stall", path=CONTINUATION, seconds=20)
    asked = len([*calls(world.ferry, "POST", CONTINUATION)])
    run = airflow.run()
    airflow.wait(lambda: len([*calls(world.ferry, "POST", CONTINUATION)]) > asked)
    airflow.stop(run, FERRY)
    assert airflow.finish(run) == "failed"
    airflow.wait(lambda: "return code" in airflow.log(run, FERRY))
    assert f"return code {128 + signal.SIGTERM}" in airflow.log(run, FERRY)
    assert not world.project.pids("launcher.py")
    states = {name: each["state"] for name, each in airflow.tasks(run).items()}
    assert states == {"harbour": "success", "hills": "success", "ferry": "failed"}
    return run


def check_no_key(world: World) -> None:
    """Neither logs nor rendered fields nor the database hold a key."""
    files = [file for file in world.airflow.home.rglob("*") if file.is_file()]
    for text, is_there in [(each.org, True) for each in world.sandboxes] + [
        (each.api_key, False) for each in world.sandboxes
    ]:
        found = [file.name for file in files if text.encode() in file.read_bytes()]
        # SQLite keeps what is new in a log beside the file for a while.
        assert any(name.startswith("airflow.db") for name in found) is is_there
        assert bool(found) is is_there, found
