"""The resources: what their replies may look like, and what is no reply of theirs."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.errors import UnavailableError
from tap_clarity.api.metadata import get_details, get_status, list_alarms, list_resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.api.connection import Connection
    from tap_clarity.sandbox import Sandbox
    from tests.api.conftest import Waits

ORG = "saltbayQX7"


def listed(path: str, wrapper: str, key: str) -> Callable[[Connection], Any]:
    return partial(list_resource, path=path, wrapper=wrapper, keys=(key,), org=ORG)


RESOURCES: dict[str, tuple[Callable[[Connection], Any], str]] = {
    "datasources": (
        listed("/v2/datasources", "datasources", "datasourceId"),
        "a list of datasources",
    ),
    "details": (partial(get_details, datasource_id="D/1", org=ORG), "a datasource"),
    "subscriptions": (
        listed("/v2/subscriptions", "subscriptions", "subscriptionId"),
        "a list of subscriptions",
    ),
    "nodes": (listed("/v2/devices/nodes", "nodes", "nodeId"), "a list of nodes"),
    "status": (partial(get_status, node_id="A/1", org=ORG), "a status"),
    "alarms": (partial(list_alarms, node_id="A/1", org=ORG), "a list of alarms"),
    "modules": (
        listed("/v2/devices/accessory-modules", "accessoryModules", "moduleId"),
        "a list of accessoryModules",
    ),
}
EMPTY = ["datasources", "subscriptions", "nodes", "alarms", "modules"]
WRONG: dict[str, Any] = {
    "a text": "ok",
    "nothing": None,
    "a number": 5,
    "an object of another kind": {"message": "hello"},
    "an empty object": {},
    "a list of texts": ["x"],
    "a list of objects of another kind": [{"message": "hello"}],
    "ids that are no texts": [
        {"datasourceId": 1, "subscriptionId": 1, "nodeId": 1, "moduleId": 1, "alarmType": 1}
    ],
    "wrappers around nothing": dict.fromkeys(
        ["datasources", "datasource", "subscriptions", "nodes", "status", "alarms"]
    )
    | {"accessoryModules": 5},
}


def answer(sandbox: Sandbox, document: Any, times: int | None = None) -> None:  # noqa: ANN401
    sandbox.faults.order("status", status=200, body=json.dumps(document), times=times)


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", RESOURCES)
def test_a_reply_of_the_wrong_shape_is_tried_again_and_then_said(
    connection: Connection,
    sandbox: Sandbox,
    clock: Waits,
    name: str,
    document: Any,  # noqa: ANN401
) -> None:
    ask, kind = RESOURCES[name]
    answer(sandbox, document)
    with pytest.raises(UnavailableError, match=rf"^GET /v2/\S+: the reply is not {kind}; given up"):
        ask(connection)
    assert len(clock.pauses) > 5


@pytest.mark.parametrize("fault", ["html", "garbage"])
@pytest.mark.parametrize("ask", [ask for ask, _ in RESOURCES.values()], ids=RESOURCES)
def test_a_reply_that_is_no_json_is_tried_again_and_then_said(
    connection: Connection, sandbox: Sandbox, ask: Callable[[Connection], Any], fault: str
) -> None:
    sandbox.faults.order(fault, times=None)
    looks = {"html": "an HTML or XML page", "garbage": "cut or garbled"}[fault]
    with pytest.raises(UnavailableError, match=rf"the reply is not JSON \({looks}\); given up"):
        ask(connection)


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_list_is_a_reply(connection: Connection, sandbox: Sandbox, name: str) -> None:
    answer(sandbox, [], times=1)
    assert RESOURCES[name][0](connection) == []


NODE = {"nodeId": "A0000001"}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ([NODE], [NODE]),
        (NODE, [NODE]),
        ({"nodes": [NODE]}, [NODE]),
        ({"nodes": []}, []),
        ({"nodes": [NODE], "nodeId": "of something else"}, [NODE]),
    ],
)
def test_a_list_may_be_bare_wrapped_or_a_single_object(
    connection: Connection,
    sandbox: Sandbox,
    document: Any,  # noqa: ANN401
    found: list[dict[str, str]],
) -> None:
    answer(sandbox, document, times=1)
    assert RESOURCES["nodes"][0](connection) == found


@pytest.mark.parametrize("document", [{"datasource": {"datasourceId": "D"}}, {"datasourceId": "D"}])
def test_an_object_may_be_bare_or_wrapped(
    connection: Connection, sandbox: Sandbox, document: dict[str, Any]
) -> None:
    answer(sandbox, document, times=1)
    assert get_details(connection, "D", ORG) == {"datasourceId": "D"}


@pytest.mark.parametrize("name", ["details", "status", "alarms"])
def test_an_id_stays_one_part_of_the_path(
    connection: Connection, sandbox: Sandbox, name: str
) -> None:
    sandbox.faults.order("status", status=404)
    with pytest.raises(Exception, match=r"%2F1"):
        RESOURCES[name][0](connection)


def test_all_alarms_are_asked_for_active_or_not_since_ever(
    connection: Connection, sandbox: Sandbox
) -> None:
    (node, *_) = sandbox.world.node_ids(sandbox.clock.now())
    list_alarms(connection, node, ORG)
    assert sandbox.requests[0]["query"] == {
        "active": "",
        "inactive": "",
        "org": ORG,
        "startTime": "2014-01-01T00:00:00.000Z",
    }
