"""The API over real HTTP: whoever reads it plainly must find the truth."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api import reports
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
    Facts,
    Key,
    facts_of_csv,
    facts_of_long,
    facts_of_truth,
    fetch,
)

if TYPE_CHECKING:
    from tap_clarity.sandbox.api.recent import Format
    from tap_clarity.sandbox.world.metrics import Frequency

CACHE = {"minute": timedelta(days=1), "hour": timedelta(days=2), "day": timedelta(days=10)}
CACHE_STARTS = {
    "minute": "2026-11-19T13:07:00Z",
    "hour": "2026-11-18T13:07:00Z",
    "day": "2026-11-10T13:07:00Z",
}
FREQUENCIES: tuple[Frequency, ...] = ("minute", "hour", "day")
TOKEN = "x-clarity-continuation-token"  # noqa: S105
DATA_PATHS = ["/v2/datasources", "/v2/datasources/DXXXX0000", "/v2/report-requests/JB0"]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_recent_in_both_formats_is_the_truth(client: Client, frequency: Frequency) -> None:
    start = CACHE_STARTS[frequency]
    truth = facts_of_truth(client.sandbox.world.truth(frequency, start, NOW, NOW))
    if frequency != "minute":  # the default columns are fewer than all there are
        truth = {key: facts for key, facts in truth.items() if "pm10ConcMassNowcast" not in key[2]}
    asked_early = client.recent(frequency, startTime="2020-01-01", format="csv-wide")
    assert facts_of_csv(asked_early.body.decode()) == truth
    long = client.recent(frequency, startTime=start).json
    assert facts_of_long(long) == truth
    assert {each["datasourceId"] for each in long["locations"]} == {key[0] for key in truth}


def test_recent_is_newest_first_and_metrics_stand_by_name(client: Client) -> None:
    items = client.recent("hour").json["data"]
    times = [item["time"] for item in items]
    assert times == sorted(times, reverse=True)
    one_row = [i["metric"] for i in items if (i["time"], i["datasourceId"]) == _row(items[0])]
    assert one_row == sorted(one_row)
    assert times[-1] == "2026-11-19T14:00:00.000Z"


def _row(item: dict[str, str]) -> tuple[str, str]:
    return item["time"], item["datasourceId"]


def test_an_empty_answer_has_no_locations(client: Client) -> None:
    answer = client.recent("hour", startTime="2026-11-20T13:00:00Z").json
    assert answer["data"] == []
    assert "locations" not in answer
    assert TOKEN not in client.recent("hour").headers


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_continuations_bring_every_arrival_once(client: Client, frequency: Frequency) -> None:
    """Late points included; those that came too late for the cache are left to reports."""
    clock = client.sandbox.clock
    had = _default_truth(client, frequency)
    token = client.recent(frequency, replyWithContinuationToken=True).headers[TOKEN]
    brought = 0
    for hours in (1, 5, 0, 23.9, 24, 2):
        clock.advance(hours * 3600)
        reply = client.go_on(token)
        token = reply.headers[TOKEN]
        news, now_have = facts_of_long(reply.json), _default_truth(client, frequency)
        arrived = now_have.keys() - had.keys()
        too_late = arrived - news.keys()
        assert news == {key: now_have[key] for key in arrived - too_late}
        assert all(
            clock.now() - datetime.fromisoformat(key[1]) > CACHE[frequency] for key in too_late
        )
        brought += len(news)
        had = now_have
    assert brought


def _default_truth(client: Client, frequency: Frequency) -> dict[Key, Facts]:
    now = client.sandbox.clock.now()
    truth = facts_of_truth(
        client.sandbox.world.truth(frequency, now - CACHE[frequency] * 2, now, now)
    )
    return {key: facts for key, facts in truth.items() if "pm10ConcMassNowcast" not in key[2]}


def test_a_csv_token_answers_csv(client: Client) -> None:
    reply = client.recent("hour", format="csv-wide", replyWithContinuationToken=True)
    client.sandbox.clock.advance(7200)
    news = client.go_on(reply.headers[TOKEN])
    assert news.headers["Content-Type"].startswith("text/csv")
    assert facts_of_csv(news.body.decode())


def test_tokens_last_a_day_and_cannot_be_forged(client: Client) -> None:
    token = client.recent("hour", replyWithContinuationToken=True).headers[TOKEN]
    assert client.go_on("x" + token).status == 400
    client.sandbox.clock.advance(86_400)
    assert client.go_on(token).status == 200
    client.sandbox.clock.advance(0.001)
    assert client.go_on(token).status == 400


def test_a_restarted_sandbox_honours_tokens(client: Client) -> None:
    token = client.recent("hour", replyWithContinuationToken=True).headers[TOKEN]
    later = "2026-11-20T15:07:00Z"
    with Sandbox(seed=7, datasources=8, now=later, frozen=True) as again:
        assert Client(again).go_on(token).json["data"]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_report_is_the_truth_of_its_instant(client: Client, frequency: Frequency) -> None:
    start, end = "2026-11-17", "2026-11-21"
    truth = facts_of_truth(client.sandbox.world.truth(frequency, start, end, NOW))
    text = client.report(frequency, start, end, qcAssessment=True, qcFlags=True)
    default = {key: facts for key, facts in truth.items() if "pm10ConcMassNowcast" not in key[2]}
    assert facts_of_csv(text) == default
    keys = [(line.split(",")[4], line.split(",")[0]) for line in text.splitlines()[1:]]
    assert keys == sorted(set(keys))


def test_the_columns_of_an_hourly_report(client: Client) -> None:
    header = client.report("hour", "2026-11-19", "2026-11-20").splitlines()[0].split(",")
    known = [name for name in header if not name.startswith("uvIndex")]
    assert len(known) == 110
    assert known[:9] == [
        *("datasourceId", "sourceId", "sourceType", "outputFrequency"),
        *("startOfPeriod", "endOfPeriod", "locationLatitude", "locationLongitude"),
        "atmPressure1HourMean.raw",
    ]
    with_qc = client.report("minute", "2026-11-20", "2026-11-21", qcAssessment=True, qcFlags=True)
    known = [n for n in with_qc.splitlines()[0].split(",") if not n.startswith("uvIndex")]
    assert len(known) == 122


def test_a_report_takes_its_time_and_its_link_runs_out() -> None:
    with Sandbox(datasources=3, now=NOW, frozen=True, report_seconds=30, url_seconds=60) as sandbox:
        client = Client(sandbox)
        record = client.order("hour", "2026-11-19", "2026-12-01").json
        assert (record["reportStatus"], record["urls"]) == ("in-progress", [])
        assert "org" not in record["query"]
        assert len(record["query"]["datasourceIds"]) == 3
        sandbox.clock.advance(29.999)
        assert client.poll(record["reportId"])["reportStatus"] == "in-progress"
        sandbox.clock.advance(0.001)
        url = client.poll(record["reportId"])["urls"][0]
        assert fetch(url).status == 200
        sandbox.clock.advance(60)
        gone = fetch(url)
        assert gone.status == 403
        assert b"AccessDenied" in gone.body
        assert fetch(client.poll(record["reportId"])["urls"][0]).status == 200
        assert fetch(url.replace("Signature=", "Signature=0")).status == 403


def test_the_quota_is_thirty_a_day(client: Client) -> None:
    statuses = [client.order("hour", "2026-11-19", "2026-11-20").status for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    client.sandbox.clock.set("2026-11-21T00:00:00Z")
    assert client.order("hour", "2026-11-19", "2026-11-20").status == 200


def test_the_key_has_no_business_at_the_files_host(client: Client) -> None:
    report_id = client.order("hour", "2026-11-19", "2026-11-20").json["reportId"]
    url = client.poll(report_id)["urls"][0]
    assert fetch(url, headers={"x-api-key": "anything"}).status == 400
    assert [entry["leak"] for entry in client.sandbox.requests] == [False, False, True]


@pytest.mark.parametrize("path", DATA_PATHS)
def test_a_wrong_key_and_a_wrong_org_are_told_apart(client: Client, path: str) -> None:
    refused = client.get(path, key="wrong")
    assert (refused.status, refused.json) == (401, {"message": ["Unauthorized user"]})
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
def test_bad_parameters_are_refused(client: Client, body: dict[str, object]) -> None:
    assert client.recent(str(body.pop("outputFrequency", "hour")), **body).status == 400


def test_bad_reports_are_refused_and_cost_nothing(client: Client) -> None:
    assert client.order("hour", "2026-11-20", "2026-11-20").status == 400
    assert client.order("hour", "2026-11-20", "2026-11-21", report="other").status == 400
    foreign = {"allDatasources": False, "datasourceIds": ["DXXXX0000"]}
    assert client.order("hour", "2026-11-20", "2026-11-21", **foreign).status == 403
    assert client.order("hour", "2026-11-20", "2027-11-21").status == 200
    assert client.get("/v2/nothing").status == 404
    assert client.get("/v2/report-requests/JB00000000").status == 404


def test_datasources_are_the_truth(client: Client) -> None:
    answer = client.get("/v2/datasources").json
    ids = [each["datasourceId"] for each in answer["datasources"]]
    told = list(client.sandbox.world.resource("datasources", NOW))
    assert [each["datasource_id"] for each in told] == ids
    assert sum(each["currentSourceId"] is None for each in answer["datasources"]) == 1
    for datasource_id, truth in zip(
        ids, client.sandbox.world.resource("datasource_details", NOW), strict=True
    ):
        details = client.get(f"/v2/datasources/{datasource_id}").json
        assert details["request"] == {"datasourceId": datasource_id, "org": client.sandbox.org}
        assert details["datasource"]["currentSourceId"] == truth["current_source_id"]
    assert client.get("/v2/datasources/DXXXX0000").status == 404


def test_a_body_must_be_an_object_and_a_token_a_string(client: Client) -> None:
    path = "/v2/recent-datasource-measurements-query"
    assert client.post(path, ["org"]).status == 400
    assert client.send("POST", path, b"{not json", None).status == 400
    assert client.post("/v2/recent-datasource-measurements-continuation", {}).status == 400
    assert client.order("hour", "2026-11-19", None).status == 400  # type: ignore[arg-type]
    assert client.recent("hour", qcFlags="perhaps").status == 400


def test_coordinates_are_rounded_on_request(client: Client) -> None:
    places = client.recent("hour", locationRounding=2).json["locations"]
    assert all(round(place["lat"], 2) == place["lat"] for place in places)
    assert client.recent("hour", locationRounding=-1).status == 400


def test_qc_flags_are_a_list_in_json_and_json_in_csv(client: Client) -> None:
    asked = {"startTime": "2020-01-01", "qcAssessment": True, "qcFlags": True}
    items = client.recent("minute", **asked).json["data"]
    flagged = next(each for each in items if each["qcFlags"])
    assert flagged["qcAssessment"] == "invalid"
    assert all(each["qcAssessment"] == "valid" for each in items if not each["qcFlags"])
    text = client.recent("minute", format="csv-wide", **asked).body.decode()
    assert '"[""QC.I.OOB.001' in text
    assert ",valid,[]," in text


def test_a_large_report_is_in_progress_until_it_is_written(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_PATIENCE", 0)
    record = client.order("minute", "2026-11-10", "2026-11-20").json
    assert record["reportStatus"] == "in-progress"
    monkeypatch.setattr(reports, "_PATIENCE", 10)
    assert client.poll(record["reportId"])["reportStatus"] == "succeeded"


def test_the_old_days_knew_another_status(client: Client) -> None:
    told = client.sandbox.world.truth("day", "2023-07-01", "2023-07-03", NOW)
    old = {each.status for each in told if each.metric.startswith("pm1Conc")}
    assert "calibration-unknown" in old


@pytest.mark.parametrize(
    ("answered", "content"), [("json-long", "application/json"), ("csv-wide", "text/csv")]
)
def test_recent_answers_may_all_come_in_one_format(answered: Format, content: str) -> None:
    with Sandbox(seed=7, datasources=2, now=NOW, frozen=True, recent_format=answered) as sandbox:
        client = Client(sandbox)
        for asked in ("json-long", "csv-wide"):
            answer = client.recent("hour", format=asked, replyWithContinuationToken=True)
            more = client.go_on(answer.headers[TOKEN])
            for each in (answer, more):
                assert each.headers["Content-Type"] == f"{content}; charset=utf-8"
                assert each.body.startswith(b"{") == (answered == "json-long")
