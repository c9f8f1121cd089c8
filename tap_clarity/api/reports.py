"""The report endpoints: request a report, poll it, download and read its files."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import quote

from tap_clarity.api.errors import (
    AccessRefusedError,
    BlankFileError,
    ClarityError,
    FileError,
    NotFoundError,
    QuotaUsedUpError,
    RequestRefusedError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
    one_line,
)
from tap_clarity.api.files import fetch_file
from tap_clarity.api.response_body import read_json
from tap_clarity.api.transport import Call
from tap_clarity.core.timestamps import Window, format_instant, parse_instant
from tap_clarity.core.validators import is_id
from tap_clarity.planning.reports import Echo, Report, ReportStatus, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_clarity.api.transport import Connection, Reply

T = TypeVar("T")

PATH = "/v2/report-requests"
POLL_PATHS = (f"{PATH}/", "/v2/report-request/")
"""The guide and its examples disagree on how the path of a report begins."""
REQUEST_STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})
POLL_STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})
MAX_FILES = 100
"""In one report; all are kept open at once. One was seen, the guide says that there may be more."""


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


class ReportEndpoints:
    """The report endpoints of one organization."""

    def __init__(self, connection: Connection, org: str) -> None:
        self._connection = connection
        self._org = org
        self._poll_paths: tuple[str, ...] = POLL_PATHS

    def request(self, query: Mapping[str, Any], window: Window) -> str:
        """Request a report and give its id; this costs one of the organization's 30 a day.

        Raises:
            QuotaUsedUpError: If Clarity accepts no more requests today.
            AmbiguousError: If it is unknown whether Clarity has accepted it.
            ClarityError: If it rejects the request, or cannot be reached.
        """
        body = {
            **query,
            "startTime": format_instant(window.start),
            "endTime": format_instant(window.end),
        }
        call = Call("POST", PATH, body=body, repeatable=False, statuses=REQUEST_STATUSES)
        try:
            return self._connection.ask(call, _read_report_id)
        except UnavailableError as error:
            if isinstance(error.__cause__, TooManyRequestsError):
                raise QuotaUsedUpError(str(error)) from error
            raise

    def poll(self, report: Report) -> ReportRecord:
        """Ask for the status of a report.

        Which of two paths the service has is unknown, and so is how it answers to the other one.

        Raises:
            ClarityError: If Clarity rejects both requests, or cannot be reached.
        """
        rejections: list[ClarityError] = []
        for path in self._poll_paths:
            try:
                record = self._poll_at(path, report)
            except (AccessRefusedError, RequestRefusedError) as error:
                rejections.append(error)
            else:
                self._poll_paths = (path, *(each for each in POLL_PATHS if each != path))
                return record
        if any(isinstance(error, NotFoundError) for error in rejections):
            return ReportRecord(ReportStatus.NOT_FOUND, "Clarity no longer knows it")
        raise rejections[0]

    def _poll_at(self, path: str, report: Report) -> ReportRecord:
        call = Call(
            "GET",
            path + quote(report.id, safe=""),
            query={"org": self._org},
            statuses=POLL_STATUSES,
        )
        return self._connection.ask(call, lambda reply: _read_record(reply, self._connection))

    def read_files(
        self,
        report: Report,
        urls: Sequence[str],
        open_file: Callable[[BinaryIO, Window], Iterator[T]],
    ) -> Iterator[T]:
        """Give the rows of a report's files, once all of them are downloaded and verified.

        Args:
            report: The report.
            urls: Where its files are.
            open_file: Gives the rows of a file, given its window; raises ValueError, at once or
                on demand, if they are not what was requested.

        Raises:
            BlankFileError: If all files are blank; one among others is an empty file.
            FileError: If there is no file, or one is bad; on demand, too.
        """
        label = f"report {report.id} for {report.window}"
        if not urls:
            raise FileError(f"{label}: Clarity no longer says where its files are")
        if len(urls) > MAX_FILES:
            raise FileError(f"{label}: {len(urls):,} files exceed the limit of {MAX_FILES}")
        with ExitStack() as bodies:
            names = [f"{label}, file {number} of {len(urls)}" for number in range(1, len(urls) + 1)]
            opened: dict[str, Iterator[T]] = {}
            for name, url in zip(names, urls, strict=True):
                with suppress(BlankFileError), _with_file_context(name):
                    body = bodies.enter_context(fetch_file(self._connection, url))
                    opened[name] = open_file(body, report.window)
            if not opened:
                raise BlankFileError(f"{label}: all files are blank")
            for name, rows in opened.items():
                with _with_file_context(name):
                    yield from rows


@contextmanager
def _with_file_context(file: str) -> Iterator[None]:
    try:
        yield
    except BlankFileError:
        raise
    except (ClarityError, ValueError) as error:
        raise FileError(f"{file}: {error}") from error


def _read_report_id(reply: Reply) -> str:
    document = read_json(reply.body)
    id_ = document.get("reportId") if isinstance(document, dict) else None
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if not is_id(id_):
        raise TransientError("the reply has no report id")
    return id_


def _read_record(reply: Reply, connection: Connection) -> ReportRecord:
    document = read_json(reply.body)
    word = document.get("reportStatus") if isinstance(document, dict) else None
    if not isinstance(word, str):
        raise TransientError("the reply is not a report's record")
    status = status_of(word)
    urls = _urls(document) if status is ReportStatus.SUCCEEDED else ()
    found = document.get("message")
    message = "; ".join(map(str, found)) if isinstance(found, list) else str(found or "")
    is_plain = word.casefold() == "failed" and message
    text = one_line(connection.conceal(message if is_plain else f"{word} {message}".strip()))
    return ReportRecord(status, f"Clarity says {text!r}", urls, _echo(document))


def _urls(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Find the files: in `urls`, or wherever else the record has addresses."""
    urls = document.get("urls")
    if isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls):
        return tuple(urls)  # all of them: one that is no address is an error of its file
    found: list[str] = []
    parts = [value for name, value in document.items() if name != "query"]
    while parts:
        match parts.pop(0):
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
    start, end = (_instant(query.get(name)) for name in ("startTime", "endTime"))
    return Echo(start, end, frequency if isinstance(frequency, str) else None)


def _instant(value: Any) -> datetime | None:  # noqa: ANN401
    """Read an instant; a date alone says nothing of the time of day."""
    if not isinstance(value, str) or ":" not in value:
        return None
    try:
        return parse_instant(value)
    except ValueError:
        return None
