"""Keys, organizations, bodies and parameters; datasources and their details."""

from __future__ import annotations

import pytest

from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
    fetch,
)

DATA_PATHS = ["/v2/datasources", "/v2/datasources/DXXXX0000", "/v2/report-requests/JB0"]
DAY = ("2026-11-19", "2026-11-20")


def test_a_key_sent_to_the_file_host_is_rejected_and_logged(client: Client) -> None:
    report_id = client.request_report("hour", "2026-11-19", "2026-11-20").json["reportId"]
    url = client.poll(report_id)["urls"][0]
    assert fetch(url, headers={"x-api-key": "anything"}).status == 400
    assert [entry["leak"] for entry in client.sandbox.requests] == [False, False, True]


@pytest.mark.parametrize("path", DATA_PATHS)
def test_a_wrong_key_answers_401_and_a_wrong_org_403(client: Client, path: str) -> None:
    rejected = client.get(path, key="wrong")
    assert (rejected.status, rejected.json) == (401, {"message": ["Unauthorized user"]})
    assert client.get(path, org="someoneElse1").status == 403


@pytest.mark.parametrize(
    "body",
    [
        {"outputFrequency": None},
        {"outputFrequency": "week"},
        {"allDatasources": False},
        {"allDatasources": False, "datasourceIds": "DABCD0001"},
        {"startTime": "yesterday"},
        {"startTime": 5},
        {"format": "xml"},
        {"org": None},
    ],
)
def test_malformed_queries_are_rejected(client: Client, body: dict[str, object]) -> None:
    assert client.recent(str(body.pop("outputFrequency", "hour")), **body).status == 400


def test_malformed_report_requests_are_rejected_and_not_counted(client: Client) -> None:
    assert client.request_report("hour", "2026-11-20", "2026-11-20").status == 400
    assert client.request_report("hour", "2026-11-20", "2026-11-21", report="other").status == 400
    foreign = {"allDatasources": False, "datasourceIds": ["DXXXX0000"]}
    assert client.request_report("hour", "2026-11-20", "2026-11-21", **foreign).status == 403
    assert client.request_report("hour", "2026-11-20", "2027-11-21").status == 200
    assert client.get("/v2/nothing").status == 404
    assert client.get("/v2/report-requests/JB00000000").status == 404


def test_datasources_are_the_expected_ones(client: Client) -> None:
    response = client.get("/v2/datasources").json
    ids = [each["datasourceId"] for each in response["datasources"]]
    expected = list(client.sandbox.expected.records("datasources", NOW))
    assert [each["datasource_id"] for each in expected] == ids
    assert sum(each["currentSourceId"] is None for each in response["datasources"]) == 1
    for datasource_id, record in zip(
        ids, client.sandbox.expected.records("datasource_details", NOW), strict=True
    ):
        details = client.get(f"/v2/datasources/{datasource_id}").json
        assert details["request"] == {"datasourceId": datasource_id, "org": client.sandbox.org}
        assert details["datasource"]["currentSourceId"] == record["current_source_id"]
    assert client.get("/v2/datasources/DXXXX0000").status == 404


def test_a_body_must_be_an_object_and_a_token_a_string(client: Client) -> None:
    path = "/v2/recent-datasource-measurements-query"
    assert client.post(path, ["org"]).status == 400
    assert client.send("POST", path, b"{not json", None).status == 400
    assert client.post("/v2/recent-datasource-measurements-continuation", {}).status == 400
    assert client.request_report("hour", "2026-11-19", None).status == 400  # type: ignore[arg-type]
    assert client.recent("hour", qcFlags="perhaps").status == 400


def test_both_poll_paths(client: Client) -> None:
    report_id = client.request_report("hour", *DAY).json["reportId"]
    paths = ["/v2/report-requests/", "/v2/report-request/", "/report-request/"]
    assert [client.get(f"{path}{report_id}").status for path in paths] == [200, 200, 404]
    without_org = client.send("GET", f"/v2/report-requests/{report_id}", None, None)
    assert without_org.json["reportStatus"] == "succeeded"


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_rejected_poll_paths(client: Client, status: int) -> None:
    client.sandbox.switches.set(poll_refusal=status)
    report_id = client.request_report("hour", *DAY).json["reportId"]
    paths = [f"/v2/report-requests/{report_id}", f"/v2/report-request/{report_id}"]
    client.sandbox.switches.turn_on("plural-poll-refused")
    assert [client.get(path).status for path in paths] == [status, 200]
    client.sandbox.switches.turn_on("singular-poll-refused")
    assert [client.get(path).status for path in paths] == [status, status]
    client.sandbox.switches.turn_off("plural-poll-refused")
    assert [client.get(path).status for path in paths] == [200, status]
