"""How a list continues on a next page, if it does: no document says that any list has pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from requests.utils import parse_header_links

from tap_clarity.api.errors import MalformedResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEXT = (
    *("next", "nextLink", "nextUrl", "nextPage", "nextPageToken", "nextCursor", "nextToken"),
    *("cursor", "continuationToken"),
)
"""Names of links and cursors to the next page, the most explicit ones first."""
CONTAINERS = ("links", "_links", "paging", "pagination", "page", "meta", "metadata")
MORE = ("truncated", "isTruncated", "hasMore", "hasNext", "hasNextPage")
PAGE_COUNTS = ("totalPages", "pageCount")
PAGE_NUMBERS = ("page", "pageNumber", "currentPage")
MAX_LINK_LENGTH = 8_000
"""Characters of a link or cursor: all of a list are remembered, and servers accept no more."""
LINK_STARTS = ("http://", "https://", "/", "?")


class NextPage(NamedTuple):
    """Where the next page is: a link to follow as it is, or a cursor to send under a name."""

    name: str
    value: str

    @property
    def is_link(self) -> bool:
        return self.value.startswith(LINK_STARTS)

    @property
    def parameter(self) -> str:
        """The query parameter that sends a cursor back: `pageToken` for `nextPageToken`."""
        name = self.name.removeprefix("next")
        return name[:1].lower() + name[1:] or self.name


def next_page(document: Mapping[str, Any], headers: Mapping[str, str]) -> NextPage | None:
    """Find the next page of a list; None if this one is the last.

    Raises:
        MalformedResponseError: If the list continues, but the response does not say where, or in a
            text that is no link or cursor.
    """
    places = [document, *(document[name] for name in CONTAINERS if name in document)]
    members = [place for place in places if isinstance(place, dict)]
    flags = [_flag(member[name]) for member in members for name in MORE if name in member]
    flags += [has_more for member in members for has_more in _more_pages(member)]
    if False in flags and True not in flags:
        return None
    found = next((page for member in members for page in _pages(member)), None)
    if found is None:
        found = _linked(headers.get("Link", ""))
    if found is None and (True in flags or any(member.get("next") is True for member in members)):
        raise MalformedResponseError(
            "the list is truncated, and the response does not say how to read on: ask Clarity's "
            "support"
        )
    if found and (len(found.value) > MAX_LINK_LENGTH or not found.value.isprintable()):
        raise MalformedResponseError(
            f"the link to the next page exceeds the limit of {MAX_LINK_LENGTH:,} characters, or "
            "has others than printable ones: ask Clarity's support"
        )
    return found


def _flag(value: Any) -> bool | None:  # noqa: ANN401
    return {"true": True, "false": False}.get(str(value).casefold())


def _more_pages(member: Mapping[str, Any]) -> Iterator[bool]:
    """Compare the number of pages with that of this one, if both are there."""
    totals = [member[name] for name in PAGE_COUNTS if isinstance(member.get(name), int)]
    pages = [member[name] for name in PAGE_NUMBERS if isinstance(member.get(name), int)]
    for total in totals:
        yield total > max(pages, default=1)


def _pages(member: Mapping[str, Any]) -> Iterator[NextPage]:
    for name in NEXT:
        value = member.get(name)
        if isinstance(value, dict):
            value = value.get("href")
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            yield NextPage(name, str(value))


def _linked(header: str) -> NextPage | None:
    for link in parse_header_links(header):
        if "next" in link.get("rel", "").casefold().split():
            return NextPage("next", link["url"])
    return None
