"""The resources that answer a whole list, or one object, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from tap_clarity.api.errors import ClarityError, MalformedReplyError, TransientError, one_line
from tap_clarity.api.pagination import NextPage, next_page
from tap_clarity.api.response_body import read_json
from tap_clarity.api.transport import Call
from tap_clarity.core.validators import is_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_clarity.api.transport import Connection, Reply

LONG_AGO = "2014-01-01T00:00:00.000Z"
"""Before the first node was made."""

MAX_PAGES = 1_000
MAX_OBJECTS = 100_000
"""Of one list; all are held at once."""
SUPPORT = "ask Clarity's support"
SAME_PAGE = f"brings the first page again: {SUPPORT}"

JsonObject = dict[str, Any]


class Listing(NamedTuple):
    """What could be read of a list.

    Attributes:
        objects: Those that have all their ids.
        skipped: How many objects lack one.
        error: Why the rest of the list could not be read; None if it was read to its end.
    """

    objects: list[JsonObject]
    skipped: int = 0
    error: ClarityError | None = None

    def whole(self) -> list[JsonObject]:
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
    following: NextPage | None
    error: MalformedReplyError | None


def list_resource(
    connection: Connection, path: str, wrapper: str, keys: Sequence[str], org: str
) -> Listing:
    """Get all objects of a resource, on all pages if the reply says that there are more.

    Args:
        connection: Where to ask.
        path: Such as `/v2/datasources`.
        wrapper: The key under which the list stands, where the reply is an object.
        keys: The texts that each object must have.
        org: Id of the organisation.

    Raises:
        ClarityError: If Clarity refuses, or does not answer with a list of objects.
    """
    return _list(connection, Call("GET", path, query={"org": org}), wrapper, keys)


def _list(connection: Connection, first: Call, wrapper: str, keys: Sequence[str]) -> Listing:
    call = first
    page = _read_page(connection, call, wrapper, keys)
    first_objects, objects, skipped = page.objects, [*page.objects], page.skipped
    seen: set[NextPage] = set()
    try:
        while (following := page.following) and not page.error:
            _check_progress(first, following, seen, len(objects))
            seen.add(following)
            call = _call_for(connection, first, following)
            page = _read_page(connection, call, wrapper, keys)
            if page.objects == first_objects:
                raise MalformedReplyError(f"{first}: {following.name} {SAME_PAGE}")
            objects += page.objects
            skipped += page.skipped
    except ClarityError as error:
        return Listing(objects, skipped, error)
    return Listing(objects, skipped, page.error)


def _check_progress(call: Call, page: NextPage, seen: set[NextPage], count: int) -> None:
    if page in seen:
        raise MalformedReplyError(f"{call}: {page.name} leads to a page that was read: {SUPPORT}")
    if len(seen) + 1 >= MAX_PAGES or count > MAX_OBJECTS:
        raise MalformedReplyError(
            f"{call}: the list exceeds the limit of {MAX_PAGES:,} pages or {MAX_OBJECTS:,} "
            f"objects: {SUPPORT}"
        )


def _call_for(connection: Connection, first: Call, page: NextPage) -> Call:
    if page.is_link:
        path = connection.path_of(page.value, first.path)
        return first._replace(path=path, query=None, secret=page.value)
    query = {**(first.query or {}), page.parameter: page.value}
    return first._replace(query=query, secret=page.value)


def _read_page(connection: Connection, call: Call, wrapper: str, keys: Sequence[str]) -> _Page:
    def read(reply: Reply) -> _Page:
        document = read_json(reply.body)
        objects = _objects(document, wrapper, keys)
        usable = [item for item in objects if _has_ids(item, keys)]
        following = error = None
        try:
            if isinstance(document, dict) and objects != [document]:
                following = next_page(document, reply.headers)
            elif isinstance(document, list):
                following = next_page({}, reply.headers)
        except MalformedReplyError as malformed:
            error = MalformedReplyError(f"{call}: {malformed}")
        return _Page(usable, len(objects) - len(usable), following, error)

    return connection.ask(call, read)


def get_details(connection: Connection, datasource_id: str, org: str) -> JsonObject:
    """Get all that Clarity knows of a datasource.

    Raises:
        ClarityError: If Clarity refuses, or does not answer with an object of that kind.
    """
    call = Call("GET", f"/v2/datasources/{quote(datasource_id, safe='')}", query={"org": org})
    return connection.ask(call, lambda reply: _object(reply, "datasource", "datasourceId"))


def get_status(connection: Connection, node_id: str, org: str) -> JsonObject:
    """Get the status of a node.

    Raises:
        ClarityError: If Clarity refuses, or does not answer with an object of that kind.
    """
    call = Call("GET", f"/v2/devices/nodes/{quote(node_id, safe='')}/status", query={"org": org})
    return connection.ask(call, lambda reply: _object(reply, "status", "summary", "activity"))


def list_alarms(connection: Connection, node_id: str, org: str) -> Listing:
    """Get all alarms of a node that Clarity still keeps.

    What it answers without flags and start is not documented, so both are always given.

    Raises:
        ClarityError: If Clarity refuses, or does not answer with a list of alarms.
    """
    path = f"/v2/devices/nodes/{quote(node_id, safe='')}/alarms?active&inactive"
    query = {"org": org, "startTime": LONG_AGO}
    return _list(connection, Call("GET", path, query=query), "alarms", ("alarmType", "startedAt"))


def _objects(document: Any, wrapper: str, keys: Sequence[str]) -> list[Any]:  # noqa: ANN401
    """Find the list, in which at least one object has its ids unless it is empty."""
    items = _find_list(document, wrapper, keys)
    if items and not any(_has_ids(item, keys) for item in items):
        if not all(_has_texts(item, keys) for item in items):
            raise TransientError(f"the reply is not a list of {wrapper}")
        raise MalformedReplyError(
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
    return isinstance(item, dict) and all(is_id(item.get(key)) for key in keys)


def _object(reply: Reply, wrapper: str, *fields: str) -> JsonObject:
    """Find the object, bare or under the wrapper; it has at least one of the fields."""
    document = read_json(reply.body)
    if isinstance(document, dict):
        document = document.get(wrapper, document)
    if isinstance(document, dict) and not document.keys().isdisjoint(fields):
        return document
    raise TransientError(f"the reply is not a {wrapper}")
