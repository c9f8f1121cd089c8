"""Lists and objects: which forms a response may have, pages, and what is no such response."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.errors import MalformedResponseError, UnavailableError
from tap_clarity.api.listing import Listing
from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.tap_in_process import run_in_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fake_clock import FakeClock

ORG = "saltbayQX7"


RESOURCES: dict[str, tuple[Callable[[ClarityClient], Any], str]] = {
    "datasources": (ClarityClient.list_datasources, "a list of datasources"),
    "details": (lambda client: client.get_datasource("D/1"), "a datasource"),
    "subscriptions": (ClarityClient.list_subscriptions, "a list of subscriptions"),
    "nodes": (ClarityClient.list_nodes, "a list of nodes"),
    "status": (lambda client: client.get_node_status("A/1"), "a status"),
    "alarms": (lambda client: client.list_node_alarms("A/1"), "a list of alarms"),
    "modules": (ClarityClient.list_accessory_modules, "a list of accessoryModules"),
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
    sandbox.faults.inject("status", status=200, body=json.dumps(document), times=times)


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("name", RESOURCES)
def test_a_response_of_the_wrong_form_is_retried_and_then_an_error(
    client: ClarityClient,
    sandbox: Sandbox,
    clock: FakeClock,
    name: str,
    document: Any,  # noqa: ANN401
) -> None:
    get, kind = RESOURCES[name]
    answer(sandbox, document)
    with pytest.raises(UnavailableError, match=rf"^GET /v2/\S+: the reply is not {kind}; given up"):
        get(client)
    assert len(clock.pauses) > 5


@pytest.mark.parametrize("fault", ["html", "garbage"])
@pytest.mark.parametrize("get", [get for get, _ in RESOURCES.values()], ids=RESOURCES)
def test_a_response_that_is_no_json_is_retried_and_then_an_error(
    client: ClarityClient, sandbox: Sandbox, get: Callable[[ClarityClient], Any], fault: str
) -> None:
    sandbox.faults.inject(fault, times=None)
    description = {"html": "an HTML or XML page", "garbage": "cut or garbled"}[fault]
    with pytest.raises(
        UnavailableError, match=rf"the reply is not JSON \({description}\); given up"
    ):
        get(client)


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_list_is_a_reply(client: ClarityClient, sandbox: Sandbox, name: str) -> None:
    answer(sandbox, [], times=1)
    assert RESOURCES[name][0](client) == Listing([])


NODE = {"nodeId": "A0000001"}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ([NODE], [NODE]),
        (NODE, [NODE]),
        ({"nodes": [NODE]}, [NODE]),
        ({"nodes": []}, []),
        ({"nodes": [NODE], "nodeId": "of something else"}, [NODE]),
        ({"items": [NODE], "count": 1}, [NODE]),
        ({"nodes": [NODE], "tags": ["a"]}, [NODE]),
        (NODE | {"pairedAccessoryModules": []}, [NODE | {"pairedAccessoryModules": []}]),
    ],
)
def test_a_list_may_be_bare_wrapped_or_a_single_object(
    client: ClarityClient,
    sandbox: Sandbox,
    document: Any,  # noqa: ANN401
    found: list[dict[str, str]],
) -> None:
    answer(sandbox, document, times=1)
    assert RESOURCES["nodes"][0](client) == Listing(found)


@pytest.mark.parametrize("document", [{"datasource": {"datasourceId": "D"}}, {"datasourceId": "D"}])
def test_an_object_may_be_bare_or_wrapped(
    client: ClarityClient, sandbox: Sandbox, document: dict[str, Any]
) -> None:
    answer(sandbox, document, times=1)
    assert client.get_datasource("D") == {"datasourceId": "D"}


@pytest.mark.parametrize("name", ["details", "status", "alarms"])
def test_an_id_stays_one_part_of_the_path(
    client: ClarityClient, sandbox: Sandbox, name: str
) -> None:
    sandbox.faults.inject("status", status=404)
    with pytest.raises(Exception, match=r"%2F1"):
        RESOURCES[name][0](client)


@pytest.mark.parametrize("id_", ["", "..", "a\n", "x" * 201])
def test_an_id_that_is_no_part_of_a_path_is_not_requested(
    client: ClarityClient, sandbox: Sandbox, id_: str
) -> None:
    with pytest.raises(MalformedResponseError, match="an id is empty, too long, or no plain text"):
        client.get_datasource(id_)
    assert not sandbox.requests


def test_all_alarms_are_asked_for_active_or_not_since_ever(
    client: ClarityClient, sandbox: Sandbox
) -> None:
    (node, *_) = sandbox.expected.node_ids(sandbox.clock.now())
    client.list_node_alarms(node)
    assert sandbox.requests[0]["query"] == {
        "active": "",
        "inactive": "",
        "org": ORG,
        "startTime": "2014-01-01T00:00:00.000Z",
    }


# Objects without an id, and pages


A, B, C = ({"nodeId": f"A000000{letter}"} for letter in "ABC")
NO_ID: list[Any] = [{"name": "x"}, {"nodeId": ""}, {"nodeId": 7}, "text", None]


def test_objects_without_an_id_are_skipped_and_counted(
    client: ClarityClient, sandbox: Sandbox
) -> None:
    answer(sandbox, [NO_ID[0], A, *NO_ID[1:], B], times=1)
    assert RESOURCES["nodes"][0](client) == Listing([A, B], skipped=5)


def test_of_several_lists_none_is_chosen(client: ClarityClient, sandbox: Sandbox) -> None:
    answer(sandbox, {"items": [A], "others": [B]})
    with pytest.raises(UnavailableError, match=r"no list of nodes, but others: items, others; giv"):
        RESOURCES["nodes"][0](client)


NEXT_LINK = "/v2/devices/nodes?org=saltbayQX7&after=2"
PAGES: dict[str, tuple[Any, dict[str, str]]] = {
    "next a path": ({"next": NEXT_LINK}, {"org": ORG, "after": "2"}),
    "next a query": ({"next": "?after=2"}, {"after": "2"}),
    "links.next": ({"links": {"next": NEXT_LINK}}, {"org": ORG, "after": "2"}),
    "href": ({"_links": {"next": {"href": NEXT_LINK}}}, {"org": ORG, "after": "2"}),
    "next": ({"next": "c2"}, {"org": ORG, "next": "c2"}),
    "nextPage": ({"nextPage": 2}, {"org": ORG, "page": "2"}),
    "nextCursor": ({"nextCursor": "c2"}, {"org": ORG, "cursor": "c2"}),
    "nextPageToken": ({"nextPageToken": "c2"}, {"org": ORG, "pageToken": "c2"}),
    "cursor": ({"cursor": "c2", "hasMore": True}, {"org": ORG, "cursor": "c2"}),
    "continuationToken": ({"continuationToken": "c2"}, {"org": ORG, "continuationToken": "c2"}),
    "paging": ({"paging": {"nextCursor": "c2"}}, {"org": ORG, "cursor": "c2"}),
}


@pytest.mark.parametrize(("more", "query"), PAGES.values(), ids=PAGES)
def test_pages_are_followed_to_the_last(
    client: ClarityClient, sandbox: Sandbox, more: dict[str, Any], query: dict[str, str]
) -> None:
    answer(sandbox, {"nodes": [A]} | more, times=1)
    answer(sandbox, {"nodes": [B, {}], "next": None, "nextCursor": "", "hasMore": False}, times=1)
    assert RESOURCES["nodes"][0](client) == Listing([A, B], skipped=1)
    first, second = sandbox.requests
    assert (first["path"], first["query"]) == ("/v2/devices/nodes", {"org": ORG})
    assert (second["path"], second["query"]) == ("/v2/devices/nodes", query)


def test_a_link_in_the_header_is_followed(client: ClarityClient, sandbox: Sandbox) -> None:
    link = f'<{sandbox.url}/v2/devices/nodes>; rel="prev", <{sandbox.url}{NEXT_LINK}>; rel="next"'
    sandbox.faults.inject("status", status=200, body=json.dumps([A]), headers={"Link": link})
    answer(sandbox, [B], times=1)
    assert RESOURCES["nodes"][0](client) == Listing([A, B])
    assert sandbox.requests[1]["query"] == {"org": ORG, "after": "2"}


@pytest.mark.parametrize("last", [{}, {"hasMore": False, "cursor": "c9"}, {"truncated": False}])
def test_a_list_without_more_is_one_request(
    client: ClarityClient, sandbox: Sandbox, last: dict[str, Any]
) -> None:
    answer(sandbox, {"nodes": [A]} | last, times=1)
    assert RESOURCES["nodes"][0](client) == Listing([A])
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    "more",
    [{"truncated": True}, {"hasMore": True}, {"isTruncated": True}, {"meta": {"hasMore": True}}],
)
def test_a_truncated_list_without_a_way_on_is_an_error(
    client: ClarityClient, sandbox: Sandbox, more: dict[str, Any]
) -> None:
    answer(sandbox, {"nodes": [A]} | more, times=1)
    listing = RESOURCES["nodes"][0](client)
    assert listing.objects == [A]
    with pytest.raises(
        MalformedResponseError, match=r"^GET /v2/devices/nodes: the list is truncated"
    ):
        listing.complete()


@pytest.mark.parametrize(
    ("pages", "objects", "message"),
    [
        ([([A], "c2"), ([A], "c3")], [A], "nextCursor brings the first page again"),
        ([([A], "c2"), ([B], "c2")], [A, B], "nextCursor leads to a page that was read"),
        (
            [([A], "c2"), ([B], "c3"), ([C], "c2")],
            [A, B, C],
            "nextCursor leads to a page that was read",
        ),
        ([([A], "https://elsewhere.example/v2/devices/nodes")], [A], "leads out of the API"),
        ([([A], "//elsewhere.example/v2/devices/nodes")], [A], "leads out of the API"),
        ([([A], "https://[")], [A], "leads out of the API"),
        ([([A], "c" * 8_001)], [A], "exceeds the limit of 8,000 characters"),
        ([([A], "/v2/devices/nodes?after=" + "c" * 8_000)], [A], "exceeds the limit of 8,000"),
        ([([A], "/v2/x\x1b[2J")], [A], "others than printable ones"),
        ([([A], "/v2/\u2028\u0085")], [A], "others than printable ones"),
        ([([A], "/v2/\x0b")], [A], "others than printable ones"),
        ([([A], "\t/v2")], [A], "others than printable ones"),
    ],
)
def test_pages_that_lead_nowhere_are_an_error_and_what_was_read_stays(
    client: ClarityClient,
    sandbox: Sandbox,
    pages: list[tuple[list[Any], str]],
    objects: list[Any],
    message: str,
) -> None:
    for items, cursor in pages:
        answer(sandbox, {"nodes": items, "nextCursor": cursor}, times=1)
    listing = RESOURCES["nodes"][0](client)
    assert listing.objects == objects
    assert message in str(listing.error)
    assert len(sandbox.requests) == len(pages)


def test_the_number_of_pages_is_limited(
    client: ClarityClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_clarity.api.listing.MAX_PAGES", 3)
    for number in range(5):
        answer(sandbox, {"nodes": [{"nodeId": f"A{number}"}], "nextPage": number + 2}, times=1)
    listing = RESOURCES["nodes"][0](client)
    assert len(sandbox.requests) == len(listing.objects) == 3
    assert "exceeds the limit of 3 pages" in str(listing.error)


LIMITS: dict[str, tuple[int, list[Any], int]] = {
    "MAX_OBJECTS": (4, [A, {}, {}, {}], 2),
    "MAX_LIST_BYTES": (140, [A | {"x": "y" * 10}], 3),
    "MAX_LIST_VALUES": (14, [A | {"x": [1, 2]}], 3),
}
"""Each with a value, a page of which two are within it, and how many are requested."""


@pytest.mark.parametrize("name", LIMITS)
def test_all_pages_together_have_a_limit(
    client: ClarityClient,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    limit, page, requests = LIMITS[name]
    monkeypatch.setattr(f"tap_clarity.api.listing.{name}", limit)
    for number in range(4):
        items = [{**page[0], "nodeId": f"A{number}"}, *page[1:]]
        answer(sandbox, {"nodes": items, "nextPage": number + 2}, times=1)
    listing = RESOURCES["nodes"][0](client)
    assert len(sandbox.requests) == requests
    assert [item["nodeId"] for item in listing.objects] == ["A0", "A1"]
    assert f"{limit} " in str(listing.error)


def test_a_page_that_fails_keeps_what_was_read(client: ClarityClient, sandbox: Sandbox) -> None:
    answer(sandbox, {"nodes": [A], "nextCursor": "canary-7"}, times=1)
    sandbox.faults.inject("status", status=400, body='{"message": "canary-7 is wrong"}')
    listing = RESOURCES["nodes"][0](client)
    assert listing.objects == [A]
    assert "*** is wrong" in str(listing.error)


def test_the_stream_writes_what_was_read_and_fails_in_one_line() -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox:
        one = {"datasourceId": "DSALT0001"}
        answer(sandbox, {"datasources": [one], "hasMore": True}, times=1)
        run = run_in_process(sandbox, streams=["datasources"])
        assert [record["datasource_id"] for record in run.records("datasources")] == ["DSALT0001"]
        (line,) = run.error_lines
        assert run.status == 1
        assert line.startswith("datasources: GET /v2/datasources: the list is truncated, and the ")
        answer(sandbox, {"datasources": [one, {}, {"datasourceId": ""}]}, times=1)
        run = run_in_process(sandbox, streams=["datasources"])
        assert len(run.records("datasources")) == 1
        (line,) = run.error_lines
        assert run.status == 1
        assert line.startswith("datasources: 2 objects skipped: their ids are missing or malformed")


def test_reports_on_nodes_are_not_requested_for_a_part_of_them() -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox:
        sandbox.faults.inject(
            "status",
            path="/v2/devices/nodes",
            status=200,
            body=json.dumps({"nodes": [A], "hasMore": True}),
        )
        run = run_in_process(sandbox, streams=["node_measurements"], start_date="2026-03-09")
        assert (run.status, len(run.error_lines)) == (1, 1)
        assert not [call for call in sandbox.requests if call["method"] == "POST"]
