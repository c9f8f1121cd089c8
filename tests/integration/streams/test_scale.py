"""A thousand datasources: each is read once, with few requests, messages and log lines."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from urllib3.util.connection import create_connection

from tap_clarity.sandbox import Sandbox
from tap_clarity.streams.prefetch import MAX_WORKERS
from tests.support.constants import NOW
from tests.support.tap_in_process import run_in_process

if TYPE_CHECKING:
    import socket

    import pytest

    from tests.support.tap_process import TapRun

STREAMS = ("datasources", "datasource_details", "recent_measurements")


def test_thousand_datasources_with_details_need_few_resources(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []

    def connect(address: tuple[str, int], *more: Any, **options: Any) -> socket.socket:  # noqa: ANN401
        opened.append(f"http://{address[0]}:{address[1]}")
        return create_connection(address, *more, **options)

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with Sandbox(seed=1, datasources=1000, now=NOW, frozen=True) as sandbox:
        run = run_in_process(
            sandbox,
            streams=STREAMS,
            output_frequency="day",
            metric_select="only pm2_5ConcMass24HourMean",
        )
        assert run.status == 0, run.errors
        all_are_read_once(sandbox, run)
    assert 1 < opened.count(sandbox.url) <= MAX_WORKERS + 1
    the_state_is_small(run)
    the_messages_are_few(run)
    the_log_is_short(run)


def all_are_read_once(sandbox: Sandbox, run: TapRun) -> None:
    objects = [
        each["datasource_id"] for each in sandbox.expected.records("datasource_details", NOW)
    ]
    assert len(objects) == 1000
    for stream in ("datasources", "datasource_details"):
        assert [record["datasource_id"] for record in run.records(stream)] == objects
    assert len({record["datasource_id"] for record in run.records("recent_measurements")}) > 900
    paths = Counter(request["path"] for request in sandbox.requests)
    assert len(paths) == len(objects) + 2
    assert set(paths.values()) == {1}


def the_state_is_small(run: TapRun) -> None:
    """Beside the token, whose length is Clarity's affair."""
    recent = run.state["bookmarks"]["recent_measurements"]
    assert recent["continuation_token"]
    assert len(json.dumps(run.state)) - len(recent["continuation_token"]) < 2048


def the_messages_are_few(run: TapRun) -> None:
    kinds = Counter((m["type"], m.get("stream")) for m in run.messages if m["type"] != "RECORD")
    assert {kinds["SCHEMA", stream] for stream in STREAMS} == {1}
    assert kinds["STATE", None] < 10
    assert sum(kinds.values()) == len(STREAMS) + kinds["STATE", None]


def the_log_is_short(run: TapRun) -> None:
    lines = run.errors.splitlines()
    started_count, counted = (
        [line for line in lines if words in line and "datasource_details" in line]
        for words in ("Beginning", "METRIC")
    )
    assert len(started_count) == len(counted) == 1
    assert '"value":1000' in counted[0]
    assert len(lines) < 40
