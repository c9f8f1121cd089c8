"""The resources that answer a whole list, or one object, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_clarity.api.bodies import read_json
from tap_clarity.api.connection import Call
from tap_clarity.api.errors import MalformedReplyError, TransientError
from tap_clarity.texts import is_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_clarity.api.connection import Connection, Reply

LONG_AGO = "2014-01-01T00:00:00.000Z"
"""Before the first node was made."""

JsonObject = dict[str, Any]


def list_resource(
    connection: Connection, path: str, wrapper: str, keys: Sequence[str], org: str
) -> list[JsonObject]:
    """Get all objects of a resource.

    Args:
        connection: Where to ask.
        path: Such as `/v2/datasources`.
        wrapper: The key under which the list stands, where the reply is an object.
        keys: The texts that each object must have.
        org: Id of the organisation.

    Raises:
        ClarityError: If Clarity refuses, or does not answer with a list of objects.
    """
    call = Call("GET", path, query={"org": org})
    return connection.ask(call, lambda reply: _objects(read_json(reply.body), wrapper, keys))


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


def list_alarms(connection: Connection, node_id: str, org: str) -> list[JsonObject]:
    """Get all alarms of a node that Clarity still keeps.

    What it answers without flags and start is not documented, so both are always given.

    Raises:
        ClarityError: If Clarity refuses, or does not answer with a list of alarms.
    """
    path = f"/v2/devices/nodes/{quote(node_id, safe='')}/alarms"
    call = Call("GET", f"{path}?active&inactive", query={"org": org, "startTime": LONG_AGO})
    keys = ("alarmType", "startedAt")
    return connection.ask(call, lambda reply: _objects(read_json(reply.body), "alarms", keys))


def _objects(document: Any, wrapper: str, keys: Sequence[str]) -> list[JsonObject]:  # noqa: ANN401
    """Find the list: bare, under the wrapper, or a single bare object, as the guide once drew."""
    if isinstance(document, dict):
        document = document.get(wrapper, [document])
    if not isinstance(document, list) or not all(
        isinstance(item, dict) and all(isinstance(item.get(key), str) for key in keys)
        for item in document
    ):
        raise TransientError(f"the reply is not a list of {wrapper}")
    for key in keys:
        if not all(is_id(item[key]) for item in document):
            raise MalformedReplyError(
                f"the reply has a {key} that is empty, too long, or no plain text: ask Clarity's "
                "support"
            )
    return document


def _object(reply: Reply, wrapper: str, *fields: str) -> JsonObject:
    """Find the object, bare or under the wrapper; it has at least one of the fields."""
    document = read_json(reply.body)
    if isinstance(document, dict):
        document = document.get(wrapper, document)
    if isinstance(document, dict) and not document.keys().isdisjoint(fields):
        return document
    raise TransientError(f"the reply is not a {wrapper}")
