"""Datasources, their details and subscriptions, as of a timestamp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, SECOND, iso, iso_or_none
from tap_clarity.sandbox.world.network import DEPLOYED_AT, TimeRange

if TYPE_CHECKING:
    from tap_clarity.sandbox.world.network import Access, Datasource, SourcePeriod, Subscription
    from tap_clarity.sandbox.world.world import World

PARTNER_ORG: Final = "harbourKQ2"
PARTNER_ORGS: Final = (PARTNER_ORG, "uplandRB5", "quayTZ9")
_SHARED_EVERY: Final = 4
_OPEN_EVERY: Final = 3


def datasource_list(world: World, now: int) -> list[dict[str, Any]]:
    return [_summary(each, now) for each in world.visible(now)]


def _summary(datasource: Datasource, now: int) -> dict[str, Any]:
    subscription, source = datasource.subscription_at(now), datasource.source_at(now)
    return {
        "datasourceId": datasource.datasource_id,
        "currentSubscriptionId": subscription.subscription_id if subscription else None,
        "currentSourceId": source.source_id if source else None,
        "sourceType": datasource.source_type,
        "orgAnnotations": _annotations(datasource),
    }


def _annotations(datasource: Datasource) -> dict[str, Any]:
    return {
        "name": datasource.name,
        "group": datasource.group,
        "tags": list(datasource.tags),
    }


def datasource_details(world: World, datasource: Datasource, now: int) -> dict[str, Any]:
    source = datasource.source_at(now)
    reference = datasource.source_type == "REFERENCE_SITE"
    details: dict[str, Any] = {
        "datasourceId": datasource.datasource_id,
        "sourceType": datasource.source_type,
        "currentSourceId": source.source_id if source else None,
        "nameProvidedBySourceOperator": f"{datasource.name} (monitor)" if reference else None,
        "openData": _open_data(datasource),
        "orgAnnotations": _all_annotations(world, datasource),
    }
    if not reference:
        known = [each for each in datasource.subscriptions if each.attached.start <= now]
        details["sourceHistory"] = [
            _source_period(each, now)
            for each in datasource.source_history
            if each.time_range.start <= now
        ]
        details["accessToMeasurements"] = [
            _access(each, now) for each in datasource.access if each.time_range.start <= now
        ]
        details["subscriptionHistory"] = _subscription_history(world, datasource, known)
        details["subscriptionAttachmentHistory"] = [
            _attachment(world, datasource, each, now) for each in known
        ]
    if Unknown.PARTNER_HISTORIES in world.quirks and not reference:
        _add_partners(details, now)
    return _without_orgs(details) if Quirk.BARE_HISTORIES in world.quirks else details


def _add_partners(details: dict[str, Any], now: int) -> None:
    """Add what other organizations may read: a subscription for each, some since earlier."""
    for number, org in enumerate(PARTNER_ORGS):
        start = DEPLOYED_AT - (number + 1) * 90 * DAY
        time_range = TimeRange(start, start + (number + 1) * 300 * DAY).as_known_at(now)
        name = f"S{details['datasourceId'][2:]}{number}"
        access = {"subscriptionId": name, "sourceId": details["currentSourceId"]}
        details["accessToMeasurements"].append(
            {
                **access,
                "accessStart": iso(time_range.start),
                "accessEnd": iso_or_none(time_range.end),
            }
        )
        details["subscriptionAttachmentHistory"].append(
            {
                "subscriptionId": name,
                "subscriptionAttachmentId": f"{name}:{time_range.start // SECOND:08x}",
                "org": org,
                "attachmentDate": iso(time_range.start),
                "detachmentDate": iso_or_none(time_range.end),
            }
        )
        details["subscriptionHistory"].append(
            {
                "subscriptionId": name,
                "subscriptionType": "shared",
                "org": org,
                "timePeriodStart": iso(time_range.start),
                "timePeriodEnd": iso_or_none(time_range.end),
            }
        )


def _without_orgs(details: dict[str, Any]) -> dict[str, Any]:
    """Remove what is missing in the table of Clarity's guide."""
    kept = {k: v for k, v in details.items() if k != "subscriptionAttachmentHistory"}
    if "subscriptionHistory" in kept:
        kept["subscriptionHistory"] = [
            {k: v for k, v in each.items() if k != "org"} for each in kept["subscriptionHistory"]
        ]
    return kept


