"""Lists of JSON objects, on all their pages, and what is skipped of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_clarity.api.errors import ClarityError, MalformedResponseError, TransientError, one_line
from tap_clarity.api.pagination import NextPage, next_page
from tap_clarity.api.response_body import (
    MAX_JSON_BYTES,
    MAX_JSON_VALUES,
    JsonObject,
    count_values,
    parse_json,
    read_text,
)
from tap_clarity.core.validators import is_valid_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_clarity.api.transport import Request, Response, Transport

MAX_PAGES = 1_000
MAX_OBJECTS = 100_000
"""Of one list; all are held at once."""
MAX_LIST_BYTES = 2 * MAX_JSON_BYTES
"""Of the JSON of all its pages."""
MAX_LIST_VALUES = 2 * MAX_JSON_VALUES
"""As above."""
SUPPORT = "ask Clarity's support"
SAME_PAGE = f"brings the first page again: {SUPPORT}"


class Listing(NamedTuple):
    """What could be read of a list.

    Attributes:
        objects: Those that have all their ids.
        skipped: How many objects lack one.
        error: Why the list, or the rest of it, could not be read; None if it was read to its end.
    """

    objects: list[JsonObject]
    skipped: int = 0
    error: ClarityError | None = None

    def complete(self) -> list[JsonObject]:
        """Give the objects of a list that was read to its end.

        Raises:
            ClarityError: If it was not.
        """
        if self.error:
            raise self.error
        return self.objects


class _Page(NamedTuple):
    objects: list[JsonObject]
    skipped: int
    length: int
    values: int
    following: NextPage | None
    error: MalformedResponseError | None


def read_list(transport: Transport, first: Request, wrapper: str, *keys: str) -> Listing:
    """Request all objects of a list, on all pages if a response says that there are more.

    Args:
        transport: Sends the requests.
        first: The request for the first page.
        wrapper: The key under which the list stands, where the response is an object.
        keys: The texts that each object must have.

    Raises:
        ClarityError: If Clarity rejects the request, or does not answer with a list of objects.
    """
    page = _read_page(transport, first, wrapper, keys)
    first_objects, objects, skipped = page.objects, [*page.objects], page.skipped
    length, values = page.length, page.values
    seen: set[NextPage] = set()
    try:
        while (following := page.following) and not page.error:
            _check_progress(first, following, seen, len(objects) + skipped)
            seen.add(following)
            page = _read_page(transport, _request(transport, first, following), wrapper, keys)
            if page.objects == first_objects:
                raise MalformedResponseError(f"{first}: {following.name} {SAME_PAGE}")
            length, values = length + page.length, values + page.values
            if length > MAX_LIST_BYTES or values > MAX_LIST_VALUES:
                raise _too_long(first)
            objects += page.objects
            skipped += page.skipped
    except ClarityError as error:
        return Listing(objects, skipped, error)
    return Listing(objects, skipped, page.error)


def _check_progress(first: Request, page: NextPage, seen: set[NextPage], count: int) -> None:
    if page in seen:
        raise MalformedResponseError(
            f"{first}: {page.name} leads to a page that was read: {SUPPORT}"
        )
    if len(seen) + 1 >= MAX_PAGES or count > MAX_OBJECTS:
        raise _too_long(first)


def _too_long(first: Request) -> MalformedResponseError:
    return MalformedResponseError(
        f"{first}: the list exceeds the limit of {MAX_PAGES:,} pages, {MAX_OBJECTS:,} objects, "
        f"{MAX_LIST_BYTES:,} bytes or {MAX_LIST_VALUES:,} values: {SUPPORT}"
    )


def _request(transport: Transport, first: Request, page: NextPage) -> Request:
    if page.is_link:
        path = transport.resolve_link(page.value, first.path)
        return first._replace(path=path, query=None)
    query = {**(first.query or {}), page.parameter: page.value}
    return first._replace(query=query, secret=page.value)


def _read_page(transport: Transport, request: Request, wrapper: str, keys: Sequence[str]) -> _Page:
    def read(response: Response) -> _Page:
        text = read_text(response.body)
        document = parse_json(text)
        objects = _objects(document, wrapper, keys)
        usable = [item for item in objects if _has_ids(item, keys)]
        following = error = None
        try:
            if isinstance(document, dict) and objects != [document]:
                following = next_page(document, response.headers)
            elif isinstance(document, list):
                following = next_page({}, response.headers)
        except MalformedResponseError as malformed:
            error = MalformedResponseError(f"{request}: {malformed}")
        skipped = len(objects) - len(usable)
        return _Page(usable, skipped, len(text), count_values(text), following, error)

    return transport.request(request, read)


def _objects(document: Any, wrapper: str, keys: Sequence[str]) -> list[Any]:  # noqa: ANN401
    """Find the list, in which at least one object has its ids unless it is empty."""
    items = _find_list(document, wrapper, keys)
    if items and not any(_has_ids(item, keys) for item in items):
        if not all(_has_texts(item, keys) for item in items):
            raise TransientError(f"the reply is not a list of {wrapper}")
        raise MalformedResponseError(
            f"each {' or '.join(keys)} in the reply is empty, too long, or no plain text: {SUPPORT}"
        )
    return items


def _find_list(document: Any, wrapper: str, keys: Sequence[str]) -> list[Any]:  # noqa: ANN401
    """Find the list: bare, under the wrapper or any other key; or a single bare object."""
    found = document
    if isinstance(document, dict):
        lists = {name: value for name, value in document.items() if isinstance(value, list)}
        if wrapper in document:
            found = document[wrapper]
        elif _has_texts(document, keys):
            found = [document]
        elif len(lists) > 1:
            names = one_line(", ".join(lists))
            raise TransientError(f"the reply has no list of {wrapper}, but others: {names}")
        else:
            found = next(iter(lists.values()), None)
    if not isinstance(found, list):
        raise TransientError(f"the reply is not a list of {wrapper}")
    return found


def _has_texts(item: Any, keys: Sequence[str]) -> bool:  # noqa: ANN401
    return isinstance(item, dict) and all(isinstance(item.get(key), str) for key in keys)


def _has_ids(item: Any, keys: Sequence[str]) -> bool:  # noqa: ANN401
    return isinstance(item, dict) and all(is_valid_id(item.get(key)) for key in keys)
