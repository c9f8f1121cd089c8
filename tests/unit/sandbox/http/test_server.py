"""The server: start, defects, and responses that are sent badly."""

from __future__ import annotations

import time
import zlib
from http.client import IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.world import datasources
from tests.support.sandbox_client import Client, fetch, open_raw

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from http.client import HTTPResponse

DAY = ("2026-11-19", "2026-11-20")
LIST = "/v2/datasources"


def test_a_large_world_starts_in_under_a_second() -> None:
    started = time.monotonic()
    with Sandbox(datasources=1_000_000, now="2026-11-20") as sandbox:
        assert fetch(f"{sandbox.url}/_sandbox/clock").status == 200
    assert time.monotonic() - started < 1


def test_exceptions_in_handlers_are_printed(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(datasources, "datasource_list", broken)
    with pytest.raises(RemoteDisconnected):
        client.get("/v2/datasources")
    assert "ZeroDivisionError" in capsys.readouterr().err


def _list(client: Client) -> AbstractContextManager[HTTPResponse]:
    sandbox = client.sandbox
    return open_raw(f"{sandbox.url}{LIST}?org={sandbox.org}", **{"x-api-key": sandbox.api_key})


def test_a_dropped_report_request_is_counted(client: Client) -> None:
    client.sandbox.faults.inject("drop", path="/v2/report-requests")
    with pytest.raises((ConnectionResetError, URLError)):
        client.request_report("hour", *DAY)
    statuses = [client.request_report("hour", *DAY).status for _ in range(30)]
    assert statuses == [200] * 29 + [429]


def test_a_connection_reset_inside_the_body(client: Client) -> None:
    client.sandbox.faults.inject("cut", path=LIST)
    with _list(client) as response, pytest.raises((ConnectionResetError, IncompleteRead)):
        response.read()


def test_a_truncated_body_with_a_right_and_a_wrong_length(client: Client) -> None:
    with _list(client) as response:
        whole = response.read()
    client.sandbox.faults.inject("truncate", path=LIST, at=0.25)
    with _list(client) as honest:
        assert honest.length == len(whole) // 4
        assert honest.read() == whole[: len(whole) // 4]
    client.sandbox.faults.inject("truncate-lying", path=LIST, at=0.25)
    with _list(client) as lying:
        assert lying.length == len(whole)
        with pytest.raises(IncompleteRead) as caught:
            lying.read()
    assert caught.value.partial == whole[: len(whole) // 4]


@pytest.mark.parametrize("kind", ["stall", "stall-inside", "drip"])
def test_slow_responses_are_complete(client: Client, kind: str) -> None:
    whole = client.get(LIST).body
    client.sandbox.faults.inject(kind, path=LIST, seconds=0.2)
    started = time.monotonic()
    assert client.get(LIST).body == whole
    assert time.monotonic() - started > 0.1


def test_faults_apply_to_streamed_responses(client: Client) -> None:
    whole = client.recent("hour", format="csv-wide").body
    client.sandbox.faults.inject("drip", seconds=0.01)
    assert client.recent("hour", format="csv-wide").body == whole
    client.sandbox.faults.inject("truncate")
    with pytest.raises((EOFError, zlib.error)):
        client.recent("hour", format="csv-wide")
