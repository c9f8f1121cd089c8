"""Responses about reports: the id of a requested one, and the record of a polled one."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from tap_clarity.api.errors import TransientError, one_line
from tap_clarity.api.response_body import read_json
from tap_clarity.core.timestamps import parse_timestamp
from tap_clarity.core.validators import is_valid_id
from tap_clarity.planning.report_steps import Echo, ReportStatus, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_clarity.api.redaction import Redactor
    from tap_clarity.api.transport import Response


class ReportRecord(NamedTuple):
    """What Clarity answers to a poll.

    Attributes:
        status: The status of the report.
        message: Its status and message in Clarity's words, for people.
        urls: Where its files are; empty unless it has succeeded.
        echo: What was requested, going by the record.
    """

    status: ReportStatus
    message: str
    urls: tuple[str, ...] = ()
    echo: Echo = Echo()


def read_report_id(response: Response, secrets: Redactor) -> str:
    """Read the id of a report that was requested.

    Raises:
        TransientError: If the response has none, or one that is a secret: state and log get it.
    """
    document = read_json(response.body)
    id_ = document.get("reportId") if isinstance(document, dict) else None
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not is_valid_id(id_) or not secrets.is_name(id_):
        raise TransientError("the reply has no report id")
    return id_


def read_report_record(response: Response, secrets: Redactor) -> ReportRecord:
    """Read the record of a report; all its links become secrets.

    Raises:
        TransientError: If the response is no such record.
    """
    document = read_json(response.body)
    word = document.get("reportStatus") if isinstance(document, dict) else None
    if not isinstance(word, str):
        raise TransientError("the reply is not a report's record")
    secrets.add_links(json.dumps(document, ensure_ascii=False))
    status = status_of(word)
    urls = _urls(document) if status is ReportStatus.SUCCEEDED else ()
    found = document.get("message")
    message = "; ".join(map(str, found)) if isinstance(found, list) else str(found or "")
    is_plain = word.casefold() == "failed" and message
    text = one_line(secrets.redact(message if is_plain else f"{word} {message}".strip()))
    return ReportRecord(status, f"Clarity says {text!r}", urls, _echo(document))


def _urls(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Find the files: in `urls`, or wherever else the record has addresses.

    Where `urls` is a list, even an empty one, addresses elsewhere count only in lists: others lead
    to help or to people.
    """
    urls = document.get("urls")
    if isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls):
        return tuple(urls)  # all of them: one that is no address is an error of its file
    found: list[str] = []
    kinds = list if isinstance(urls, list) else object
    parts = deque(
        value for name, value in document.items() if name != "query" and isinstance(value, kinds)
    )
    while parts:
        match parts.popleft():
            case str(text) if text.startswith(("http://", "https://")):
                found.append(text)
            case list(items):
                parts += items
            case dict(members):
                parts += members.values()
    return tuple(found)


def _echo(document: Mapping[str, Any]) -> Echo:
    """Read what was requested; a record that does not say so, or not legibly, says nothing."""
    query = document.get("query")
    if not isinstance(query, dict):
        return Echo()
    frequency = query.get("outputFrequency")
    start, end = (_timestamp(query.get(name)) for name in ("startTime", "endTime"))
    return Echo(start, end, frequency if isinstance(frequency, str) else None)


def _timestamp(value: Any) -> datetime | None:  # noqa: ANN401
    """Read a timestamp; a date alone says nothing of the time of day."""
    if not isinstance(value, str) or ":" not in value:
        return None
    try:
        return parse_timestamp(value)
    except ValueError:
        return None
