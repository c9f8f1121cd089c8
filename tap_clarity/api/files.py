"""A report's files: downloaded to disk and verified before the first row is read."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from tap_clarity.api.errors import (
    BlankFileError,
    ClarityError,
    FileError,
    TransientError,
    UnavailableError,
)
from tap_clarity.api.response_body import verify_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_clarity.api.transport import Response, Transport
    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.report_steps import Report

T = TypeVar("T")

MAX_FILES = 100
"""In one report; all are kept open at once. One was seen, the guide says that there may be more."""


def read_files(
    transport: Transport,
    report: Report,
    urls: Sequence[str],
    open_file: Callable[[BinaryIO, Window], Iterator[T]],
) -> Iterator[T]:
    """Give the rows of a report's files, once all of them are downloaded and verified.

    Args:
        transport: Downloads them.
        report: The report.
        urls: Where its files are.
        open_file: Gives the rows of a file, given its window; raises ValueError, at once or on
            demand, if they are not what was requested.

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
                body = bodies.enter_context(_download_file(transport, url))
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


def _download_file(transport: Transport, url: str) -> BinaryIO:
    """Download and verify one file.

    Raises:
        FileError: If its link is rejected, or it is truncated or corrupt; a fresh link may help.
    """
    try:
        return transport.download(url, _verified)
    except UnavailableError as error:
        raise FileError(str(error.__cause__ or error)) from error


def _verified(response: Response) -> BinaryIO:
    try:
        verify_body(response.body)
    except TransientError as error:  # by the same link the same bytes would come
        raise FileError(str(error)) from error
    response.body.seek(0)
    return response.body
