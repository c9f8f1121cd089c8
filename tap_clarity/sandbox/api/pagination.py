"""Metadata lists as the API sends them: under a key, in pages, with an object amiss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.http.http_types import bad

if TYPE_CHECKING:
    from tap_clarity.sandbox.http.http_types import Request
    from tap_clarity.sandbox.world.world import World

Fields = dict[str, Any]

_PAGED: Final = frozenset(
    {Unknown.NEXT_LINK, Unknown.NEXT_CURSOR, Unknown.HAS_MORE, Unknown.TRUNCATED_LISTS}
)


class Listing(NamedTuple):
    """How a metadata list is sent: which field is the id, and under which key, if any."""

    id_field: str
    key: str | None = None
    has_org: bool = False


def listed(
    world: World, request: Request, base_url: str, listing: Listing, found: list[Fields]
) -> object:
    """Send a list: bare or under a key, whole or one page of it."""
    quirks, key = world.quirks, listing.key
    around = {"subscribingOrg": world.org} if listing.has_org else {}
    if Unknown.OBJECT_WITHOUT_ID in quirks and found:
        last = {k: v for k, v in found[-1].items() if k != listing.id_field}
        found = [*found[:-1], last]
    if Unknown.OTHER_WRAPPER_KEYS in quirks:
        key = "items"
    if not quirks & _PAGED:
        return found if key is None else {**around, key: found}
    start = _cursor(request)
    end = start + world.parameters.page_size
    after = end if end < len(found) else None
    return {**around, key or "items": found[start:end], **_more(world, request, base_url, after)}


def _cursor(request: Request) -> int:
    text = request.query.get("cursor", "0")
    if not text.isdecimal():
        raise bad("cursor is not valid")
    return int(text)


def _more(world: World, request: Request, base_url: str, after: int | None) -> Fields:
    """Say whether there is more, in each way that is on."""
    quirks, has_more, told = world.quirks, after is not None, Fields()
    if Unknown.NEXT_LINK in quirks:
        query = urlencode({**request.query, "cursor": after})
        told["next"] = f"{base_url}{request.path}?{query}" if has_more else None
    if Unknown.NEXT_CURSOR in quirks:
        told["nextCursor"] = str(after) if has_more else None
    if Unknown.HAS_MORE in quirks:
        told |= {"hasMore": True, "cursor": str(after)} if has_more else {"hasMore": False}
    if Unknown.TRUNCATED_LISTS in quirks:
        told["truncated"] = has_more
    return told
