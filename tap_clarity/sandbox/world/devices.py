"""Nodes and their modules, health and alarms, as they stand at an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE, iso, iso_or_none
from tap_clarity.sandbox.world.measurements import rows
from tap_clarity.sandbox.world.network import DEPLOYED, Span, source_id
from tap_clarity.sandbox.world.rng import blend, mix, salt, unit

if TYPE_CHECKING:
    from tap_clarity.sandbox.world.network import Datasource
    from tap_clarity.sandbox.world.world import World

CATEGORIES: Final = ("activity", "communication", "power", "internalsensors", "accessorymodule")
_SKUS: Final = {"wind": "CLA-WIND02", "ozone": "CLA-OZONE01"}
_SIGNALS: Final = ("1-marginal", "2-ok", "3-good", "4-excellent", "unknown")
_ALARM_TYPES: Final = {
    "activity": "noRecentReadings",
    "communication": "weakSignal",
    "power": "batteryLow",
    "internalsensors": "particleSensorFault",
    "accessorymodule": "moduleNotResponding",
}
_LOOK_BACK: Final = (3 * HOUR, 30 * HOUR)
_OFFLINE_AFTER: Final = 2 * HOUR
_ALARM_CHECKS: Final = 10 * MINUTE
_ALARM_EVERY: Final = 9 * DAY
_ALARM_KEPT: Final = 365 * DAY
_SENSOR_BROKE: Final = DEPLOYED + 400 * DAY
_BUCKETS: Final = 48
_SPARE_EVERY: Final = 25


class Node(NamedTuple):
    """A device; a spare one has no datasource and has never measured."""

    node_id: str
    stage: str
    since: int
    datasource: Datasource | None
    span: Span

    @property
    def seed(self) -> int:
        return salt(self.node_id)


class Alarm(NamedTuple):
    """A condition that held for a while."""

    category: str
    span: Span

    def last_extended(self, now: int) -> int:
        until = now if self.span.end is None else min(now, self.span.end)
        return max(self.span.start, until - until % _ALARM_CHECKS)


def nodes_of(world: World, now: int) -> list[Node]:
    """List the org's own devices, replaced ones included; shared datasources run on others'."""
    found = [
        _installed(datasource, stay.source_id, stay.span.seen_at(now))
        for datasource in world.visible(now)
        if datasource.source_type == "CLARITY_NODE" and datasource.role != "shared"
        for stay in datasource.stays
        if stay.span.start <= now
    ]
    return sorted([*found, *_spares(world)])


def _installed(datasource: Datasource, node_id: str, span: Span) -> Node:
    if span.end is None:
        return Node(node_id, "working", span.start + 53_680, datasource, span)
    return Node(node_id, "decommissioned", span.end + 4_217, datasource, span)


def _spares(world: World) -> list[Node]:
    turns = range(2 + world.size // _SPARE_EVERY)
    return [
        Node(
            source_id(blend(world.seed, 0x5BA2E), turn),
            "configured" if turn % 2 else "purchased",
            DEPLOYED + turn * HOUR,
            None,
            Span(DEPLOYED),
        )
        for turn in turns
    ]


def find_node(world: World, node_id: str, now: int) -> Node | None:
    return next((each for each in nodes_of(world, now) if each.node_id == node_id), None)


def nodes(world: World, now: int) -> list[dict[str, Any]]:
    return [_node(world, each) for each in nodes_of(world, now)]


def _node(world: World, node: Node) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "nodeId": node.node_id,
        "lifeStage": {"stage": node.stage, "when": iso(node.since)},
        "sku": "CLA02-00001",
        "model": "Node-S Global",
        "pairedAccessoryModules": [],
    }
    place = node.datasource or world.datasources[0]
    if node.stage != "purchased":
        drawn["location"] = {"type": "Point", "coordinates": [place.longitude, place.latitude]}
    if node.stage == "working":
        drawn["pairedAccessoryModules"] = [
            {"accessoryId": module_id, "sku": sku} for module_id, sku in _modules(place)
        ]
    return drawn


def _modules(datasource: Datasource) -> list[tuple[str, str]]:
    return [
        (f"M{blend(datasource.seed, salt(name)) % 10_000_000:07d}", sku)
        for name, sku in _SKUS.items()
        if name in datasource.modules
    ]


def accessory_modules(world: World, now: int) -> list[dict[str, Any]]:
    paired = [
        {"status": "paired", "sku": sku, "moduleId": module_id, "pairedNode": node.node_id}
        for node in nodes_of(world, now)
        if node.stage == "working" and node.datasource is not None
        for module_id, sku in _modules(node.datasource)
    ]
    return [
        *paired,
        {"status": "not paired", "sku": "CLA-OZONE01", "moduleId": f"M{world.seed % 1000:03d}0001"},
        {"status": "disabled", "sku": "CLA-WIND02", "moduleId": f"M{world.seed % 1000:03d}0002"},
    ]


def _last_reading(node: Node, now: int) -> int | None:
    """Find the last sample that has arrived; a device that never reported has none."""
    if node.datasource is None:
        return None
    until = now if node.span.end is None else min(now, node.span.end)
    for back in _LOOK_BACK:
        samples = rows(node.datasource, "minute", max(node.span.start, until - back), until)
        arrived = [row.time for row in samples if row.arrival <= now]
        if arrived:
            return max(arrived)
    return None


def alarms_of(node: Node, now: int) -> list[Alarm]:
    """List what has been wrong, oldest first; cleared alarms are forgotten after a year."""
    found = [] if node.stage == "purchased" else _passing_alarms(node, now)
    found.extend(_standing_alarms(node))
    return [
        each
        for each in sorted(found, key=lambda alarm: alarm.span.start)
        if each.span.end is None or each.span.end > now - _ALARM_KEPT
    ]


def _standing_alarms(node: Node) -> list[Alarm]:
    """Tell what nobody has cleared: such alarms are kept for ever."""
    role = node.datasource.role if node.datasource else None
    if role == "stopped" and node.span.end is not None:
        return [Alarm("activity", Span(node.span.end + HOUR))]
    return [Alarm("internalsensors", Span(_SENSOR_BROKE))] if role == "bare" else []


def _passing_alarms(node: Node, now: int) -> list[Alarm]:
    found = []
    until = now if node.span.end is None else node.span.end
    for turn in range(max(node.span.start, now - _ALARM_KEPT) // _ALARM_EVERY, now // _ALARM_EVERY):
        draw = mix(node.seed ^ turn)
        start = turn * _ALARM_EVERY + _ALARM_CHECKS * (draw % 1000)
        end = start + _ALARM_CHECKS * (3 + (draw >> 16) % 1200)
        if node.span.start <= start < until:
            category = CATEGORIES[(draw >> 32) % len(CATEGORIES)]
            found.append(Alarm(category, Span(start, min(end, until)).seen_at(now)))
    return found


def alarms(node: Node, now: int) -> list[dict[str, Any]]:
    return [
        {
            "alarmType": _ALARM_TYPES[alarm.category],
            "alarmCategory": alarm.category,
            "startedAt": iso(alarm.span.start),
            "lastExtendedAt": iso(alarm.last_extended(now)),
            "clearedAt": iso_or_none(alarm.span.end),
        }
        for alarm in alarms_of(node, now)
    ]


def all_alarms(world: World, now: int) -> list[dict[str, Any]]:
    return [
        {"nodeId": node.node_id, **alarm}
        for node in nodes_of(world, now)
        for alarm in alarms(node, now)
    ]


def _alarmed(node: Node, now: int) -> set[str]:
    return {each.category for each in alarms_of(node, now) if each.span.end is None}


def _overall(node: Node, last: int | None, now: int) -> str:
    if last is None or last < now - _OFFLINE_AFTER:
        return "offline"
    return "needs attention" if _alarmed(node, now) else "healthy"


def status_summaries(world: World, now: int) -> list[dict[str, Any]]:
    return [_status_summary(world, each, now) for each in nodes_of(world, now)]


def _status_summary(world: World, node: Node, now: int) -> dict[str, Any]:
    last = _last_reading(node, now)
    hourly = mix(node.seed ^ (now // HOUR))
    turned = node.seed % 5 if Quirk.OLD_STATUS_SUMMARY in world.quirks else 0
    alarmed = _alarmed(node, now)
    return {
        "nodeId": node.node_id,
        "lastReadingReceivedAt": iso_or_none(last),
        "summaryPerCategory": [
            {"alarmCategory": each, "summary": "ALARMS" if each in alarmed else "OK"}
            for each in (*CATEGORIES[turned:], *CATEGORIES[:turned])
        ],
        "batteryChargePercent": round(100 * unit(hourly), 1),
        "signalLevel": "unknown" if last is None else _SIGNALS[hourly % 4],
        "overallStatus": _overall(node, last, now),
    }


def node_status(world: World, node: Node, now: int) -> dict[str, Any]:
    last = _last_reading(node, now)
    summary = _overall(node, last, now)
    return {
        "summary": summary,
        "activity": {
            "summary": "OK" if summary != "offline" else "ALARMS",
            "online": "online" if summary != "offline" else "offline",
            "receivedHistogram": _histogram(world, node, now),
            "lastReadingReceivedAt": iso_or_none(last),
        },
        "behavior": {"summary": "OK"},
        "operational": {"summary": "ALARMS" if _alarmed(node, now) else "OK"},
    }


def all_statuses(world: World, now: int) -> list[dict[str, Any]]:
    return [
        {"nodeId": node.node_id, **node_status(world, node, now)} for node in nodes_of(world, now)
    ]


def _histogram(world: World, node: Node, now: int) -> dict[str, Any]:
    newest = now - now % HOUR
    oldest = newest - (_BUCKETS - 1) * HOUR
    buckets = [0] * _BUCKETS
    if node.datasource is not None:
        until = now if node.span.end is None else min(now, node.span.end)
        for row in rows(node.datasource, "minute", max(oldest, node.span.start), until):
            if row.arrival <= now:
                buckets[(row.time - oldest) // HOUR] += 1
    return {
        "buckets": buckets[::-1] if Quirk.OLD_NODE_STATUS in world.quirks else buckets,
        "startOfOldestBucket": iso(oldest),
        "endOfMostRecentBucket": iso(now),
    }
