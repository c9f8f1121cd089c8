"""Report requests: asked for, polled, and their files read."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import quote

from tap_clarity.api.bodies import read_json
from tap_clarity.api.connection import Call
from tap_clarity.api.errors import (
    ClarityError,
    FileError,
    NotFoundError,
    QuotaUsedUpError,
    TooManyRequestsError,
    TransientError,
    UnavailableError,
    one_line,
)
from tap_clarity.api.files import fetch_file
from tap_clarity.instants import Window, format_instant
from tap_clarity.texts import is_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_clarity.api.connection import Connection, Reply

T = TypeVar("T")

PATH = "/v2/report-requests"
SPELLINGS = (f"{PATH}/", "/v2/report-request/")
"""How the guide and its examples begin the path of a report."""
SUCCEEDED, FAILED, UNKNOWN = "succeeded", "failed", "unknown"
MOST_FILES = 100
"""In one report; all are kept open at once. One was seen, the guide says that there may be more."""


class Report(NamedTuple):
    """A report that Clarity has accepted."""

    id: str
    window: Window


class Poll(NamedTuple):
    """What Clarity says of a report."""

    status: str
    message: str
    urls: tuple[str, ...]

    @property
    def is_odd(self) -> bool:
        """Whether to ask again before it is believed."""
        return self.status == UNKNOWN or (self.status == SUCCEEDED and not self.urls)


def request_report(connection: Connection, query: Mapping[str, Any], window: Window) -> Report:
    """Ask for a report, which costs one of the organisation's 30 a day.

    Raises:
        QuotaUsedUpError: If Clarity accepts no more requests today.
        AmbiguousError: If it is unknown whether Clarity has accepted it.
        ClarityError: If it refuses the request, or cannot be reached.
    """
    body = {
        **query,
        "startTime": format_instant(window.start),
        "endTime": format_instant(window.end),
    }
    try:
        call = Call("POST", PATH, body=body, repeatable=False)
        return Report(connection.ask(call, _report_id), window)
    except UnavailableError as error:
        if isinstance(error.__cause__, TooManyRequestsError):
            raise QuotaUsedUpError(str(error)) from error
        raise


def poll_report(connection: Connection, org: str, report: Report) -> Poll:
    """Ask how a report is doing.

    Raises:
        ClarityError: If Clarity refuses to say, or cannot be reached.
    """
    for spelling in SPELLINGS:
        call = Call("GET", spelling + quote(report.id, safe=""), query={"org": org})
        try:
            return connection.ask(call, lambda reply: _poll(reply, connection.conceal))
        except NotFoundError:
            continue
    return Poll(UNKNOWN, "Clarity no longer knows it", ())


def read_files(
    connection: Connection,
    report: Report,
    urls: Sequence[str],
    open_file: Callable[[BinaryIO, Window], Iterator[T]],
) -> Iterator[T]:
    """Give the rows of a report's files, once all of them are here and proven whole.

    Raises:
        FileError: If there is no file, or one is bad; on demand, too.
    """
    named = f"report {report.id} for {report.window}"
    if not urls:
        raise FileError(f"{named}: Clarity no longer says where its files are")
    if len(urls) > MOST_FILES:
        raise FileError(f"{named}: it has {len(urls):,} files, which is beyond reason")
    names = [f"{named}, file {number} of {len(urls)}" for number in range(1, len(urls) + 1)]
    with ExitStack() as bodies:
        opened = []
        for name, url in zip(names, urls, strict=True):
            with _blaming(name):
                body = bodies.enter_context(fetch_file(connection, url))
                opened.append(open_file(body, report.window))
        for name, rows in zip(names, opened, strict=True):
            with _blaming(name):
                yield from rows


@contextmanager
def _blaming(file: str) -> Iterator[None]:
    try:
        yield
    except (ClarityError, ValueError) as error:
        raise FileError(f"{file}: {error}") from error


def _report_id(reply: Reply) -> str:
    document = read_json(reply.body)
    id_ = document.get("reportId") if isinstance(document, dict) else None
    if not is_id(id_):
        raise TransientError("the reply has no report id")
    return id_


def _poll(reply: Reply, conceal: Callable[[str], str]) -> Poll:
    """Read a report's record. Statuses are not validated: an unknown one means still building."""
    document = read_json(reply.body)
    status = document.get("reportStatus") if isinstance(document, dict) else None
    if not isinstance(status, str):
        raise TransientError("the reply is not a report's record")
    urls = document.get("urls")
    if status != SUCCEEDED or not isinstance(urls, list):
        urls = ()
    said = document.get("message")
    message = "; ".join(map(str, said)) if isinstance(said, list) else str(said or "")
    return Poll(status, f"Clarity says {one_line(conceal(message))!r}", tuple(map(str, urls)))
