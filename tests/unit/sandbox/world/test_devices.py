"""Subscriptions, nodes, their health and their modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client

NODES = "/v2/devices/nodes"


def _records(client: Client, resource: str) -> list[dict[str, Any]]:
    return list(client.sandbox.expected.records(resource, client.sandbox.clock.now()))


@pytest.mark.parametrize(
    ("path", "wrapper", "resource"),
    [
        ("/v2/datasources", "datasources", "datasources"),
        ("/v2/subscriptions", "subscriptions", "subscriptions"),
        (NODES, None, "nodes"),
        (f"{NODES}/status-summary", None, "node_status_summaries"),
        ("/v2/devices/accessory-modules", None, "accessory_modules"),
    ],
)
def test_lists_hold_what_the_truth_tells(
    client: Client, path: str, wrapper: str | None, resource: str
) -> None:
    response = client.get(path).json
    items = response[wrapper] if wrapper else response
    expected = _records(client, resource)
    assert len(items) == len(expected) > 0
    for item, record in zip(items, expected, strict=True):
        assert list(item.values())[0] == list(record.values())[1]  # noqa: RUF015
        assert len(item) + 1 == len(record)
    assert client.get(f"/_sandbox/truth/{resource}").lines == expected
    assert client.send("GET", path, None, None).status == 400


def test_subscriptions_come_in_all_kinds(client: Client) -> None:
    found = client.get("/v2/subscriptions").json["subscriptions"]
    by_kind = {each["subscriptionType"]: each for each in found}
    assert by_kind.keys() == {"licensed", "public", "shared"}
    assert "daysRemaining" not in by_kind["public"]
    assert by_kind["shared"]["daysRemaining"] == 928
    assert "sharedWith" not in by_kind["shared"]
    assert sum("attachedToDatasourceId" not in each for each in found) == 1


def test_nodes_in_all_stages_of_life(client: Client) -> None:
    nodes = client.get(NODES).json
    stages = {each["lifeStage"]["stage"]: each for each in nodes}
    assert stages.keys() == {"purchased", "configured", "working", "decommissioned"}
    assert "location" not in stages["purchased"]
    longitude, latitude = stages["working"]["location"]["coordinates"]
    assert longitude < 0 < latitude
    modules = {each["moduleId"]: each for each in client.get("/v2/devices/accessory-modules").json}
    paired = {m["accessoryId"]: each["nodeId"] for each in nodes for m in _paired(each)}
    assert paired
    assert all(modules[module]["pairedNode"] == node for module, node in paired.items())
    assert {each["status"] for each in modules.values()} == {"paired", "not paired", "disabled"}


def _paired(node: dict[str, Any]) -> list[dict[str, str]]:
    modules: list[dict[str, str]] = node["pairedAccessoryModules"]
    return modules


def test_health_agrees_between_summary_status_and_alarms(client: Client) -> None:
    summaries = client.get(f"{NODES}/status-summary").json
    assert {each["overallStatus"] for each in summaries} >= {"offline", "needs attention"}
    assert any(each["lastReadingReceivedAt"] is None for each in summaries)
    for each in summaries:
        node = f"{NODES}/{each['nodeId']}"
        status = client.get(f"{node}/status").json
        assert status["summary"] == each["overallStatus"]
        assert status["activity"]["lastReadingReceivedAt"] == each["lastReadingReceivedAt"]
        assert len(status["activity"]["receivedHistogram"]["buckets"]) == 48
        active = {alarm["alarmCategory"] for alarm in client.get(f"{node}/alarms").json}
        alarmed = {c["alarmCategory"] for c in each["summaryPerCategory"] if c["summary"] != "OK"}
        assert alarmed == active


def test_a_live_node_fills_its_histogram(client: Client) -> None:
    expected = _records(client, "node_statuses")
    filled = [sum(each["activity"]["received_histogram"]["buckets"]) for each in expected]
    assert max(filled) > 400
    assert min(filled) == 0


def test_alarms_are_filtered_by_flag_and_time(client: Client) -> None:
    expected = _records(client, "node_alarms")
    node_id = expected[0]["node_id"]
    path = f"{NODES}/{node_id}/alarms"
    everything = client.get(path, active="", inactive="").json
    assert len(everything) == sum(each["node_id"] == node_id for each in expected)
    cleared = client.get(path, inactive="").json
    assert all(each["clearedAt"] for each in cleared)
    middle = cleared[len(cleared) // 2]["startedAt"]
    late = client.get(path, inactive="", startTime=middle).json
    early = client.get(path, inactive="", endTime=middle).json
    assert 0 < len(late) < len(cleared)
    assert len(early) + len(late) == len(cleared)
    assert client.get(path, startTime="soon").status == 400
    assert len({(e["node_id"], e["alarm_type"], e["started_at"]) for e in expected}) == len(
        expected
    )


def test_devices_of_others_are_forbidden(client: Client) -> None:
    shared = next(each for each in client.sandbox.world.datasources if each.role == "shared")
    node_id = shared.source_history[0].source_id
    assert node_id not in client.sandbox.expected.node_ids(client.sandbox.clock.now())
    assert client.get(f"{NODES}/{node_id}/status").status == 403
    assert client.get(f"{NODES}/AXXXXXXX/alarms").status == 403
