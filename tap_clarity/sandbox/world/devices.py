"""Nodes and their modules, statuses and alarms, as of a timestamp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE, iso, iso_or_none
from tap_clarity.sandbox.world.network import DEPLOYED_AT, TimeRange, source_id
from tap_clarity.sandbox.world.rng import combine, fraction, hash_text, mix
from tap_clarity.sandbox.world.rows import rows

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
_READING_SEARCH_RANGES: Final = (3 * HOUR, 30 * HOUR)
_OFFLINE_AFTER: Final = 2 * HOUR
_ALARM_INTERVAL: Final = 10 * MINUTE
_ALARM_EVERY: Final = 9 * DAY
_ALARM_KEPT: Final = 365 * DAY
_SENSOR_FAILED_AT: Final = DEPLOYED_AT + 400 * DAY
_BUCKETS: Final = 48
_SPARE_EVERY: Final = 25


class Node(NamedTuple):
    """A device; a spare node has no datasource and has never measured."""

    node_id: str
    stage: str
    since: int
    datasource: Datasource | None
    time_range: TimeRange

    @property
    def seed(self) -> int:
        return hash_text(self.node_id)


class Alarm(NamedTuple):
    """An alarm of a category, and the time range in which it is active."""

    category: str
    time_range: TimeRange

    def last_extended(self, now: int) -> int:
        until = now if self.time_range.end is None else min(now, self.time_range.end)
        return max(self.time_range.start, until - until % _ALARM_INTERVAL)


def nodes_of(world: World, now: int) -> list[Node]:
    """List the org's own nodes, replaced ones included; those of shared datasources are others'."""
    found = [
        _installed(datasource, source.source_id, source.time_range.as_known_at(now))
        for datasource in world.visible(now)
        if datasource.source_type == "CLARITY_NODE" and datasource.role != "shared"
        for source in datasource.source_history
        if source.time_range.start <= now
    ]
    return sorted([*found, *_spare_nodes(world)])


def _installed(datasource: Datasource, node_id: str, time_range: TimeRange) -> Node:
    if time_range.end is None:
        return Node(node_id, "working", time_range.start + 53_680, datasource, time_range)
    return Node(node_id, "decommissioned", time_range.end + 4_217, datasource, time_range)


def _spare_nodes(world: World) -> list[Node]:
    count = 2 + world.size // _SPARE_EVERY
    return [
        Node(
            source_id(combine(world.seed, 0x5BA2E), number),
            "configured" if number % 2 else "purchased",
            DEPLOYED_AT + number * HOUR,
            None,
            TimeRange(DEPLOYED_AT),
        )
        for number in range(count)
    ]


def node_ids(world: World, now: int) -> list[str]:
    return [node.node_id for node in nodes_of(world, now)]


def find_node(world: World, node_id: str, now: int) -> Node | None:
    return next((each for each in nodes_of(world, now) if each.node_id == node_id), None)


def nodes(world: World, now: int) -> list[dict[str, Any]]:
    return [_node_fields(world, each) for each in nodes_of(world, now)]


def _node_fields(world: World, node: Node) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "nodeId": node.node_id,
        "lifeStage": {"stage": node.stage, "when": iso(node.since)},
        "sku": "CLA02-00001",
        "model": "Node-S Global",
        "pairedAccessoryModules": [],
    }
    place = node.datasource or world.datasources[0]
    if node.stage != "purchased":
        fields["location"] = {"type": "Point", "coordinates": [place.longitude, place.latitude]}
    if node.stage == "working":
        fields["pairedAccessoryModules"] = [
            {"accessoryId": module_id, "sku": sku} for module_id, sku in _modules(place)
        ]
    return fields


def _modules(datasource: Datasource) -> list[tuple[str, str]]:
    return [
        (f"M{combine(datasource.seed, hash_text(name)) % 10_000_000:07d}", sku)
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
    """Find the last sample that has arrived; spare nodes have none."""
    if node.datasource is None:
        return None
    until = now if node.time_range.end is None else min(now, node.time_range.end)
    for depth in _READING_SEARCH_RANGES:
        samples = rows(node.datasource, "minute", max(node.time_range.start, until - depth), until)
        arrived = [row.time for row in samples if row.arrival <= now]
        if arrived:
            return max(arrived)
    return None


def alarms_of(node: Node, now: int) -> list[Alarm]:
    """List alarms, oldest first; cleared alarms are deleted after a year."""
    found = [] if node.stage == "purchased" else _temporary_alarms(node, now)
    found.extend(_persistent_alarms(node))
    return [
        each
        for each in sorted(found, key=lambda alarm: alarm.time_range.start)
        if each.time_range.end is None or each.time_range.end > now - _ALARM_KEPT
    ]


def _persistent_alarms(node: Node) -> list[Alarm]:
    """List the alarms that are never cleared."""
    role = node.datasource.role if node.datasource else None
    if role == "stopped" and node.time_range.end is not None:
        return [Alarm("activity", TimeRange(node.time_range.end + HOUR))]
    return [Alarm("internalsensors", TimeRange(_SENSOR_FAILED_AT))] if role == "bare" else []


def _temporary_alarms(node: Node, now: int) -> list[Alarm]:
    found = []
    until = now if node.time_range.end is None else node.time_range.end
    for number in range(
        max(node.time_range.start, now - _ALARM_KEPT) // _ALARM_EVERY, now // _ALARM_EVERY
    ):
        chance = mix(node.seed ^ number)
        start = number * _ALARM_EVERY + _ALARM_INTERVAL * (chance % 1000)
        end = start + _ALARM_INTERVAL * (3 + (chance >> 16) % 1200)
        if node.time_range.start <= start < until:
            category = CATEGORIES[(chance >> 32) % len(CATEGORIES)]
            found.append(Alarm(category, TimeRange(start, min(end, until)).as_known_at(now)))
    return found


def alarms(node: Node, now: int) -> list[dict[str, Any]]:
    return [
        {
            "alarmType": _ALARM_TYPES[alarm.category],
            "alarmCategory": alarm.category,
            "startedAt": iso(alarm.time_range.start),
            "lastExtendedAt": iso(alarm.last_extended(now)),
            "clearedAt": iso_or_none(alarm.time_range.end),
        }
        for alarm in alarms_of(node, now)
    ]


def all_alarms(world: World, now: int) -> list[dict[str, Any]]:
    return [
        {"nodeId": node.node_id, **alarm}
        for node in nodes_of(world, now)
        for alarm in alarms(node, now)
    ]


def _active_categories(node: Node, now: int) -> set[str]:
    return {each.category for each in alarms_of(node, now) if each.time_range.end is None}


def _overall(node: Node, last: int | None, now: int) -> str:
    if last is None or last < now - _OFFLINE_AFTER:
        return "offline"
    return "needs attention" if _active_categories(node, now) else "healthy"


def status_summaries(world: World, now: int) -> list[dict[str, Any]]:
    return [_status_summary(world, each, now) for each in nodes_of(world, now)]


def _status_summary(world: World, node: Node, now: int) -> dict[str, Any]:
    last = _last_reading(node, now)
    hourly = mix(node.seed ^ (now // HOUR))
    rotation = node.seed % 5 if Quirk.OLD_STATUS_SUMMARY in world.quirks else 0
    active = _active_categories(node, now)
    return {
        "nodeId": node.node_id,
        "lastReadingReceivedAt": iso_or_none(last),
        "summaryPerCategory": [
            {"alarmCategory": each, "summary": "ALARMS" if each in active else "OK"}
            for each in (*CATEGORIES[rotation:], *CATEGORIES[:rotation])
        ],
        "batteryChargePercent": round(100 * fraction(hourly), 1),
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
        "operational": {"summary": "ALARMS" if _active_categories(node, now) else "OK"},
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
        until = now if node.time_range.end is None else min(now, node.time_range.end)
        for row in rows(node.datasource, "minute", max(oldest, node.time_range.start), until):
            if row.arrival <= now:
                buckets[(row.time - oldest) // HOUR] += 1
    return {
        "buckets": buckets[::-1] if Quirk.OLD_NODE_STATUS in world.quirks else buckets,
        "startOfOldestBucket": iso(oldest),
        "endOfMostRecentBucket": iso(now),
    }
