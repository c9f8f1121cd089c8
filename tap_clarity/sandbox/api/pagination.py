"""Pagination of metadata lists, and the keys that wrap them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from tap_clarity.sandbox.api.errors import bad_request
from tap_clarity.sandbox.behavior.unknowns import Unknown

if TYPE_CHECKING:
    from tap_clarity.sandbox.http.http_types import Request
    from tap_clarity.sandbox.world.world import World

Fields = dict[str, Any]

_PAGED: Final = frozenset(
    {Unknown.NEXT_LINK, Unknown.NEXT_CURSOR, Unknown.HAS_MORE, Unknown.TRUNCATED_LISTS}
)


class Listing(NamedTuple):
    """The form of a metadata list: its id field, and the key that wraps it, if any."""

    id_field: str
    key: str | None = None
    has_org: bool = False


def list_response(
    world: World, request: Request, base_url: str, listing: Listing, found: list[Fields]
) -> object:
    """Return a list: bare or under a key, whole or one page of it."""
    quirks, key = world.quirks, listing.key
    wrapper = {"subscribingOrg": world.org} if listing.has_org else {}
    if Unknown.OBJECT_WITHOUT_ID in quirks and found:
        last = {k: v for k, v in found[-1].items() if k != listing.id_field}
        found = [*found[:-1], last]
    if Unknown.OTHER_WRAPPER_KEYS in quirks:
        key = "items"
    if not quirks & _PAGED:
        return found if key is None else {**wrapper, key: found}
    start = _cursor(request)
    end = start + world.parameters.page_size
    following = end if end < len(found) else None
    links = _next_page_fields(world, request, base_url, following)
    return {**wrapper, key or "items": found[start:end], **links}


def _cursor(request: Request) -> int:
    text = request.query.get("cursor", "0")
    if not text.isdecimal():
        raise bad_request("cursor is not valid")
    return int(text)


def _next_page_fields(world: World, request: Request, base_url: str, cursor: int | None) -> Fields:
    """Return the fields that announce the next page, in each form that is on."""
    quirks, has_more, fields = world.quirks, cursor is not None, Fields()
    if Unknown.NEXT_LINK in quirks:
        query = urlencode({**request.query, "cursor": cursor})
        fields["next"] = f"{base_url}{request.path}?{query}" if has_more else None
    if Unknown.NEXT_CURSOR in quirks:
        fields["nextCursor"] = str(cursor) if has_more else None
    if Unknown.HAS_MORE in quirks:
        fields |= {"hasMore": True, "cursor": str(cursor)} if has_more else {"hasMore": False}
    if Unknown.TRUNCATED_LISTS in quirks:
        fields["truncated"] = has_more
    return fields
