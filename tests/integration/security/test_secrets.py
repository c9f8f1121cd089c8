"""The API key, tokens and signed links never appear in output, logs or files."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.documented.api_faults import (
    CONTINUATION,
    FILE,
    LIST,
    POLL,
    REQUEST_KINDS,
    RequestKind,
)
from tests.support.http_server import send_response, serve_http
from tests.support.limited_runner import run_limited
from tests.support.meltano.project import Project, create_once, town
from tests.support.security.hostile_responses import POLL as POLLS
from tests.support.security.secret_scan import (
    KEY,
    SETTINGS,
    SearchResult,
    Secrets,
    create_sandbox,
    fault_cases,
    search,
    secrets_of,
)
from tests.support.security.secret_scan import NOW as LATER
from tests.support.tap_process import received_requests, run_tap

if TYPE_CHECKING:
    from pathlib import Path

DEBUG = {"TAP_CLARITY_LOGLEVEL": "DEBUG"}
SIGNATURE = "5b3eF1%2Bcanary%2F77"


@pytest.mark.parametrize("call", REQUEST_KINDS, ids=lambda call: call.name)
def test_no_fault_leaks_a_secret(call: RequestKind, pytestconfig: pytest.Config) -> None:
    found = search(fault_cases(call, thorough=pytestconfig.getoption("thorough")))
    assert found.hits == []
    assert len(found.faults) > 12
    assert len(found.secrets) >= (2 if call in {CONTINUATION, FILE} else 1)
    assert found.characters > 1000 * found.runs


@pytest.mark.parametrize(
    ("mutation", "call", "place"),
    [
        ("enable_library_logging_unfiltered", FILE, "log"),
        ("print_headers", LIST, "output"),
        ("log_bodies_unfiltered", CONTINUATION, "log"),
        ("quote_library_errors_unfiltered", FILE, "log"),
        ("keep_temporary_files", FILE, "files"),
        ("write_key_to_state", POLL, "STATE"),
    ],
)
def test_injected_leak_is_found(mutation: str, call: RequestKind, place: str) -> None:
    dropped = next(each for each in fault_cases(call) if each.fault.order["kind"] == "drop")
    found = search([dropped], mutation=f"tests.support.security.leak_mutations.{mutation}")
    assert f"{dropped.fault.name} on {call.name}: {place}" in found.hits


@pytest.mark.parametrize(
    ("mutation", "call"),
    [
        ("enable_library_logging", FILE),
        ("log_bodies", CONTINUATION),
        ("quote_library_errors", FILE),
    ],
)
def test_log_filter_redacts_an_injected_leak(mutation: str, call: RequestKind) -> None:
    dropped = next(each for each in fault_cases(call) if each.fault.order["kind"] == "drop")
    found = search([dropped], mutation=f"tests.support.security.leak_mutations.{mutation}")
    assert found.hits == []
    assert len(found.secrets) > 1


@pytest.mark.parametrize("call", REQUEST_KINDS, ids=lambda call: call.name)
def test_traceback_of_a_bug_contains_no_secret(call: RequestKind) -> None:
    found = search(
        [next(fault_cases(call))], mutation="tests.support.security.leak_mutations.raise_error"
    )
    assert found.hits == []


@pytest.mark.parametrize("option", ["--about", "--plan", "--test", "--discover", "--version"])
def test_no_command_leaks_a_secret(option: str) -> None:
    found = SearchResult()
    with create_sandbox() as sandbox:
        state = run_tap(sandbox, **SETTINGS).check().state
        run = run_tap(sandbox, option, state=state, env=DEBUG, **SETTINGS)
        found.search_run(option, run, secrets_of(sandbox, run, state))
    assert run.status == 0
    assert len(found.secrets) > 2
    assert found.hits == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503])
def test_error_does_not_quote_a_response_that_repeats_secrets(status: int) -> None:
    found = SearchResult()
    with create_sandbox() as sandbox:
        state = run_tap(sandbox, streams=CONTINUATION.streams).check().state
        token = state["bookmarks"]["recent_measurements"]["continuation_token"]
        error = f"{KEY} {token} is no good, {token} {KEY}"
        for call in REQUEST_KINDS:
            answer = {"status": status, "body": json.dumps({"message": [error, KEY]})}
            place = {"path": call.path, "method": call.method, "times": None}
            sandbox.faults.inject("status", headers={"Retry-After": KEY}, **answer, **place)
            given = state if call is CONTINUATION else {}
            run = run_tap(sandbox, streams=call.streams, state=given, env=DEBUG, **SETTINGS)
            sandbox.faults.clear()
            found.search_run(call.name, run, secrets_of(sandbox, run, state))
    assert found.hits == []


@pytest.mark.parametrize("status", [200, 400, 403, 429, 503])
@pytest.mark.parametrize("form", ["{0}", '{{"message": "{0}"}}', "<Error><Code>{0}</Code></Error>"])
def test_error_does_not_quote_a_file_host_that_repeats_the_signature(
    status: int, form: str
) -> None:
    plain = SIGNATURE.replace("%2B", "+").replace("%2F", "/")
    body = form.format(f"{SIGNATURE} {plain}").encode()
    with (
        create_sandbox() as sandbox,
        serve_http(lambda handler: send_response(handler, body, status)) as here,
    ):
        link = f"{here.url}/a.csv.gz?X-Amz-Expires=900&X-Amz-Signature={SIGNATURE}"
        answer = {"reportStatus": "succeeded", "urls": [link], "message": f"key {KEY}"}
        sandbox.faults.inject("status", status=200, times=None, path=POLLS, body=json.dumps(answer))
        run = run_limited(sandbox, streams=FILE.streams, env=DEBUG, **SETTINGS)
    found = SearchResult()
    found.search_run("file", run, Secrets({SIGNATURE, plain, "5b3eF1", KEY}, set()))
    assert found.hits == []
    assert here.requests
    assert run.status == 1


POLLS_WITH_LINKS: dict[str, list[dict[str, Any]]] = {
    "a failed report": [{"reportStatus": "failed", "message": "cannot move {link}"}],
    "a failed report and a signature": [
        {"reportStatus": "failed", "urls": ["{link}"], "message": "{signature} is wrong"}
    ],
    "an unknown status": [{"reportStatus": "expired", "message": ["the link {link} has expired"]}],
    "no files": [{"reportStatus": "succeeded", "urls": [], "message": "see {link}"}],
    "a path": [{"reportStatus": "failed", "message": "cannot move /a.csv?Signature={signature}"}],
    "an escaped link": [{"reportStatus": "failed", "message": "https:\\/\\/h\\/a?s={signature}"}],
    "a link of an earlier poll": [
        {"reportStatus": "succeeded", "urls": ["{link}"]},
        {"status": 400, "message": "link {link} was used, {signature}"},
    ],
}


@pytest.mark.parametrize("polls", POLLS_WITH_LINKS.values(), ids=POLLS_WITH_LINKS)
def test_no_message_repeats_a_link_of_a_report(polls: list[dict[str, Any]]) -> None:
    with create_sandbox() as sandbox:
        link = f"{sandbox.url}/files/a.csv?X-Amz-Expires=900&X-Amz-Signature={SIGNATURE}"
        for number, poll in enumerate(polls, 1):
            text = json.dumps({"status": 200} | poll)
            answer = json.loads(text.replace("{link}", link).replace("{signature}", SIGNATURE))
            times = None if number == len(polls) else 1
            sandbox.faults.inject(
                "status", status=answer["status"], times=times, path=POLLS, body=json.dumps(answer)
            )
        run = run_limited(sandbox, streams=FILE.streams, env=DEBUG, **SETTINGS)
    found = SearchResult()
    found.search_run("record", run, Secrets({SIGNATURE, SIGNATURE[:12], "5b3eF1"}, set()))
    assert found.hits == []
    assert "***" in run.errors


@pytest.mark.parametrize("name", [KEY, "{link}"])
def test_a_report_id_that_is_a_secret_is_not_used(name: str) -> None:
    with create_sandbox() as sandbox:
        id_ = name.replace("{link}", f"{sandbox.url}/a?Signature={SIGNATURE}")
        body = json.dumps({"reportId": id_})
        place = {"path": "/v2/report-requests", "method": "POST"}
        sandbox.faults.inject("status", status=200, times=None, body=body, **place)
        run = run_limited(sandbox, streams=FILE.streams, env=DEBUG, **SETTINGS)
    found = SearchResult()
    found.search_run("id", run, Secrets({KEY, SIGNATURE, id_}, set()))
    assert found.hits == []
    assert run.status == 1
    assert "the reply has no report id" in run.errors


@pytest.mark.parametrize("column", [KEY, f"X-Amz-Signature={SIGNATURE}"])
def test_the_name_of_a_column_is_redacted_in_the_log(column: str) -> None:
    file = f"datasourceId,startOfPeriod,pm2_5ConcMass1HourMean.raw,{column}\n"
    file += "DAAAA0001,2026-03-08T05:00:00.000Z,1,1\n"
    with (
        create_sandbox() as sandbox,
        serve_http(lambda handler: send_response(handler, file.encode())) as here,
    ):
        link = f"{here.url}/a.csv?X-Amz-Signature={SIGNATURE}"
        body = json.dumps({"reportStatus": "succeeded", "urls": [link]})
        sandbox.faults.inject("status", status=200, times=None, path=POLLS, body=body)
        run = run_limited(sandbox, streams=FILE.streams, env=DEBUG, **SETTINGS)
    found = SearchResult()
    found.search_run("column", run, Secrets({KEY, SIGNATURE}, set()))
    assert here.requests
    assert found.hits == []
    assert "***" in run.errors


def test_a_token_is_redacted_in_the_query_after_its_rejection() -> None:
    found = SearchResult()
    with create_sandbox() as sandbox:
        state = run_tap(sandbox, streams=CONTINUATION.streams, **SETTINGS).check().state
        token = state["bookmarks"]["recent_measurements"]["continuation_token"]
        sandbox.clock.set(LATER)
        sandbox.requests.clear()
        body = json.dumps({"error": f"bad token {token}"})
        path = "/v2/recent-datasource-measurements-*"
        sandbox.faults.inject("status", status=400, times=None, path=path, body=body)
        run = run_tap(sandbox, streams=CONTINUATION.streams, state=state, env=DEBUG, **SETTINGS)
        found.search_run("token", run, secrets_of(sandbox, run, state))
        continued, queried, *_ = received_requests(sandbox, "POST")
    assert continued["path"] == CONTINUATION.path
    assert queried["path"].endswith("-query")
    assert "bad token ***" in run.errors
    assert token[:12] not in run.errors
    assert found.hits == []


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
def test_meltano_logs_no_secret_at_its_default_level(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str, tmp_path: Path
) -> None:
    def make(root: Path) -> None:
        made = Project.create(root, "target-duckdb")
        with town() as sandbox:
            (root / "log").write_text(made.load(sandbox).check().log)

    root = create_once(tmp_path_factory, worker_id, "duckdb", make)
    project = Project(root, "target-duckdb").copy(tmp_path / "project")
    with Sandbox(seed=1, datasources=4, now=NOW, frozen=True, api_key=KEY) as sandbox:
        sandbox.clock.advance(15 * 3600)  # the token is good, and a new day has begun
        for path, order in STRIKES:
            sandbox.faults.inject(**order, path=path)
        done = project.load(sandbox).check()
        struck = {request["fault"] for request in sandbox.requests} - {None}
        signatures = {
            request["query"]["X-Amz-Signature"]
            for request in received_requests(sandbox, "GET", "/files/")
        }
        token = [*received_requests(sandbox, "POST", CONTINUATION.path)][-1]["body"][
            "continuationToken"
        ]
    assert struck == {order["kind"] for _, order in STRIKES}
    logs = [path.read_text() for path in (project.root / ".meltano" / "logs").rglob("*.log")]
    for secret in (KEY, token, *signatures):
        for text in (done.output, done.log, *logs):
            assert secret not in text
