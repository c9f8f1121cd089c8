"""A report's files: fetched to disk and proven whole before the first row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tap_clarity.api.errors import FileError, TransientError, UnavailableError
from tap_clarity.api.response_body import prove_whole

if TYPE_CHECKING:
    from tap_clarity.api.transport import Connection, Reply


def fetch_file(connection: Connection, url: str) -> BinaryIO:
    """Fetch one file of a report, whole.

    Raises:
        FileError: If its link is refused, or it does not come whole; a fresh link may help.
    """
    try:
        return connection.fetch(url, _read)
    except UnavailableError as error:
        raise FileError(str(error.__cause__ or error)) from error


def _read(reply: Reply) -> BinaryIO:
    try:
        prove_whole(reply.body)
    except TransientError as error:  # by the same link the same bytes would come
        raise FileError(str(error)) from error
    reply.body.seek(0)
    return reply.body
