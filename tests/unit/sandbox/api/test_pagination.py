"""Pages and wrapper keys of metadata lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client

LISTS = {
    "/v2/datasources": ("datasources", "datasourceId"),
    "/v2/subscriptions": ("subscriptions", "subscriptionId"),
    "/v2/devices/nodes": (None, "nodeId"),
    "/v2/devices/nodes/status-summary": (None, "nodeId"),
    "/v2/devices/accessory-modules": (None, "moduleId"),
}


def _objects(payload: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    (found,) = [each for each in payload.values() if isinstance(each, list)]
    return list(found)


@pytest.mark.parametrize("path", LISTS)
def test_lists_under_another_key_or_with_an_object_without_its_id(
    client: Client, path: str
) -> None:
    key, id_field = LISTS[path]
    plain = client.get(path).json
    whole = plain[key] if key else plain
    client.sandbox.switches.turn_on("other-wrapper-keys")
    assert client.get(path).json["items"] == whole
    client.sandbox.switches.turn_on("object-without-id")
    assert [id_field in each for each in client.get(path).json["items"]] == [
        *[True] * (len(whole) - 1),
        False,
    ]
    client.sandbox.switches.turn_off("other-wrapper-keys")
    bare = client.get(path).json
    assert [id_field in each for each in (bare[key] if key else bare)].count(False) == 1


@pytest.mark.parametrize("quirk", ["next-link", "next-cursor", "has-more", "truncated-lists"])
@pytest.mark.parametrize("path", LISTS)
def test_lists_in_pages(client: Client, path: str, quirk: str) -> None:
    key, _ = LISTS[path]
    plain = client.get(path).json
    whole = plain[key] if key else plain
    client.sandbox.switches.set(page_size=2)
    client.sandbox.switches.turn_on(quirk)
    found, page = [], client.get(path).json
    while True:
        found += _objects(page)
        if quirk == "next-link" and page["next"]:
            url = urlsplit(page["next"])
            page = client.send("GET", f"{url.path}?{url.query}", None, None).json
        elif page.get("nextCursor") or page.get("hasMore"):
            page = client.get(path, cursor=page.get("nextCursor") or page["cursor"]).json
        else:
            break
    if quirk == "truncated-lists":
        assert page["truncated"] is (len(whole) > 2)
        assert found == whole[:2]
    else:
        assert found == whole
    assert client.get(path, cursor="nonsense").status == 400


def test_all_forms_of_pagination_at_once(client: Client) -> None:
    ways = ("next-link", "next-cursor", "has-more", "truncated-lists")
    client.sandbox.switches.turn_on(*ways)
    page = client.get("/v2/datasources").json
    assert (page["nextCursor"], page["cursor"]) == ("5", "5")
    assert page["hasMore"] is page["truncated"] is True
    assert page["next"].endswith("cursor=5")
    last = client.get("/v2/datasources", cursor="5").json
    assert (last["next"], last["nextCursor"]) == (None, None)
    assert last["hasMore"] is last["truncated"] is False
