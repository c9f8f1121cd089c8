"""Faults: which requests they match, how often, and what they change."""

from __future__ import annotations

import json

import pytest

from tap_clarity.sandbox.testing.faults import parse
from tests.support.sandbox_client import Client, fetch

DAY = ("2026-11-19", "2026-11-20")
LIST = "/v2/datasources"


def _url(client: Client) -> str:
    report_id = client.request_report("hour", *DAY).json["reportId"]
    url: str = client.poll(report_id)["urls"][0]
    return url


def test_a_status_with_headers_and_body_for_the_next_requests(client: Client) -> None:
    order = {"status": 429, "headers": {"Retry-After": "7"}, "body": "slow down", "times": 2}
    client.sandbox.faults.inject("status", path="/v2/data*", method="GET", **order)
    assert client.get("/v2/subscriptions").status == 200
    first, second, third = (client.get(LIST) for _ in range(3))
    assert (first.status, first.headers["Retry-After"], first.body) == (429, "7", b"slow down")
    assert (second.status, third.status) == (429, 200)
    assert [entry["fault"] for entry in client.sandbox.requests] == [
        *(None, "status", "status", None)
    ]


def test_faults_match_the_method(client: Client) -> None:
    client.sandbox.faults.inject("status", method="POST")
    assert client.get(LIST).status == 200
    assert client.recent("hour").status == 503


def test_faults_match_text_in_the_body(client: Client) -> None:
    client.sandbox.faults.inject("status", contains="2026-11-19T")
    assert client.get(LIST).status == 200
    assert client.request_report("hour", *DAY).status == 200
    window = ("2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z")
    assert [client.request_report("hour", *window).status for _ in range(2)] == [503, 200]


def test_a_probability_depends_on_the_seed(client: Client) -> None:
    def statuses(seed: int) -> list[int]:
        client.sandbox.faults.clear()
        client.sandbox.faults.inject("status", probability=0.4, seed=seed)
        return [client.get(LIST).status for _ in range(40)]

    one = statuses(1)
    assert one == statuses(1) != statuses(2)
    assert 5 < one.count(503) < 30


def test_html_and_garbage_with_status_200(client: Client) -> None:
    client.sandbox.faults.inject("html")
    client.sandbox.faults.inject("garbage")
    html, garbage = client.get(LIST), client.get(LIST)
    assert (html.status, garbage.status) == (200, 200)
    assert html.body.startswith(b"<!DOCTYPE html>")
    with pytest.raises(ValueError, match="codec"):
        json.loads(garbage.body)


def test_a_failed_report_stays_failed(client: Client) -> None:
    client.sandbox.faults.inject("failed-report", path="/v2/report-requests", message="too large")
    report_id = client.request_report("hour", *DAY).json["reportId"]
    assert [client.poll(report_id)["reportStatus"] for _ in range(2)] == ["failed", "failed"]
    assert client.poll(report_id)["message"] == "too large"
    second = client.request_report("hour", *DAY).json["reportId"]
    client.sandbox.faults.inject("failed-report", path="/v2/report-requests/*")
    assert client.poll(second)["reportStatus"] == "failed"
    client.sandbox.faults.inject("failed-report")
    assert client.request_report("hour", "soon", "later").status == 400


def test_an_expired_link(client: Client) -> None:
    url = _url(client)
    client.sandbox.faults.inject("expired-link", path="/files/*")
    assert b"<Code>AccessDenied</Code>" in fetch(url).body
    assert fetch(url).status == 200


def test_faults_on_the_command_line() -> None:
    fault = parse("status path=/v2/* method=GET times=3 status=429 'Retry-After: 5' at=0.1")
    assert (fault.kind, fault.path, fault.method, fault.times) == ("status", "/v2/*", "GET", 3)
    assert (fault.status, fault.headers, fault.at) == (429, {"Retry-After": "5"}, 0.1)
    assert parse("cut probability=0.5 seed=2").times is None
    for wrong in ("", "plague", "cut colour=red", "cut sideways", "cut times=many"):
        with pytest.raises(ValueError, match=r"."):
            parse(wrong)


@pytest.mark.parametrize("status", [202, 203, 204, 299, 300])
def test_complete_responses_with_another_status(client: Client, status: int) -> None:
    whole = client.get("/v2/datasources").body
    report_id = client.request_report("hour", *DAY).json["reportId"]
    url = client.poll(report_id)["urls"][0]
    file = fetch(url).body
    client.sandbox.faults.inject("other-status", status=status, times=3)
    responses = [client.get("/v2/datasources"), fetch(url), client.recent("hour")]
    assert [each.status for each in responses] == [status] * 3
    if status == 204:
        assert [each.body for each in responses] == [b""] * 3
        assert "Content-Length" not in responses[0].headers
    else:
        assert (responses[0].body, responses[1].body) == (whole, file)


def test_a_status_fault_without_a_body(client: Client) -> None:
    client.sandbox.faults.inject("status", status=204)
    assert client.get("/v2/datasources").body == b""
    assert client.get("/v2/datasources").status == 200


def test_faults_of_reports_and_files_match_only_their_requests(client: Client) -> None:
    for kind in ("never-ending-report", "poll-without-urls", "blank-file"):
        client.sandbox.faults.inject(kind)
    assert client.get("/v2/datasources").json["datasources"]
    assert [each["times"] for each in client.sandbox.faults] == [1, 1, 1]
