"""The admin API: clock, request log, expected data and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.constants import SANDBOX_NOW as NOW

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client

DAY = ("2026-11-19", "2026-11-20")
LIST = "/v2/datasources"


def test_expected_measurements_over_http(client: Client) -> None:
    start, end, as_of = "2026-11-18", "2026-11-20", "2026-11-20T09:00:00Z"
    expected = list(client.sandbox.expected.measurements("hour", start, end, as_of))
    lines = client.get("/_sandbox/truth", frequency="hour", start=start, end=end, as_of=as_of).lines
    assert len(lines) == len(expected) > 0
    for line, each in zip(lines, expected, strict=True):
        assert line["qc_flags"] == list(each.qc_flags)
        assert line["time"] == each.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        same = ("org", "datasource_id", "source_id", "metric", "raw", "value", "status")
        assert all(line[name] == getattr(each, name) for name in same)


def test_expected_data_of_datasources_and_resources_over_http(client: Client) -> None:
    chosen = client.sandbox.world.datasources[0].datasource_id
    query = {"start": "2026-11-19", "end": "2026-11-20", "datasource_ids": chosen}
    lines = client.get("/_sandbox/truth", frequency="day", **query).lines
    assert {line["datasource_id"] for line in lines} == {chosen}
    expected = list(client.sandbox.expected.records("datasources", client.sandbox.clock.now()))
    assert client.get("/_sandbox/truth/datasources").lines == expected
    assert client.get("/_sandbox/truth/moons").status == 400
    assert client.get("/_sandbox/truth", frequency="week").status == 400
    assert client.get("/_sandbox/truth").status == 400
    assert client.get("/_sandbox/nothing").status == 404


def test_the_clock_is_read_set_and_advanced_over_http(client: Client) -> None:
    assert client.get("/_sandbox/clock").json == {"now": "2026-11-20T13:07:00.000Z", "frozen": True}
    client.post("/_sandbox/clock", {"now": "2026-12-01T00:00:00Z", "advance_seconds": 90})
    assert client.sandbox.clock.now().isoformat() == "2026-12-01T00:01:30+00:00"
    assert client.post("/_sandbox/clock", {"now": "tomorrow"}).status == 400
    assert client.post("/_sandbox/clock", {"frozen": False}).json["frozen"] is False


def test_the_request_log_contains_everything_but_the_key(client: Client) -> None:
    client.recent("hour", format="csv-wide")
    client.get("/v2/nothing")
    first, second = client.get("/_sandbox/requests").json
    assert first["body"]["format"] == "csv-wide"
    assert (first["method"], first["status"], first["at"]) == (
        "POST",
        200,
        "2026-11-20T13:07:00.000Z",
    )
    assert (second["path"], second["query"], second["status"]) == (
        "/v2/nothing",
        {"org": client.sandbox.org},
        404,
    )
    assert client.sandbox.api_key not in str(list(client.sandbox.requests))
    client.send("DELETE", "/_sandbox/requests", None, None)
    assert len(client.sandbox.requests) == 0


def test_expected_measurements_of_sources_over_http(client: Client) -> None:
    ids = ",".join(client.sandbox.expected.reference_site_ids(NOW))
    query = {"frequency": "hour", "start": DAY[0], "end": DAY[1], "source_ids": ids}
    lines = client.get("/_sandbox/truth", **query).lines
    assert {line["source_type"] for line in lines} == {"REFERENCE_SITE"}


def test_faults_over_http(client: Client) -> None:
    ordered = client.post("/_sandbox/faults", {"kind": "status", "path": LIST, "status": 500}).json
    assert [(each["kind"], each["times"]) for each in ordered] == [("status", 1)]
    assert client.get(LIST).status == 500
    assert client.get("/_sandbox/faults").json[0]["times"] == 0
    assert client.send("DELETE", "/_sandbox/faults", None, None).json == []
    wrong: list[object] = [{"kind": "plague"}, {"kind": "cut", "at": 2}, {"kind": "cut", "x": 1}, 1]
    assert [client.post("/_sandbox/faults", each).status for each in wrong] == [400] * 4
