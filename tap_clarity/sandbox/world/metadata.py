"""The resources beside the measurements, as the API draws them at an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, SECOND, iso, iso_or_none
from tap_clarity.sandbox.world.network import DEPLOYED, Span

if TYPE_CHECKING:
    from tap_clarity.sandbox.world.network import Access, Datasource, Stay, Subscription
    from tap_clarity.sandbox.world.world import World

PARTNER_ORG: Final = "harbourKQ2"
PARTNER_ORGS: Final = (PARTNER_ORG, "uplandRB5", "quayTZ9")
_SHARED_EVERY: Final = 4
_OPEN_EVERY: Final = 3


def datasource_list(world: World, now: int) -> list[dict[str, Any]]:
    return [_summary(each, now) for each in world.visible(now)]


def _summary(datasource: Datasource, now: int) -> dict[str, Any]:
    subscription, stay = datasource.subscription_at(now), datasource.stay_at(now)
    return {
        "datasourceId": datasource.datasource_id,
        "currentSubscriptionId": subscription.subscription_id if subscription else None,
        "currentSourceId": stay.source_id if stay else None,
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
    stay = datasource.stay_at(now)
    reference = datasource.source_type == "REFERENCE_SITE"
    details: dict[str, Any] = {
        "datasourceId": datasource.datasource_id,
        "sourceType": datasource.source_type,
        "currentSourceId": stay.source_id if stay else None,
        "nameProvidedBySourceOperator": f"{datasource.name} (monitor)" if reference else None,
        "openData": _open_data(datasource),
        "orgAnnotations": _all_annotations(world, datasource),
    }
    if not reference:
        known = [each for each in datasource.subscriptions if each.attached.start <= now]
        details["sourceHistory"] = [
            _stay(each, now) for each in datasource.stays if each.span.start <= now
        ]
        details["accessToMeasurements"] = [
            _access(each, now) for each in datasource.access if each.span.start <= now
        ]
        details["subscriptionHistory"] = _subscription_history(world, datasource, known)
        details["subscriptionAttachmentHistory"] = [
            _attachment(world, datasource, each, now) for each in known
        ]
    if Unknown.PARTNER_HISTORIES in world.quirks and not reference:
        _add_partners(details, now)
    return _bare(details) if Quirk.BARE_HISTORIES in world.quirks else details


def _add_partners(details: dict[str, Any], now: int) -> None:
    """Show what others may read beside the org: a subscription per partner, some since earlier."""
    for turn, org in enumerate(PARTNER_ORGS):
        start = DEPLOYED - (turn + 1) * 90 * DAY
        span = Span(start, start + (turn + 1) * 300 * DAY).seen_at(now)
        name = f"S{details['datasourceId'][2:]}{turn}"
        access = {"subscriptionId": name, "sourceId": details["currentSourceId"]}
        details["accessToMeasurements"].append(
            {**access, "accessStart": iso(span.start), "accessEnd": iso_or_none(span.end)}
        )
        details["subscriptionAttachmentHistory"].append(
            {
                "subscriptionId": name,
                "subscriptionAttachmentId": f"{name}:{span.start // SECOND:08x}",
                "org": org,
                "attachmentDate": iso(span.start),
                "detachmentDate": iso_or_none(span.end),
            }
        )
        details["subscriptionHistory"].append(
            {
                "subscriptionId": name,
                "subscriptionType": "shared",
                "org": org,
                "timePeriodStart": iso(span.start),
                "timePeriodEnd": iso_or_none(span.end),
            }
        )


def _bare(details: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the guide's table does not know."""
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
        "lastOpenedAt": iso(DEPLOYED + 30 * DAY) if is_open else None,
        "lastClosedAt": None,
    }


def is_shared_on(datasource: Datasource) -> bool:
    """Tell whether a partner reads along on the org's licence."""
    return datasource.source_type == "CLARITY_NODE" and datasource.index % _SHARED_EVERY == 0


def _all_annotations(world: World, datasource: Datasource) -> list[dict[str, Any]]:
    own = {"org": world.org, **_annotations(datasource)}
    if not is_shared_on(datasource):
        return [own]
    return [own, {"org": PARTNER_ORG, "name": "Saltbay", "group": None, "tags": []}]


def _stay(stay: Stay, now: int) -> dict[str, Any]:
    span = stay.span.seen_at(now)
    return {
        "sourceId": stay.source_id,
        "inDate": iso(span.start),
        "outDate": iso_or_none(span.end),
    }


def _access(access: Access, now: int) -> dict[str, Any]:
    span = access.span.seen_at(now)
    return {
        "subscriptionId": access.subscription_id,
        "sourceId": access.source_id,
        "accessStart": iso(span.start),
        "accessEnd": iso_or_none(span.end),
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
    drawn: dict[str, Any] = {
        "subscriptionId": subscription.subscription_id,
        "subscriptionType": _kind(world, subscription.kind),
    }
    if subscription.attached.covers(now):
        drawn["attachedToDatasourceId"] = datasource.datasource_id
    start, end = subscription.period
    if subscription.kind != "public" and end is not None:
        drawn["timePeriodStart"] = iso(start)
        drawn["timePeriodEnd"] = iso(end)
        drawn["daysRemaining"] = max(0, -((now - end) // DAY))
    if subscription.kind == "licensed":
        drawn["sharedWith"] = [PARTNER_ORG] if is_shared_on(datasource) else []
    return drawn


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
    span = subscription.attached.seen_at(now)
    name = f"{subscription.subscription_id}:{datasource.datasource_id}:{span.start // SECOND:08x}"
    return {
        "subscriptionId": subscription.subscription_id,
        "subscriptionAttachmentId": name,
        "org": world.org,
        "attachmentDate": iso(span.start),
        "detachmentDate": iso_or_none(span.end),
    }
