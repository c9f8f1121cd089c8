"""Which datasources a request reads: all, by datasource id, or by the id of a source."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.api.body_fields import flag, id_list
from tap_clarity.sandbox.api.errors import ApiError, bad_request
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.world import devices

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from tap_clarity.sandbox.world.network import Datasource
    from tap_clarity.sandbox.world.world import World


def select_datasources(world: World, body: dict[str, Any], now: int) -> list[Datasource]:
    """Select datasources by id; ids that are unknown to the org answer 403."""
    ids = id_list(body, "datasourceIds")
    if flag(body, "allDatasources"):
        return world.visible(now)
    if not ids:
        raise bad_request("either allDatasources or datasourceIds is required")
    found = [world.find(each, now) for each in sorted(set(ids))]
    if None in found:
        raise ApiError(HTTPStatus.FORBIDDEN, "a datasource in datasourceIds is not yours to read")
    selected = [each for each in found if each is not None]
    _check_ids(world, "datasourceIds", frozenset(ids), _stopped(world, selected, now))
    return selected


def select_by_sources(
    world: World, body: dict[str, Any], field: str, now: int, *, reference_sites: bool
) -> tuple[list[Datasource], frozenset[str]]:
    """Select the datasources of the nodes or reference sites in a field, and return their ids."""
    ids = frozenset(id_list(body, field) or ())
    if not ids:
        raise bad_request(f"{field} is required")
    own = world.reference_site_ids(now) if reference_sites else devices.node_ids(world, now)
    if not ids <= set(own):
        raise ApiError(HTTPStatus.FORBIDDEN, f"an id in {field} is not yours to read")
    _check_ids(world, field, ids, _unreported(world, now))
    selected = [
        datasource
        for datasource in world.visible(now)
        if any(source.source_id in ids for source in datasource.source_history)
    ]
    return selected, ids


def _check_ids(world: World, field: str, ids: frozenset[str], rejected: AbstractSet[str]) -> None:
    """Reject a whole request because of one id."""
    if ids & (rejected | world.parameters.rejected_id_set):
        status = HTTPStatus(world.parameters.id_refusal)
        raise ApiError(status, f"an id in {field} cannot be reported on")


def _stopped(world: World, selected: list[Datasource], now: int) -> frozenset[str]:
    if Unknown.STOPPED_DATASOURCES_REJECTED not in world.quirks:
        return frozenset()
    return frozenset(each.datasource_id for each in selected if each.source_at(now) is None)


def _unreported(world: World, now: int) -> set[str]:
    """Name the nodes and sites that the service does not report on."""
    rejected: set[str] = set()
    if Unknown.IDLE_NODES_REJECTED in world.quirks:
        nodes = devices.nodes_of(world, now)
        rejected.update(node.node_id for node in nodes if node.stage != "working")
    if Unknown.SITE_REJECTED in world.quirks:
        rejected.update(world.reference_site_ids(now)[:1])
    return rejected
