"""The recent measurements: Clarity's cache, and the tokens that continue from it."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NamedTuple, TypeVar

from tap_clarity.api.errors import TransientError
from tap_clarity.api.response_body import prove_whole
from tap_clarity.api.transport import WHOLE, Call
from tap_clarity.core.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tap_clarity.api.transport import Connection, Reply

T = TypeVar("T")

PATH = "/v2/recent-datasource-measurements"
TOKEN_HEADER = "x-clarity-continuation-token"  # noqa: S105
YEARS = range(2014, 2100)
"""In which a clock may be right: the first node was made in the first one."""
LONGEST = 1 << 30
"""Bytes of a reply: a day of a thousand sensors' samples, as JSON and not zipped."""


class RecentReply(NamedTuple, Generic[T]):
    """What a query has brought.

    Attributes:
        measurements: All of them.
        token: For what comes after them; None if Clarity sent none.
        answered_at: When Clarity answered, by its own clock; None if it did not say.
    """

    measurements: T
    token: str | None
    answered_at: datetime | None


def query_recent(
    connection: Connection,
    query: dict[str, Any],
    start: datetime | None,
    open_body: Callable[[BinaryIO], T],
) -> RecentReply[T]:
    """Ask the cache for everything from `start` on.

    Args:
        connection: Where to ask.
        query: The body, all but format, start and token.
        start: First instant to answer; None for as much as Clarity answers without a start.
        open_body: Makes measurements of the reply; raises ValueError if it cannot.

    Raises:
        ClarityError: If Clarity refuses or cannot be reached.
    """
    # Without a start Clarity answers less than it has; without a frequency it once answered 400.
    body = query | {"format": "csv-wide", "replyWithContinuationToken": True}
    if start:
        body["startTime"] = format_instant(start)
    return _ask(connection, Call("POST", f"{PATH}-query", body=body, longest=LONGEST), open_body)


def continue_recent(
    connection: Connection, org: str, token: str, open_body: Callable[[BinaryIO], T]
) -> RecentReply[T]:
    """Ask for what has come since the token was issued; arguments as above.

    Raises:
        ClarityError: If Clarity refuses, the token perhaps, or cannot be reached.
    """
    body = {"org": org, "continuationToken": token}
    call = Call(
        *("POST", f"{PATH}-continuation"),
        body=body,
        secret=token,
        longest=LONGEST,
        statuses=WHOLE | {HTTPStatus.NO_CONTENT},
    )
    return _ask(connection, call, open_body)


def _ask(connection: Connection, call: Call, open_body: Callable[[BinaryIO], T]) -> RecentReply[T]:
    def read(reply: Reply) -> RecentReply[T]:
        prove_whole(reply.body)
        try:
            measurements = open_body(reply.body)
        except ValueError as error:
            raise TransientError(f"the reply is unusable: {error}") from error
        token = reply.headers.get(TOKEN_HEADER) or None
        return RecentReply(measurements, token, answered_at(reply.headers))

    return connection.ask(call, read)


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """Read when Clarity answered; None if it does not say, or says what cannot be."""
    try:
        at = parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
    return at if at.year in YEARS else None
