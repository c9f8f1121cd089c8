"""The recent measurements: which replies are tried again, and what is asked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tap_clarity.api.errors import RequestRefusedError, UnavailableError
from tap_clarity.api.recent import RecentReply, continue_recent, query_recent

if TYPE_CHECKING:
    from typing import BinaryIO

    from tap_clarity.api.transport import Connection
    from tap_clarity.sandbox import Sandbox
    from tests.support.fake_clock import FakeClock

START = datetime.fromisoformat("2026-03-08T12:00Z")


def lines(body: BinaryIO) -> list[bytes]:
    """Read a reply as the caller would, who finds out whether it is one."""
    from tap_clarity.api.response_body import unzipped  # noqa: PLC0415

    with body:
        found = unzipped(body).read().splitlines()
    if not found or not found[0].startswith(b"datasourceId,"):
        raise ValueError("it has no header")
    return found


def query(connection: Connection, sandbox: Sandbox) -> RecentReply[list[bytes]]:
    asked = {"org": sandbox.org, "allDatasources": True, "outputFrequency": "hour"}
    return query_recent(connection, asked, START, lines)


def test_the_cache_is_asked_for_csv_from_a_start_and_for_a_token(
    connection: Connection, sandbox: Sandbox
) -> None:
    reply = query(connection, sandbox)
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
    connection: Connection, sandbox: Sandbox
) -> None:
    token = query(connection, sandbox).token or ""
    reply = continue_recent(connection, sandbox.org, token, lines)
    assert len(reply.measurements) == 1
    assert reply.token
    assert sandbox.requests[1]["body"] == {"org": sandbox.org, "continuationToken": token}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("html", "the reply is unusable: it has no header"),
        ("garbage", "the reply is unusable: it has no header"),
        ("truncate", "the reply is cut or damaged"),
        ("truncate-lying", "the connection was dropped"),
    ],
)
def test_a_reply_that_is_unusable_is_tried_again_and_then_said(
    connection: Connection, sandbox: Sandbox, clock: FakeClock, fault: str, says: str
) -> None:
    sandbox.faults.order(fault, times=3)
    assert query(connection, sandbox).token
    assert len(clock.pauses) == 3
    sandbox.faults.order(fault, times=None)
    path = "POST /v2/recent-datasource-measurements-query"
    with pytest.raises(UnavailableError, match=rf"^{path}: {says}.*; given up for now"):
        query(connection, sandbox)


def test_a_token_that_is_refused_is_not_repeated(connection: Connection, sandbox: Sandbox) -> None:
    body = '{"message": ["canary-token is not valid"]}'
    sandbox.faults.order("status", status=400, body=body)
    with pytest.raises(RequestRefusedError, match=r"\*\*\* is not valid"):
        continue_recent(connection, sandbox.org, "canary-token", lines)
