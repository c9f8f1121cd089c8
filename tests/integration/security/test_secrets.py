"""The API key, tokens and signed links stay in, whatever goes wrong and whoever listens."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.fault_table import CALLS, CONTINUATION, FILE, LIST, POLL, Call
from tests.support.file_server import host, reply
from tests.support.hostile_responses import POLL as POLLS
from tests.support.limited_runner import run_guarded
from tests.support.meltano_project import Project, made_once, town
from tests.support.secret_scan import (
    KEY,
    SETTINGS,
    Search,
    Secrets,
    search,
    secrets_of,
    strikes,
    world,
)
from tests.support.tap_process import calls, run_tap

if TYPE_CHECKING:
    from pathlib import Path

DEBUG = {"TAP_CLARITY_LOGLEVEL": "DEBUG"}
SIGNATURE = "5b3eF1%2Bcanary%2F77"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_no_fault_makes_the_tap_tell_a_secret(call: Call, pytestconfig: pytest.Config) -> None:
    found = search(strikes(call, thoroughly=pytestconfig.getoption("thorough")))
    assert found.hits == []
    assert len(found.faults) > 12
    assert len(found.secrets) >= (2 if call in {CONTINUATION, FILE} else 1)
    assert found.letters > 1000 * found.runs


@pytest.mark.parametrize(
    ("plant", "call", "place"),
    [
        ("let_the_library_log", FILE, "log"),
        ("print_headers", LIST, "output"),
        ("log_bodies", CONTINUATION, "log"),
        ("pass_on_errors", FILE, "log"),
        ("leave_files", FILE, "files"),
        ("tell_in_state", POLL, "STATE"),
    ],
)
def test_a_leak_is_found(plant: str, call: Call, place: str) -> None:
    dropped = next(each for each in strikes(call) if each.fault.order["kind"] == "drop")
    found = search([dropped], plant=f"tests.support.leak_mutations.{plant}")
    assert f"{dropped.fault.name} on {call.name}: {place}" in found.hits


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_bug_tells_no_secret(call: Call) -> None:
    found = search([next(strikes(call))], plant="tests.support.leak_mutations.fail")
    assert found.hits == []


@pytest.mark.parametrize("option", ["--about", "--plan", "--test", "--discover", "--version"])
def test_no_command_tells_a_secret(option: str) -> None:
    found = Search()
    with world() as sandbox:
        state = run_tap(sandbox, **SETTINGS).check().state
        run = run_tap(sandbox, option, state=state, env=DEBUG, **SETTINGS)
        found.look(option, run, secrets_of(sandbox, run, state))
    assert run.status == 0
    assert len(found.secrets) > 2
    assert found.hits == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503])
def test_a_server_that_repeats_secrets_is_not_quoted(status: int) -> None:
    found = Search()
    with world() as sandbox:
        state = run_tap(sandbox, streams=CONTINUATION.streams).check().state
        token = state["bookmarks"]["recent_measurements"]["continuation_token"]
        said = f"{KEY} {token} is no good, {token} {KEY}"
        for call in CALLS:
            answer = {"status": status, "body": json.dumps({"message": [said, KEY]})}
            place = {"path": call.path, "method": call.method, "times": None}
            sandbox.faults.inject("status", headers={"Retry-After": KEY}, **answer, **place)
            given = state if call is CONTINUATION else {}
            run = run_tap(sandbox, streams=call.streams, state=given, env=DEBUG, **SETTINGS)
            sandbox.faults.clear()
            found.look(call.name, run, secrets_of(sandbox, run, state))
    assert found.hits == []


@pytest.mark.parametrize("status", [200, 400, 403, 429, 503])
@pytest.mark.parametrize("form", ["{0}", '{{"message": "{0}"}}', "<Error><Code>{0}</Code></Error>"])
def test_a_file_s_host_that_repeats_the_signature_is_not_quoted(status: int, form: str) -> None:
    plain = SIGNATURE.replace("%2B", "+").replace("%2F", "/")
    body = form.format(f"{SIGNATURE} {plain}").encode()
    with world() as sandbox, host(lambda handler: reply(handler, body, status)) as here:
        link = f"{here.url}/a.csv.gz?X-Amz-Expires=900&X-Amz-Signature={SIGNATURE}"
        answer = {"reportStatus": "succeeded", "urls": [link], "message": f"key {KEY}"}
        sandbox.faults.inject("status", status=200, times=None, path=POLLS, body=json.dumps(answer))
        run = run_guarded(sandbox, streams=FILE.streams, env=DEBUG, **SETTINGS)
    found = Search()
    found.look("file", run, Secrets({SIGNATURE, plain, "5b3eF1", KEY}, set()))
    assert found.hits == []
    assert here.asked
    assert run.status == 1


STRIKES: list[tuple[str, dict[str, Any]]] = [
    ("/v2/datasources", {"kind": "status", "status": 503, "body": f'{{"message": "{KEY}"}}'}),
    (CONTINUATION.path, {"kind": "drop"}),
    (POLL.path, {"kind": "garbage"}),
    (FILE.path, {"kind": "expired-link"}),
    (FILE.path, {"kind": "drop"}),
    (FILE.path, {"kind": "row-not-a-number"}),
]


@pytest.mark.skipif(
    not find_spec("meltano") or not find_spec("duckdb"),
    reason="Meltano and the loader's DuckDB are not there for this Python",
)
def test_meltano_passes_no_secret_on_at_its_usual_level(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, tmp_path: Path
) -> None:
    def make(root: Path) -> None:
        made = Project.create(root, "target-duckdb")
        with town() as sandbox:
            (root / "log").write_text(made.load(sandbox).check().log)

    root = made_once(tmp_path_factory, worker_id, "duckdb", make)
    project = Project(root, "target-duckdb").copy(tmp_path / "project")
    with Sandbox(seed=1, datasources=4, now=NOW, frozen=True, api_key=KEY) as sandbox:
        sandbox.clock.advance(15 * 3600)  # the token is good, and a new day has begun
        for path, order in STRIKES:
            sandbox.faults.inject(**order, path=path)
        done = project.load(sandbox).check()
        struck = {request["fault"] for request in sandbox.requests} - {None}
        signatures = {
            request["query"]["X-Amz-Signature"] for request in calls(sandbox, "GET", "/files/")
        }
        token = [*calls(sandbox, "POST", CONTINUATION.path)][-1]["body"]["continuationToken"]
    assert struck == {order["kind"] for _, order in STRIKES}
    logs = [path.read_text() for path in (project.root / ".meltano" / "logs").rglob("*.log")]
    for secret in (KEY, token, *signatures):
        for text in (done.output, done.log, *logs):
            assert secret not in text
