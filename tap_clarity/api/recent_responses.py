"""Responses with recent measurements, and the tokens that continue from them."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, BinaryIO, Generic, NamedTuple, TypeVar

from tap_clarity.api.errors import TransientError
from tap_clarity.api.response_body import verify_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tap_clarity.api.transport import Response

T = TypeVar("T")

TOKEN_HEADER = "x-clarity-continuation-token"  # noqa: S105
VALID_YEARS = range(2014, 2100)
"""In which a clock may be right: the first node was made in the first one."""
MAX_RECENT_BYTES = 1 << 30
"""Bytes of a response: a day of a thousand sensors' samples, as JSON and not zipped."""


class RecentResponse(NamedTuple, Generic[T]):
    """What a query of the recent cache has brought.

    Attributes:
        measurements: All of them.
        token: For what comes after them; None if Clarity sent none.
        answered_at: When Clarity answered, by its own clock; None if it did not say.
    """

    measurements: T
    token: str | None
    answered_at: datetime | None


def read_recent(response: Response, open_body: Callable[[BinaryIO], T]) -> RecentResponse[T]:
    """Verify a response and open its measurements.

    Raises:
        TransientError: If it is truncated or corrupt, or if `open_body` raises ValueError.
        UnavailableError: If it exceeds a limit.
    """
    verify_body(response.body)
    try:
        measurements = open_body(response.body)
    except ValueError as error:
        raise TransientError(f"the reply is unusable: {error}") from error
    token = response.headers.get(TOKEN_HEADER) or None
    return RecentResponse(measurements, token, answered_at(response.headers))


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """Read when Clarity answered; None if it does not say, or says what cannot be."""
    try:
        at = parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
    return at if at.year in VALID_YEARS else None
