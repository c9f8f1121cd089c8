"""The recent measurements: which replies are tried again, and what is asked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tap_clarity.api.errors import RequestRejectedError, UnavailableError

if TYPE_CHECKING:
    from typing import BinaryIO

    from tap_clarity.api.client import ClarityClient
    from tap_clarity.api.recent_responses import RecentResponse
    from tap_clarity.sandbox import Sandbox
    from tests.support.fake_clock import FakeClock

START = datetime.fromisoformat("2026-03-08T12:00Z")


def lines(body: BinaryIO) -> list[bytes]:
    """Read a reply as the caller would, who finds out whether it is one."""
    from tap_clarity.api.response_body import open_decompressed  # noqa: PLC0415

    with body:
        found = open_decompressed(body).read().splitlines()
    if not found or not found[0].startswith(b"datasourceId,"):
        raise ValueError("it has no header")
    return found


def query(client: ClarityClient, sandbox: Sandbox) -> RecentResponse[list[bytes]]:
    asked = {"org": sandbox.org, "allDatasources": True, "outputFrequency": "hour"}
    return client.query_recent(asked, START, lines)


def test_the_cache_is_asked_for_csv_from_a_start_and_for_a_token(
    client: ClarityClient, sandbox: Sandbox
) -> None:
    reply = query(client, sandbox)
    assert len(reply.measurements) > 10
    assert reply.token
    assert sandbox.requests[0]["body"] == {
        "org": sandbox.org,
        "allDatasources": True,
        "outputFrequency": "hour",
        "format": "csv-wide",
        "startTime": "2026-03-08T12:00:00.000Z",
        "replyWithContinuationToken": True,
    }


def test_a_continuation_sends_the_token_and_nothing_of_the_query(
    client: ClarityClient, sandbox: Sandbox
) -> None:
    token = query(client, sandbox).token or ""
    reply = client.continue_recent(token, lines)
    assert len(reply.measurements) == 1
    assert reply.token
    assert sandbox.requests[1]["body"] == {"org": sandbox.org, "continuationToken": token}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("html", "the reply is unusable: it has no header"),
        ("garbage", "the reply is unusable: it has no header"),
        ("truncate", "the reply is cut or damaged"),
        ("truncate-lying", "the connection was dropped"),
    ],
)
def test_an_unusable_response_is_retried_and_then_an_error(
    client: ClarityClient, sandbox: Sandbox, clock: FakeClock, fault: str, message: str
) -> None:
    sandbox.faults.inject(fault, times=3)
    assert query(client, sandbox).token
    assert len(clock.pauses) == 3
    sandbox.faults.inject(fault, times=None)
    path = "POST /v2/recent-datasource-measurements-query"
    with pytest.raises(UnavailableError, match=rf"^{path}: {message}.*; given up for now"):
        query(client, sandbox)


def test_a_token_that_is_refused_is_not_repeated(client: ClarityClient, sandbox: Sandbox) -> None:
    body = '{"message": ["canary-token is not valid"]}'
    sandbox.faults.inject("status", status=400, body=body)
    with pytest.raises(RequestRejectedError, match=r"\*\*\* is not valid"):
        client.continue_recent("canary-token", lines)
