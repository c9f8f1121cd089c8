"""Scheduled runs: the example workflow, its state in a bucket, and docs/scheduling.md."""

from __future__ import annotations

import json
import re
import tomllib
import urllib.request
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tap_clarity.settings import SCHEMA
from tests.support import log_messages
from tests.support.documented.api_faults import outcome_rows
from tests.support.meltano import github_workflow
from tests.support.meltano.github_workflow import EXPRESSION, JOB, LOAD, TEXT, TRIGGERS
from tests.support.meltano.project import (
    CACHE,
    FIRST_RUN,
    REPORT_TAKES,
    START,
    Project,
    check_same,
    hourly,
    town,
)
from tests.support.paths import ROOT
from tests.support.running_tap import SIGNAL_STATUSES
from tests.support.tap_process import received_requests
from tests.support.warehouses.installed_programs import HOST, free_port, installed, loader, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Key, Record

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
(MELTANO,) = (each.split(";")[0] for each in GROUPS["demo"] if each.startswith("meltano"))
TOOLS = (MELTANO.replace("meltano", "meltano[s3]"), "moto[server,s3]~=5.2")
QUERY = "/v2/recent-datasource-measurements-query"
CONTINUATION = "/v2/recent-datasource-measurements-continuation"
REPORTS = "/v2/report-requests"
STATE = "state/clarity/prod%3Atap-clarity-to-target-jsonl%3Aharbour/state.json"


MELTANO_LINES = log_messages.quotes("scheduling.md")[-4:]
"""Lines of Meltano and its SDK: a load says them."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with town() as running:
        yield running


@pytest.fixture(scope="module")
def tools() -> Path:
    return installed("meltano-s3", TOOLS).parent


@pytest.fixture
def bucket(tools: Path, tmp_path: Path) -> Iterator[str]:
    """Serve a bucket, and give its server's address."""
    port, folder = free_port(), tmp_path / "s3"
    folder.mkdir()
    with serving([tools / "moto_server", "-H", HOST, "-p", str(port)], port, folder):
        url = f"http://{HOST}:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{url}/state", method="PUT"))  # noqa: S310
        yield url


def load(folder: Path, tools: Path, bucket: str, sandbox: Sandbox) -> str:
    """Run the workflow's step in a working copy; GitHub's part is invented."""
    given = {f"vars.{name}": "nothing" for name in re.findall(r"vars\.(\w+)", TEXT)}
    given |= {f"secrets.{name}": "nothing" for name in re.findall(r"secrets\.(\w+)", TEXT)}
    given |= {
        "matrix.organisation": "harbour",
        "secrets.CLARITY_API_KEY": sandbox.api_key,
        "vars.CLARITY_ORG": sandbox.org,
        "vars.STATE_URI": "s3://state/clarity",
    }
    more = {
        "LOADER": "target-jsonl",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_STATE_BACKEND_S3_ENDPOINT_URL": bucket,
        "TAP_CLARITY_API_URL": sandbox.url,
        "TAP_CLARITY_START_DATE": f"{START:%Y-%m-%d}",
        "TEST_SANDBOX_URL": sandbox.url,
    }
    done = github_workflow.run_load(folder, tools, given, more)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _pattern(quote: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, quote.split(log_messages.GAP))))


def loaded(folder: Path, stream: str) -> dict[Key, Record]:
    """Read what a loader that upserts would hold."""
    with (folder / "output" / f"{stream}.jsonl").open() as lines:
        records = [json.loads(line) for line in lines]
    keys = ("org", "datasource_id", "output_frequency", "metric", "time")
    return {tuple(record[key] for key in keys): record for record in records}


