"""Whatever a server sends, the tap refuses it by name, in one line, and in little memory and time.

What is sent stands in the table of tests/support/hostile_responses.py.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api import files, recent, response_body, session, transport
from tap_clarity.measurements import csv_wide, model, row_check
from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.file_server import host
from tests.support.hostile_responses import (
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
    attacked,
    cases,
    whole,
)
from tests.support.limited_runner import run_guarded
from tests.support.paths import ROOT
from tests.support.tap_process import expected_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Key, Record

MOST_MEMORY = 120
"""MiB above those of a good run."""
MOST_SECONDS = 30
MOST_LETTERS = 600
CACHED_SINCE = "2026-03-08T09:20:00Z"
"""Two days before the present instant."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A small world that grants as many reports as there are attacks."""
    with Sandbox(
        seed=1, datasources=2, now=NOW, frozen=True, report_seconds=0, daily_quota=1000
    ) as running:
        yield running


@pytest.fixture(scope="module")
def usual(sandbox: Sandbox) -> float:
    """Give the memory of a good run."""
    return run_guarded(sandbox, streams=FILE.streams, **SETTINGS).peak


def truth(sandbox: Sandbox, target: Target) -> dict[Key, Record]:
    now = sandbox.clock.now()
    if target is LIST:
        told = sandbox.expected.records("datasources", now)
        return {(sandbox.org, each["datasource_id"]): each for each in told}
    start, end = (CACHED_SINCE, now) if target is RECENT else (START, END)
    measured = sandbox.expected.measurements("hour", start, end, now)
    return expected_records(each for each in measured if each.metric == METRIC)


@pytest.mark.parametrize(
    ("attack", "target"),
    [pytest.param(attack, target, id=f"{attack.name}-{target.name}") for attack, target in cases()],
)
def test_an_attack_is_refused_by_name_and_nothing_is_lost(
    sandbox: Sandbox, usual: float, attack: Attack, target: Target
) -> None:
    run, outcome = attacked(sandbox, attack, target)
    (said,) = outcome.said
    assert attack.says in said
    assert said.isprintable()
    assert len(said) < MOST_LETTERS
    assert outcome.status == 1
    assert "Traceback" not in run.errors
    assert outcome.peak < usual + MOST_MEMORY
    assert outcome.seconds < MOST_SECONDS
    (stream,) = target.streams
    after = run_guarded(
        sandbox, streams=target.streams, state=json.dumps(run.state), **SETTINGS
    ).check()
    found = after.upserted(stream)
    assert found.keys() == truth(sandbox, target).keys()
    for key, record in truth(sandbox, target).items():
        assert found[key].items() >= record.items()


BY_ID = ("recent_measurements", "node_measurements")


def test_without_its_limit_a_long_line_is_seen_to_fill_the_memory(
    sandbox: Sandbox, usual: float
) -> None:
    unlimited = {"tap_clarity.measurements.csv_wide.MAX_ROW_LENGTH": 1e15}
    long = next(attack for attack, _ in cases() if attack.name == "a line of 100 MB")
    _, outcome = attacked(sandbox, replace(long, limits={**long.limits, **unlimited}), FILE)
    assert outcome.peak > usual + MOST_MEMORY


IDS = ["../../v1/open", "a?b#c d", "a%2e%2e", "a/b", "é"]
QUOTED = ["..%2F..%2Fv1%2Fopen", "a%3Fb%23c%20d", "a%252e%252e", "a%2Fb", "%C3%A9"]


def test_no_id_of_a_server_leads_to_another_call(sandbox: Sandbox) -> None:
    listed = {"datasources": [{"datasourceId": id_} for id_ in IDS]}
    with host(whole(json.dumps(listed).encode())) as hostile:
        run = run_guarded(sandbox, streams=DETAILS.streams, api_url=hostile.url)
    assert run.status == 1
    assert {asked.target.partition("?")[0] for asked in hostile.asked} == {
        "/v2/datasources",
        *(f"/v2/datasources/{quoted}" for quoted in QUOTED),
    }


@pytest.mark.parametrize("setting", ["datasource_ids", "node_ids", "org"])
@pytest.mark.parametrize("id_", ["../..", "a?b#c", "a b", "%2e%2e"])
def test_no_id_of_the_settings_leads_to_another_call(
    sandbox: Sandbox, setting: str, id_: str
) -> None:
    sandbox.requests.clear()
    value: Any = id_ if setting == "org" else [id_]
    run = run_guarded(sandbox, streams=[*DETAILS.streams, *BY_ID], **SETTINGS | {setting: value})
    assert "Traceback" not in run.errors
    for request in sandbox.requests:
        _, first, *rest = request["path"].split("/")
        assert first in {"v2", "files"}
        assert not {"..", ".", "", id_} & {*rest}


def test_a_host_of_the_links_own_choosing_learns_nothing(sandbox: Sandbox) -> None:
    with host(whole(b"{}")) as chosen:
        link = {"reportStatus": "succeeded", "urls": [chosen.url + SIGNED]}
        sandbox.faults.inject("status", status=200, body=json.dumps(link), times=None, path=POLL)
        run = run_guarded(sandbox, streams=FILE.streams, **SETTINGS)
        sandbox.faults.clear()
    assert run.status == 1
    (complaint,) = run.complaints
    assert "it is JSON, which no report's file is" in complaint
    for asked in chosen.asked:
        assert (asked.method, asked.target) == ("GET", SIGNED)
        assert asked.headers.keys() == {
            *("host", "user-agent", "accept-encoding", "accept", "connection")
        }
    assert sandbox.api_key not in str(chosen.asked)


LIMITS = [
    f"{session.MAX_HEADER_BYTES:,} bytes",
    f"{response_body.MAX_JSON_BYTES:,} bytes, {response_body.MAX_JSON_VALUES:,} values",
    f"{recent.MAX_RECENT_BYTES:,} bytes",
    f"{transport.MAX_FILE_BYTES:,} bytes",
    f"{response_body.MAX_COMPRESSION_RATIO} times its size",
    f"{files.MAX_FILES}",
    f"{csv_wide.MAX_COLUMNS:,}",
    f"{csv_wide.MAX_ROW_LENGTH:,} characters",
    f"{model.MAX_WORD_LENGTH} characters",
    f"{row_check.MAX_REMEMBERED_BYTES:,} bytes",
]


def test_the_page_on_security_names_the_limits() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    table = page.partition("| What | At most")[2].partition("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[2].strip() for row in table] == LIMITS
