"""Ids that make the service reject a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.constants import SANDBOX_NOW as NOW

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client

DAY = ("2026-11-19", "2026-11-20")


@pytest.mark.parametrize("status", [400, 403])
def test_one_id_rejects_the_whole_request(client: Client, status: int) -> None:
    world, switches = client.sandbox.world, client.sandbox.switches
    switches.set(id_refusal=status)
    nodes = client.get("/v2/devices/nodes").json
    stages = {each["nodeId"]: each["lifeStage"]["stage"] for each in nodes}
    assert {*stages.values()} == {"working", "decommissioned", "purchased", "configured"}
    working = [each for each, stage in stages.items() if stage == "working"]
    switches.turn_on("idle-nodes-rejected", "stopped-datasources-rejected", "site-rejected")

    def statuses(*bodies: dict[str, Any]) -> list[int]:
        return [
            client.request_report("hour", *DAY, **{"allDatasources": False, **b}).status
            for b in bodies
        ]

    node = {"report": "node-measurements"}
    idle = [{**node, "nodeIds": [*working, each]} for each in stages if each not in working]
    assert statuses({**node, "nodeIds": working}, *idle) == [200, *[status] * len(idle)]
    stopped = next(each.datasource_id for each in world.datasources if each.role == "stopped")
    others = [each.datasource_id for each in world.datasources if each.role != "stopped"]
    requested = [{"datasourceIds": others}, {"datasourceIds": [*others, stopped]}]
    assert statuses(*requested, {"allDatasources": True}) == [200, status, 200]
    sites = {
        "report": "reference-site-measurements",
        "refSiteIds": client.sandbox.expected.reference_site_ids(NOW),
    }
    assert statuses(sites) == [status]
    switches.turn_off("unknowns")
    assert statuses(sites, *idle, *requested) == [200] * (len(idle) + 3)
    switches.set(rejected_ids=f"{working[0]},{others[0]},{sites['refSiteIds'][0]}")
    named_ids = statuses({**node, "nodeIds": working}, requested[0], sites)
    assert named_ids == [status] * 3