def rows(page: str, heading: str) -> list[list[str]]:
    """Read the first table under a heading."""
    text = (ROOT / "docs" / page).read_text("utf-8").partition(f"## {heading}\n")[2]
    table = re.findall(r"^\|.*\|$", text.partition("\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_workflow_runs_off_the_hour_and_once_per_state_at_a_time() -> None:
    (schedule,) = TRIGGERS["schedule"]
    minute, *rest = schedule["cron"].split()
    assert 0 < int(minute) < 60
    assert rest == ["*"] * 4
    assert "${{ matrix.organisation }}" in JOB["concurrency"]["group"]
    assert JOB["concurrency"]["cancel-in-progress"] is False
    assert LOAD["env"]["MELTANO_RUN_STATE_ID_SUFFIX"] == "${{ matrix.organisation }}"


def test_job_timeout_exceeds_report_wait_and_load() -> None:
    waiting = SCHEMA["properties"]["report_wait_timeout"]["default"]
    history = 4_536_000  # 300 sensors, an hourly month: docs/warehouses/README.md
    loading = 2 * history / 5_000  # recent measurements included, at a slow loader's pace
    assert waiting + loading < 60 * JOB["timeout-minutes"] <= 6 * 3600


def test_command_lines_contain_no_expressions_and_so_no_secrets() -> None:
    scripts = [step["run"] for step in JOB["steps"] if "run" in step]
    assert scripts
    assert not any(EXPRESSION.search(script) for script in scripts)


def test_secrets_belong_to_an_environment_and_only_to_the_step_that_needs_them() -> None:
    assert JOB["environment"] == "${{ matrix.organisation }}"
    assert TEXT.count("secrets.") == len(re.findall(r"secrets\.", str(LOAD["env"]))) > 0


def test_variables_of_the_workflow_are_existing_settings() -> None:
    known = {f"TAP_CLARITY_{name.upper()}" for name in SCHEMA["properties"]}
    target = loader(JOB["env"]["LOADER"])
    prefix = target["name"].upper().replace("-", "_")
    known |= {f"{prefix}_{setting['name'].upper()}" for setting in target["settings"]}
    assert {name for name in LOAD["env"] if not name.startswith("MELTANO_")} <= known
    (required,) = target["settings_group_validation"]
    assert {f"{prefix}_{name.upper()}" for name in required} <= LOAD["env"].keys()


def test_workflow_installs_the_tested_meltano() -> None:
    assert f'"{TOOLS[0]}"' in TEXT


def test_action_has_the_same_pin_in_all_workflows() -> None:
    pins: dict[str, set[str]] = {}
    for file in github_workflow.FILE.parent.glob("*.yml"):
        for action, pin in re.findall(r"uses: (\S+)@(.+)", file.read_text("utf-8")):
            pins.setdefault(action, set()).add(pin)
    assert {action for action, found in pins.items() if len(found) > 1} == set()


def test_page_names_all_secrets_and_variables() -> None:
    kinds = {name.strip("`"): kind for name, kind, _ in rows("scheduling.md", "On GitHub")}
    assert {name for name in kinds if kinds[name] == "secret"} == set(
        re.findall(r"secrets\.(\w+)", TEXT)
    )
    assert kinds.keys() == set(re.findall(r"(?:secrets|vars)\.(\w+)", TEXT))


def test_page_names_the_tested_exit_statuses() -> None:
    statuses = {status for status, *_ in rows("scheduling.md", "What the exit status means")}
    tested_statuses = {status for *_, status in outcome_rows()}
    assert statuses == tested_statuses | {str(status) for status in SIGNAL_STATUSES.values()}


@pytest.mark.parametrize("page", ["recovery.md", "scheduling.md"])
def test_each_quoted_log_line_exists_in_the_source(page: str) -> None:
    source_texts = log_messages.texts()
    lines = [line for line in log_messages.quotes(page) if line not in MELTANO_LINES]
    found = [piece for line in lines for piece in log_messages.pieces(line)]
    assert len(found) > 15
    assert [piece for piece in found if not any(piece in text for text in source_texts)] == []


def test_each_log_message_of_the_source_is_documented() -> None:
    documented_lines = [*log_messages.quotes("recovery.md"), *log_messages.quotes("scheduling.md")]
    main_pieces = [max(log_messages.pieces(line), key=len) for line in log_messages.messages()]
    assert [
        piece for piece in main_pieces if not any(piece in line for line in documented_lines)
    ] == []


@pytest.mark.warehouse
@pytest.mark.skipif(not find_spec("meltano"), reason="Meltano is not there for this Python")
def test_another_working_copy_resumes_from_the_state_in_the_bucket(
    tools: Path, bucket: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "fresh", "target-jsonl")
    first, second = (project.copy(tmp_path / name).root for name in ("first", "second"))
    log = load(first, tools, bucket, sandbox)
    assert [line for line in MELTANO_LINES if not _pattern(line).search(log)] == []
    assert [call["path"] for call in received_requests(sandbox, "POST")] == [QUERY, REPORTS]
    sandbox.requests.clear()
    sandbox.clock.advance(3600)
    load(second, tools, bucket, sandbox)
    assert [call["path"] for call in received_requests(sandbox, "POST")] == [CONTINUATION]

    now = sandbox.clock.now()
    documented_lines = hourly(sandbox, FIRST_RUN - CACHE, FIRST_RUN, FIRST_RUN)
    expected = hourly(sandbox, FIRST_RUN - CACHE, now, now) | documented_lines
    found = loaded(first, "recent_measurements") | loaded(second, "recent_measurements")
    check_same(found.values(), expected.values())
    history = hourly(sandbox, START, FIRST_RUN, FIRST_RUN + REPORT_TAKES)
    check_same(loaded(first, "datasource_measurements").values(), history.values())
    assert not (second / "output" / "datasource_measurements.jsonl").exists()
    with urllib.request.urlopen(f"{bucket}/{STATE}") as reply:  # noqa: S310
        bookmarks = json.load(reply)["completed"]["singer_state"]["bookmarks"]
    issued = datetime.fromisoformat(bookmarks["recent_measurements"]["token_issued_at"])
    assert issued == now.replace(microsecond=0)
