"""Hostile responses: each is rejected in one line, with bounded memory and time.

tests/support/security/hostile_responses.py has the table of responses.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api import (
    files,
    limited_session,
    listing,
    pagination,
    recent_responses,
    response_body,
    transport,
)
from tap_clarity.measurements import csv_wide, model, row_anomalies
from tap_clarity.planning.recent_steps import MAX_CLOCK_SKEW
from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.http_server import serve_http
from tests.support.limited_runner import run_limited
from tests.support.paths import ROOT
from tests.support.security.hostile_responses import (
    DETAILS,
    END,
    FILE,
    LIST,
    METRIC,
    POLL,
    RECENT,
    SETTINGS,
    SIGNED,
    START,
    Attack,
    Target,
    cases,
    run_attack,
    whole,
)
from tests.support.tap_process import expected_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Key, Record

MAX_MEMORY = 120
"""MiB above those of a good run."""
MAX_SECONDS = 30
MAX_CHARACTERS = 600
CACHED = timedelta(days=2) - MAX_CLOCK_SKEW
"""What is requested of the recent cache; the sandbox's clock moves with each retry."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A small world that grants as many reports as there are attacks."""
    with Sandbox(
        seed=1, datasources=2, now=NOW, frozen=True, report_seconds=0, daily_quota=1000
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def at_the_same_time(sandbox: Sandbox) -> None:
    """Undo that retries of the test before have moved the clock."""
    sandbox.clock.set(NOW)


@pytest.fixture(scope="module")
def normal_peak(sandbox: Sandbox) -> float:
    """Give the memory of a good run."""
    return run_limited(sandbox, streams=FILE.streams, **SETTINGS).peak


def truth(sandbox: Sandbox, target: Target) -> dict[Key, Record]:
    now = sandbox.clock.now()
    if target is LIST:
        objects = sandbox.expected.records("datasources", now)
        return {(sandbox.org, each["datasource_id"]): each for each in objects}
    start, end = (now - CACHED, now) if target is RECENT else (START, END)
    measurements = sandbox.expected.measurements("hour", start, end, now)
    return expected_records(each for each in measurements if each.metric == METRIC)


@pytest.mark.parametrize(
    ("attack", "target"),
    [pytest.param(attack, target, id=f"{attack.name}-{target.name}") for attack, target in cases()],
)
def test_attack_is_rejected_with_a_specific_error_and_no_data_is_lost(
    sandbox: Sandbox, normal_peak: float, attack: Attack, target: Target
) -> None:
    run, outcome = run_attack(sandbox, attack, target)
    (error,) = outcome.errors
    assert attack.expected_error in error
    assert error.isprintable()
    assert len(error) < MAX_CHARACTERS
    assert outcome.status == 1
    assert "Traceback" not in run.errors
    assert outcome.peak < normal_peak + MAX_MEMORY
    assert outcome.seconds < MAX_SECONDS
    (stream,) = target.streams
    after = run_limited(
        sandbox, streams=target.streams, state=json.dumps(run.state), **SETTINGS
    ).check()
    found = after.upserted(stream)
    assert found.keys() == truth(sandbox, target).keys()
    for key, record in truth(sandbox, target).items():
        assert found[key].items() >= record.items()


STREAMS_WITH_IDS = ("recent_measurements", "node_measurements")


def test_without_its_limit_a_long_line_fills_the_memory(
    sandbox: Sandbox, normal_peak: float
) -> None:
    unlimited = {"tap_clarity.measurements.csv_wide.MAX_ROW_LENGTH": 1e15}
    long = next(attack for attack, _ in cases() if attack.name == "a line of 100 MB")
    _, outcome = run_attack(sandbox, replace(long, limits={**long.limits, **unlimited}), FILE)
    assert outcome.peak > normal_peak + MAX_MEMORY


@pytest.mark.parametrize("name", ["datasource_id", "DatasourceId"])
@pytest.mark.parametrize("id_", ["..", "x" * 100_000, "a\nERROR"])
def test_no_second_spelling_of_an_id_leads_to_another_call(
    sandbox: Sandbox, name: str, id_: str
) -> None:
    listed = {"datasources": [{name: id_, "datasourceId": "D1"}]}
    with serve_http(whole(json.dumps(listed).encode())) as hostile:
        run = run_limited(sandbox, streams=DETAILS.streams, api_url=hostile.url)
    assert [record["datasource_id"] for record in run.records("datasources")] == ["D1"]
    assert {asked.target.partition("?")[0] for asked in hostile.requests} == {
        *("/v2/datasources", "/v2/datasources/D1")
    }


IDS = ["../../v1/open", "a?b#c d", "a%2e%2e", "a/b", "é"]
QUOTED = ["..%2F..%2Fv1%2Fopen", "a%3Fb%23c%20d", "a%252e%252e", "a%2Fb", "%C3%A9"]


def test_ids_from_the_server_cannot_change_the_request_path(sandbox: Sandbox) -> None:
    listing = {"datasources": [{"datasourceId": id_} for id_ in IDS]}
    with serve_http(whole(json.dumps(listing).encode())) as server:
        run = run_limited(sandbox, streams=DETAILS.streams, api_url=server.url)
    assert run.status == 1
    assert {asked.target.partition("?")[0] for asked in server.requests} == {
        "/v2/datasources",
        *(f"/v2/datasources/{quoted}" for quoted in QUOTED),
    }


@pytest.mark.parametrize("setting", ["datasource_ids", "node_ids", "org"])
@pytest.mark.parametrize("id_", ["../..", "a?b#c", "a b", "%2e%2e"])
def test_ids_from_the_settings_cannot_change_the_request_path(
    sandbox: Sandbox, setting: str, id_: str
) -> None:
    sandbox.requests.clear()
    value: Any = id_ if setting == "org" else [id_]
    run = run_limited(
        sandbox, streams=[*DETAILS.streams, *STREAMS_WITH_IDS], **SETTINGS | {setting: value}
    )
    assert "Traceback" not in run.errors
    for request in sandbox.requests:
        _, first, *rest = request["path"].split("/")
        assert first in {"v2", "files"}
        assert not {"..", ".", "", id_} & {*rest}


def test_host_of_a_download_link_receives_no_secrets(sandbox: Sandbox) -> None:
    with serve_http(whole(b"{}")) as server:
        link = {"reportStatus": "succeeded", "urls": [server.url + SIGNED]}
        sandbox.faults.inject("status", status=200, body=json.dumps(link), times=None, path=POLL)
        run = run_limited(sandbox, streams=FILE.streams, **SETTINGS)
        sandbox.faults.clear()
    assert run.status == 1
    (error_line,) = run.error_lines
    assert "it is JSON, which no report's file is" in error_line
    for asked in server.requests:
        assert (asked.method, asked.target) == ("GET", SIGNED)
        assert asked.headers.keys() == {
            *("host", "user-agent", "accept-encoding", "accept", "connection")
        }
    assert sandbox.api_key not in str(server.requests)


LIMITS = [
    f"{limited_session.MAX_HEADER_BYTES:,} bytes",
    f"{response_body.MAX_JSON_BYTES:,} bytes, {response_body.MAX_JSON_VALUES:,} values",
    f"{response_body.MAX_JSON_DEPTH}",
    f"{listing.MAX_PAGES:,} pages, {listing.MAX_OBJECTS:,} objects",
    f"{listing.MAX_LIST_BYTES:,} bytes, {listing.MAX_LIST_VALUES:,} values",
    f"{pagination.MAX_LINK_LENGTH:,} characters",
    f"{recent_responses.MAX_RECENT_BYTES:,} bytes",
    f"{transport.MAX_FILE_BYTES:,} bytes",
    f"{response_body.MAX_COMPRESSION_RATIO} times its size",
    f"twice its content and {response_body.MAX_GZIP_OVERHEAD:,} bytes",
    f"{files.MAX_FILES}",
    f"{csv_wide.MAX_COLUMNS:,}",
    f"{csv_wide.MAX_ROW_LENGTH:,} characters",
    f"{model.MAX_WORD_LENGTH} characters",
    f"{row_anomalies.MAX_REMEMBERED_BYTES:,} bytes",
]


def test_security_page_names_the_limits() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    table = page.partition("| What | At most")[2].partition("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[2].strip() for row in table] == LIMITS
