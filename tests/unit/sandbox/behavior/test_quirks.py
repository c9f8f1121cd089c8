"""Each disagreement between documentation and reality, switched on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.behavior.quirks import Quirk, find_switches
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
    fetch,
    values_of_csv,
    values_of_json_long,
    values_of_measurements,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = ("2026-11-19", "2026-11-20")
LABELS = [quirk.label for quirk in Quirk]


def _poll(client: Client) -> None:
    report_id = client.request_report("hour", *DAY).json["reportId"]
    paths = ["/v2/report-requests/", "/v2/report-request/", "/report-request/"]
    assert [client.get(f"{path}{report_id}").status for path in paths] == [404, 200, 200]


def _kind(client: Client) -> None:
    ids = client.sandbox.expected.reference_site_ids(NOW)
    for kind in ("reference-site_measurements", "reference-site-measurements"):
        response = client.request_report("hour", *DAY, report=kind, refSiteIds=ids)
        assert response.json["report"] == "reference-site_measurements"
    client.sandbox.switches.turn_off("all")
    assert client.request_report("hour", *DAY, report="reference-site_measurements").status == 400


def _format(client: Client) -> None:
    record = client.request_report("hour", *DAY, format="parquet").json
    assert record["query"]["fileFormat"] == "parquet"
    url = client.poll(record["reportId"])["urls"][0]
    assert url.partition("?")[0].endswith(".csv.gz")
    response = fetch(url)
    assert response.body.startswith(b"PAR1")
    assert response.headers["Content-Type"] == "text/csv"


def _style(client: Client) -> None:
    query = client.request_report("hour", *DAY, columnLabelStyle="english").json["query"]
    assert query["columnLabelStyle"] == "english"
    assert "metricLabelStyle" not in query


def _pseudo_json(client: Client) -> None:
    assert "nothing" in Quirk.PSEUDO_JSON_EXAMPLES.description
    assert client.get("/v2/datasources").json


def _types(client: Client) -> None:
    found = client.get("/v2/subscriptions").json["subscriptions"]
    assert {each["subscriptionType"] for each in found} == {"primary", "shadow", "public"}
    expected = client.sandbox.expected.records("subscriptions", NOW)
    assert {each["subscription_type"] for each in expected} == {"primary", "shadow", "public"}


def _bare(client: Client) -> None:
    node = next(each for each in client.sandbox.world.datasources if each.role == "swapped")
    details = client.get(f"/v2/datasources/{node.datasource_id}").json["datasource"]
    assert "subscriptionAttachmentHistory" not in details
    assert not any("org" in each for each in details["subscriptionHistory"])


def _shapes(client: Client) -> None:
    first = client.get("/v2/datasources").json["datasources"][0]
    assert isinstance(first["orgAnnotations"], list)
    details = client.get(f"/v2/datasources/{first['datasourceId']}").json
    assert isinstance(details["openData"], list)
    expected = next(client.sandbox.expected.records("datasource_details", NOW))
    assert details["openData"][0]["isOpen"] == expected["open_data"]["is_open"]


def _nodes(client: Client) -> None:
    assert client.get("/v2/devices/nodes").json["nodes"]


def _summary(client: Client) -> None:
    found = client.get("/v2/devices/nodes/status-summary").json
    assert all("batteryCharge" in each for each in found)
    orders = [[c["alarm"] for c in each["summaryPerCategory"]] for each in found]
    assert len({tuple(order) for order in orders}) > 1
    expected = client.sandbox.expected.records("node_status_summaries", NOW)
    assert [[c["alarm_category"] for c in t["summary_per_category"]] for t in expected] == orders


def _status(client: Client) -> None:
    expected = next(
        each
        for each in client.sandbox.expected.records("node_statuses", NOW)
        if any(each["activity"]["received_histogram"]["buckets"])
    )
    activity = client.get(f"/v2/devices/nodes/{expected['node_id']}/status").json["activity"]
    assert activity["received"]["startOfOldest"]
    assert activity["received"]["buckets"] == expected["activity"]["received_histogram"]["buckets"]
    client.sandbox.switches.turn_off("all")
    plain = client.get(f"/v2/devices/nodes/{expected['node_id']}/status").json["activity"]
    assert plain["receivedHistogram"]["buckets"][::-1] == activity["received"]["buckets"]


def _qc(client: Client) -> None:
    text = client.report("hour", *DAY, qcAssessment=True, metricSelect="only no2Conc1HourMean")
    assert text.splitlines()[0].split(",")[8] == "no2Conc1HourMean.qc"
    assert client.recent("hour", qcAssessment=True).json["data"][0]["qc"] == "valid"


def _nested(client: Client) -> None:
    first = client.recent("hour").json["data"][0]
    name = next(name for name in first if name not in {"datasourceId", "time"})
    assert first[name].keys() == {"raw", "value", "status"}


def _frequency(client: Client) -> None:
    body = {"allDatasources": True, "startTime": "2026-11-20T12:00:00Z"}
    response = client.post("/v2/recent-datasource-measurements-query", body).json
    assert response["data"][0]["metric"].endswith("Individual")


def _cache(client: Client) -> None:
    assert client.recent("hour").json["data"][-1]["time"] == "2026-11-18T14:00:00.000Z"


def _order(client: Client) -> None:
    times = [item["time"] for item in client.recent("hour").json["data"]]
    assert times == sorted(times)
    starts = [line.split(",")[4] for line in client.report("hour", *DAY).splitlines()[1:]]
    assert starts == sorted(starts, reverse=True)


def _messages(client: Client) -> None:
    assert client.get("/v2/nothing").json == {"Code": "Not Found", "Message": "Not found"}
    report_id = client.request_report("hour", *DAY).json["reportId"]
    assert "message" not in client.poll(report_id)


def _statuses(client: Client) -> None:
    text = client.report("hour", "2026-11-14", "2026-11-20")
    found = values_of_csv(text)
    assert "calibrated-provisionally" in {status for _, _, status in found.values()}
    expected = values_of_measurements(
        client.sandbox.expected.measurements("hour", "2026-11-14", "2026-11-20", NOW)
    )
    assert found.items() <= expected.items()


def _columns(client: Client) -> None:
    item = client.recent("hour").json["data"][0]
    assert {"startOfPeriod", "endOfPeriod", "sourceId", "sourceType"} <= item.keys()
    assert client.report("day", *DAY).splitlines()[0].split(",")[4:6] == [
        "time",
        "locationLatitude",
    ]


def _padded_long(client: Client) -> None:
    node = next(each for each in client.sandbox.world.datasources if each.role == "bare")
    requested = {"allDatasources": False, "datasourceIds": [node.datasource_id]}
    items = client.recent("hour", **requested).json["data"]
    assert any((each["raw"], each["value"], each["status"]) == (None,) * 3 for each in items)
    header = client.report("hour", *DAY, **requested).splitlines()[0]
    assert "no2" not in header


def _labels(client: Client) -> None:
    ids = client.sandbox.expected.node_ids(NOW)
    body = {"report": "node-measurements", "nodeIds": ids, "metricLabelStyle": "english"}
    header = client.report("hour", *DAY, **body).splitlines()[0]
    assert header.startswith("Node Id,Source Id")
    assert '"PM2.5 mass concentration, 1-hour mean raw"' in header


def _nowcast(client: Client) -> None:
    names = {each["metric"] for each in client.recent("hour").json["data"]}
    assert {"pm2_5ConcMassNowCast", "pm2_5ConcMassNowCastUsEpaAqi"} <= names
    assert names <= {
        each.metric for each in client.sandbox.expected.measurements("hour", *DAY, NOW)
    }


def _empty(client: Client) -> None:
    response = client.recent("hour", startTime="2026-11-20T13:00:00Z").json
    assert response["locations"] == []
    with Sandbox(now=NOW, frozen=True, quirks={"empty-or-missing"}) as slow:
        assert "urls" not in Client(slow).request_report("hour", *DAY).json


def _numbers(client: Client) -> None:
    text = client.report("hour", *DAY)
    row = text.splitlines()[1].split(",")
    assert len(row[6].partition(".")[2]) == len(row[7].partition(".")[2]) == 8
    expected = values_of_measurements(client.sandbox.expected.measurements("hour", *DAY, NOW))
    assert values_of_csv(text).items() <= expected.items()
    assert ".00," in text or "0," in text


def _ids(client: Client) -> None:
    ids = {each["nodeId"][0] for each in client.get("/v2/devices/nodes").json}
    assert ids == {"A", "S"}
    assert {
        each.source_id[0] for each in client.sandbox.expected.measurements("hour", *DAY, NOW)
    } == {*"ARS"}


CHECKS: list[Callable[[Client], None]] = [
    *(_poll, _kind, _format, _style, _pseudo_json, _types, _bare, _shapes, _nodes, _summary),
    *(_status, _qc, _nested, _frequency, _cache, _order, _messages, _statuses, _columns),
    *(_padded_long, _labels, _nowcast, _empty, _numbers, _ids),
]


@pytest.mark.parametrize(("label", "check"), list(zip(LABELS, CHECKS, strict=True)), ids=LABELS)
def test_a_quirk(client: Client, label: str, check: Callable[[Client], None]) -> None:
    client.sandbox.switches.turn_on(label)
    check(client)


def test_the_quirks_are_numbered_from_one_to_twenty_five() -> None:
    assert [quirk.number for quirk in Quirk] == list(range(1, 26))


@pytest.mark.parametrize("label", [label for label in LABELS if label != "swapped-columns"])
def test_a_quirk_leaves_the_numbers_alone(client: Client, label: str) -> None:
    client.sandbox.switches.turn_on(label)
    expected = values_of_measurements(client.sandbox.expected.measurements("day", *DAY, NOW))
    report_id = client.request_report("day", *DAY).json["reportId"]
    record = client.get(f"/v2/report-request/{report_id}").json
    assert values_of_csv(fetch(record["urls"][0]).body.decode()) == expected


def test_all_quirks_at_once(client: Client) -> None:
    client.sandbox.switches.turn_on("all")
    expected = values_of_measurements(client.sandbox.expected.measurements("hour", *DAY, NOW))
    report_id = client.request_report("hour", *DAY, metricSelect="all").json["reportId"]
    record = client.get(f"/report-request/{report_id}").json
    assert values_of_csv(fetch(record["urls"][0]).body.decode()) == expected
    client.sandbox.switches.turn_off("nested-json-long", "swapped-columns", "padded-json-long")
    found = values_of_json_long(client.recent("hour", metricSelect="all").json)
    assert found.items() >= {k: v for k, v in expected.items() if k[1] > "2026-11-19T13"}.items()


def test_switches_over_http_and_from_the_constructor(client: Client) -> None:
    shown = client.post("/_sandbox/quirks", {"on": ["nowcast-casing", "odd-node-ids"]}).json
    assert [each["name"] for each in shown if each["on"]] == ["nowcast-casing", "odd-node-ids"]
    shown = client.post("/_sandbox/quirks", {"off": ["all"], "on": ["wrapped-nodes"]}).json
    assert [each["number"] for each in shown if each["on"]] == [9]
    assert client.get("/_sandbox/quirks").json == shown
    assert client.post("/_sandbox/quirks", {"on": ["nonsense"]}).status == 400
    client.send("DELETE", "/_sandbox/quirks", None, None)
    assert client.sandbox.world.quirks == frozenset()
    assert Sandbox(quirks={"all"}).world.quirks == find_switches(LABELS)
