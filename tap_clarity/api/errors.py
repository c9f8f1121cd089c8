"""What can go wrong between the tap and Clarity, and what is done about it.

ClarityError                 one line: what happened, what to do
├── TransientError           worth another try; carries the wait that Clarity asked for
│   └── TooManyRequestsError 429
├── AmbiguousError           Clarity may have acted on a request that must not be repeated
├── UnavailableError         tried again until the patience ran out
├── KeyRefusedError          401
├── AccessRefusedError       403
├── RequestRefusedError      any other 4xx
│   └── NotFoundError        404
├── QuotaUsedUpError         429 from a report request
├── ReportFailedError        Clarity gave a report up
└── FileError                a report's file that cannot be trusted
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

MESSAGE_LENGTH = 200


class ClarityError(Exception):
    """Anything that the user has to know; its text is one line with a remedy."""


class TransientError(ClarityError):
    """A fault that passes: dropped and stalled connections, 5xx, 429, garbled replies."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotSentError(TransientError):
    pass


class TooManyRequestsError(TransientError):
    """HTTP 429. From a report request it means that the organisation's quota is used up."""


class AmbiguousError(ClarityError):
    """A request that must not be repeated failed when Clarity may have acted on it already."""


class UnavailableError(ClarityError):
    pass


class CredentialsError(ClarityError):
    """The key or the organisation is wrong, for this call and all others."""


class KeyRefusedError(CredentialsError):
    pass


class OrgRefusedError(CredentialsError):
    pass


class AccessRefusedError(ClarityError):
    pass


class RequestRefusedError(ClarityError):
    pass


class NotFoundError(RequestRefusedError):
    pass


class QuotaUsedUpError(ClarityError):
    """Clarity gives the organisation no more reports today."""


class MalformedReplyError(ClarityError):
    pass


class ReportFailedError(ClarityError):
    pass


class FileError(ClarityError):
    pass


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an HTTP status means for the user."""

    error: type[ClarityError]
    remedy: str


REFUSALS: dict[int, Refusal] = {
    HTTPStatus.UNAUTHORIZED: Refusal(
        KeyRefusedError,
        "Clarity does not know the API key: check the setting api_key",
    ),
    HTTPStatus.FORBIDDEN: Refusal(
        AccessRefusedError,
        "the API key may not read this: check that it has a role in the organisation of the "
        "setting org",
    ),
    HTTPStatus.NOT_FOUND: Refusal(
        NotFoundError,
        "Clarity knows no such thing: check the ids in the settings, and api_url",
    ),
}
OTHER_REFUSAL = Refusal(
    RequestRefusedError,
    "Clarity refuses the request: check the settings that it names",
)


def error_for(status: int, retry_after: str | None, body: bytes, now: datetime) -> ClarityError:
    """Name the error that a failed reply stands for."""
    said = message_of(body)
    what = f"HTTP {status}" + (f", {said!r}" if said else "")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequestsError(what, parse_retry_after(retry_after, now))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return TransientError(what, parse_retry_after(retry_after, now))
    refusal = REFUSALS.get(status, OTHER_REFUSAL)
    return refusal.error(f"{refusal.remedy} ({what})")


def message_of(body: bytes) -> str:
    """Find what Clarity says in an error's body, whatever the shape, as one short line.

    Bodies were seen with `message` as a list; older ones have `Message` and `Code`.
    """
    text = body.decode("utf-8", "replace")
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        said = next((document[k] for k in ("message", "Message", "Code") if document.get(k)), text)
        text = "; ".join(map(str, said)) if isinstance(said, list) else str(said)
    elif "<html" in text.lower():
        text = "an HTML page"
    return one_line(text)


def one_line(text: str) -> str:
    """Fold a foreign text to one short printable line."""
    line = re.sub(r"[^\x20-\x7e\xa0-\ud7ff]+", " ", text).strip()
    return line if len(line) <= MESSAGE_LENGTH else line[: MESSAGE_LENGTH - 1] + "…"


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a `Retry-After` header, seconds or an HTTP date, as seconds from `now`."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return None
