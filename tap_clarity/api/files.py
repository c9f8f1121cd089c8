"""A report's files: fetched to disk and proven whole before the first row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tap_clarity.api.bodies import prove_whole

if TYPE_CHECKING:
    from tap_clarity.api.connection import Connection, Reply


def fetch_file(connection: Connection, url: str) -> BinaryIO:
    """Fetch one file of a report, whole.

    Raises:
        ClarityError: If the link is refused, perhaps because it has expired, or the file stays
            cut or damaged.
    """
    return connection.fetch(url, _read)


def _read(reply: Reply) -> BinaryIO:
    prove_whole(reply.body)
    return reply.body
