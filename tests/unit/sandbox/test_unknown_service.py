"""Quotas, ids, lists and statuses of replies, where the documentation leaves them open."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.behavior.quirks import SWITCHES, named
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.cli import main
from tap_clarity.sandbox.testing.faults import KINDS, UNKNOWN_KINDS, ordered
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, facts_of_csv, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = ("2026-11-19", "2026-11-20")
LISTS = {
    "/v2/datasources": ("datasources", "datasourceId"),
    "/v2/subscriptions": ("subscriptions", "subscriptionId"),
    "/v2/devices/nodes": (None, "nodeId"),
    "/v2/devices/nodes/status-summary": (None, "nodeId"),
    "/v2/devices/accessory-modules": (None, "moduleId"),
}


def _with_quota(use: Callable[[Client], None], *quirks: str, **parameters: object) -> None:
    with Sandbox(
        seed=7,
        datasources=1,
        now=NOW,
        frozen=True,
        report_seconds=0,
        daily_quota=3,
        quirks=quirks,
        parameters=parameters,
    ) as sandbox:
        use(Client(sandbox))


def _grants(client: Client, count: int = 4) -> int:
    return [client.order("hour", *DAY).status for _ in range(count)].count(200)


def test_the_quota_day_begins_at_another_hour() -> None:
    def use(client: Client) -> None:
        assert _grants(client) == 3  # 13:07
        client.sandbox.clock.set("2026-11-21T08:29:59Z")
        assert _grants(client) == 0
        client.sandbox.clock.set("2026-11-21T08:30:00Z")
        assert _grants(client) == 3

    _with_quota(use, "quota-day-shifted", quota_hour=8.5)


def test_others_use_a_part_of_the_quota() -> None:
    def use(client: Client) -> None:
        assert _grants(client) == 1
        client.sandbox.clock.set("2026-11-21T00:00:00Z")
        assert _grants(client) == 1

    _with_quota(use, "shared-quota", requests_by_others=2)


def test_the_quota_is_that_of_the_last_24_hours() -> None:
    def use(client: Client) -> None:
        assert _grants(client, 1) == 1
        client.sandbox.clock.advance(timedelta(hours=20))
        assert _grants(client) == 2
        client.sandbox.clock.advance(timedelta(hours=4, seconds=-1))
        refused = client.order("hour", *DAY)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        client.sandbox.clock.advance(1)
        assert _grants(client) == 1

    _with_quota(use, "rolling-quota", "quota-retry-after")


def test_a_429_says_when_the_day_ends_only_if_told_to() -> None:
    def use(client: Client) -> None:
        assert _grants(client) == 3
        assert "Retry-After" not in client.order("hour", *DAY).headers
        client.sandbox.switches.turn_on("quota-retry-after")
        headers = client.order("hour", *DAY).headers
        assert headers["Retry-After"] == str(10 * 3600 + 53 * 60)

    _with_quota(use)


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
        return [client.order("hour", *DAY, **{"allDatasources": False, **b}).status for b in bodies]

    node = {"report": "node-measurements"}
    idle = [{**node, "nodeIds": [*working, each]} for each in stages if each not in working]
    assert statuses({**node, "nodeIds": working}, *idle) == [200, *[status] * len(idle)]
    stopped = next(each.datasource_id for each in world.datasources if each.role == "stopped")
    others = [each.datasource_id for each in world.datasources if each.role != "stopped"]
    asked = [{"datasourceIds": others}, {"datasourceIds": [*others, stopped]}]
    assert statuses(*asked, {"allDatasources": True}) == [200, status, 200]
    sites = {"report": "reference-site-measurements", "refSiteIds": world.reference_site_ids(NOW)}
    assert statuses(sites) == [status]
    switches.turn_off("unknowns")
    assert statuses(sites, *idle, *asked) == [200] * (len(idle) + 3)
    switches.set(rejected_ids=f"{working[0]},{others[0]},{sites['refSiteIds'][0]}")
    named_ids = statuses({**node, "nodeIds": working}, asked[0], sites)
    assert named_ids == [status] * 3


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


def test_a_list_says_in_every_way_that_there_is_more(client: Client) -> None:
    ways = ("next-link", "next-cursor", "has-more", "truncated-lists")
    client.sandbox.switches.turn_on(*ways)
    page = client.get("/v2/datasources").json
    assert (page["nextCursor"], page["cursor"]) == ("5", "5")
    assert page["hasMore"] is page["truncated"] is True
    assert page["next"].endswith("cursor=5")
    last = client.get("/v2/datasources", cursor="5").json
    assert (last["next"], last["nextCursor"]) == (None, None)
    assert last["hasMore"] is last["truncated"] is False


def test_details_that_show_other_organizations(client: Client) -> None:
    plain = list(client.sandbox.world.resource("datasource_details", NOW))
    client.sandbox.switches.turn_on("partner-histories")
    told = list(client.sandbox.world.resource("datasource_details", NOW))
    for before, after in zip(plain, told, strict=True):
        path = f"/v2/datasources/{after['datasource_id']}"
        details = client.get(path).json["datasource"]
        if after["source_type"] == "REFERENCE_SITE":
            assert before == after
            continue
        assert len(details["accessToMeasurements"]) == len(before["access_to_measurements"]) + 3
        own, *others = sorted({each["org"] for each in details["subscriptionAttachmentHistory"]})
        assert [own, *others] == ["harbourKQ2", "quayTZ9", client.sandbox.org, "uplandRB5"]
        starts = [each["accessStart"] for each in details["accessToMeasurements"]]
        assert min(starts) < "2023-06-05" <= starts[0]
        assert len(after["access_to_measurements"]) == len(starts)


@pytest.mark.parametrize(
    ("quirk", "status"), [("report-request-created", 201), ("report-request-accepted", 202)]
)
def test_a_report_request_answers_another_2xx(client: Client, quirk: str, status: int) -> None:
    client.sandbox.switches.turn_on(quirk)
    answer = client.order("hour", *DAY)
    assert answer.status == status
    assert client.poll(answer.json["reportId"])["reportStatus"] == "succeeded"
    client.sandbox.faults.order("failed-report", path="/v2/report-requests", message="no")
    refused = client.order("hour", *DAY).json
    assert client.poll(refused["reportId"])["message"] == "no"


@pytest.mark.parametrize("status", [202, 203, 204, 299, 300])
def test_whole_replies_with_another_status(client: Client, status: int) -> None:
    whole = client.get("/v2/datasources").body
    report_id = client.order("hour", *DAY).json["reportId"]
    url = client.poll(report_id)["urls"][0]
    file = fetch(url).body
    client.sandbox.faults.order("other-status", status=status, times=3)
    answers = [client.get("/v2/datasources"), fetch(url), client.recent("hour")]
    assert [each.status for each in answers] == [status] * 3
    if status == 204:
        assert [each.body for each in answers] == [b""] * 3
        assert "Content-Length" not in answers[0].headers
    else:
        assert (answers[0].body, answers[1].body) == (whole, file)


def test_a_status_fault_without_a_body(client: Client) -> None:
    client.sandbox.faults.order("status", status=204)
    assert client.get("/v2/datasources").body == b""
    assert client.get("/v2/datasources").status == 200


@pytest.mark.parametrize("as_", ["declared", "none"])
def test_a_part_of_a_file(as_: Any) -> None:  # noqa: ANN401
    with Sandbox(
        seed=7, datasources=4, now=NOW, frozen=True, report_seconds=0, gzip=as_
    ) as sandbox:
        client = Client(sandbox)
        url = client.poll(client.order("hour", *DAY).json["reportId"])["urls"][0]
        whole = facts_of_csv(fetch(url).body.decode())
        sandbox.faults.order("partial-content", path="/files/*")
        answer = fetch(url)
        part = facts_of_csv(answer.body.decode())
        assert answer.status == 206
        assert part.items() < whole.items()
        sent = gzip.compress(answer.body, mtime=0) if as_ == "declared" else answer.body
        assert answer.headers["Content-Range"].startswith(f"bytes 0-{len(sent) - 1}/")
        assert facts_of_csv(fetch(url).body.decode()) == whole


def test_the_labels_of_the_unknowns() -> None:
    assert named(["unknowns"]) == frozenset(Unknown)
    assert not named(["unknowns"]) & named(["all"])
    assert len({each.label for each in SWITCHES}) == len(SWITCHES)
    assert not KINDS.keys() & UNKNOWN_KINDS.keys()
    evidence = {each.evidence for each in (*SWITCHES, *(KINDS | UNKNOWN_KINDS).values())}
    assert evidence == {"documented", "seen", "invented"}


def test_parameters_over_http_and_on_the_command_line(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.post("/_sandbox/quirks", {"on": ["no-echo"], "parameters": {"page_size": "7"}})
    assert client.get("/_sandbox/parameters").json["page_size"] == 7
    assert [each["name"] for each in client.get("/_sandbox/quirks").json if each["on"]] == [
        "no-echo"
    ]
    wrong: list[dict[str, object]] = [
        {"colour": "red"},
        {"page_size": "many"},
        {"poll_refusal": 500},
        {"data_from": "then"},
    ]
    for each in wrong:
        assert client.post("/_sandbox/quirks", {"parameters": each}).status == 400
        ((name, value),) = each.items()
        with pytest.raises(SystemExit):
            main(["--parameter", f"{name}={value}"])
    assert "no such parameter: colour" in capsys.readouterr().err
    with pytest.raises(ValueError, match="missing, list, null, text"):
        ordered("report-without-urls", word="nothing")