def all_details(world: World, now: int) -> list[dict[str, Any]]:
    return [datasource_details(world, each, now) for each in world.visible(now)]


def _open_data(datasource: Datasource) -> dict[str, Any]:
    is_open = datasource.index % _OPEN_EVERY == 0
    return {
        "isOpen": is_open,
        "openName": datasource.name if is_open else None,
        "lastOpenedAt": iso(DEPLOYED_AT + 30 * DAY) if is_open else None,
        "lastClosedAt": None,
    }


def is_shared_on(datasource: Datasource) -> bool:
    """Whether a partner may read the datasource too."""
    return datasource.source_type == "CLARITY_NODE" and datasource.index % _SHARED_EVERY == 0


def _all_annotations(world: World, datasource: Datasource) -> list[dict[str, Any]]:
    own = {"org": world.org, **_annotations(datasource)}
    if not is_shared_on(datasource):
        return [own]
    return [own, {"org": PARTNER_ORG, "name": "Saltbay", "group": None, "tags": []}]


def _source_period(source: SourcePeriod, now: int) -> dict[str, Any]:
    time_range = source.time_range.as_known_at(now)
    return {
        "sourceId": source.source_id,
        "inDate": iso(time_range.start),
        "outDate": iso_or_none(time_range.end),
    }


def _access(access: Access, now: int) -> dict[str, Any]:
    time_range = access.time_range.as_known_at(now)
    return {
        "subscriptionId": access.subscription_id,
        "sourceId": access.source_id,
        "accessStart": iso(time_range.start),
        "accessEnd": iso_or_none(time_range.end),
    }


def _subscription_history(
    world: World, datasource: Datasource, known: list[Subscription]
) -> list[dict[str, Any]]:
    own = [_term(each, each.subscription_id, _kind(world, each.kind), world.org) for each in known]
    if not is_shared_on(datasource):
        return own
    kind = _kind(world, "shared")
    shared = [_term(each, f"{each.subscription_id[:-1]}Z", kind, PARTNER_ORG) for each in known]
    return [*own, *shared]


def _kind(world: World, kind: str) -> str:
    if Quirk.PRIMARY_SHADOW_TYPES in world.quirks:
        return {"licensed": "primary", "shared": "shadow"}.get(kind, kind)
    return kind


def subscriptions(world: World, now: int) -> list[dict[str, Any]]:
    return [
        _subscription(world, datasource, each, now)
        for datasource in world.visible(now)
        for each in datasource.subscriptions
        if each.attached.start <= now
    ]


def _subscription(
    world: World, datasource: Datasource, subscription: Subscription, now: int
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "subscriptionId": subscription.subscription_id,
        "subscriptionType": _kind(world, subscription.kind),
    }
    if subscription.attached.covers(now):
        fields["attachedToDatasourceId"] = datasource.datasource_id
    start, end = subscription.period
    if subscription.kind != "public" and end is not None:
        fields["timePeriodStart"] = iso(start)
        fields["timePeriodEnd"] = iso(end)
        fields["daysRemaining"] = max(0, -((now - end) // DAY))
    if subscription.kind == "licensed":
        fields["sharedWith"] = [PARTNER_ORG] if is_shared_on(datasource) else []
    return fields


def _term(subscription: Subscription, name: str, kind: str, org: str) -> dict[str, Any]:
    return {
        "subscriptionId": name,
        "subscriptionType": kind,
        "org": org,
        "timePeriodStart": iso(subscription.period.start),
        "timePeriodEnd": iso_or_none(subscription.period.end),
    }


def _attachment(
    world: World, datasource: Datasource, subscription: Subscription, now: int
) -> dict[str, Any]:
    time_range = subscription.attached.as_known_at(now)
    prefix = f"{subscription.subscription_id}:{datasource.datasource_id}"
    return {
        "subscriptionId": subscription.subscription_id,
        "subscriptionAttachmentId": f"{prefix}:{time_range.start // SECOND:08x}",
        "org": world.org,
        "attachmentDate": iso(time_range.start),
        "detachmentDate": iso_or_none(time_range.end),
    }
