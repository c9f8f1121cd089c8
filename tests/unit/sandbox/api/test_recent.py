"""Recent measurements and continuations return the expected data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
    Key,
    Values,
    default_values,
    values_of_csv,
    values_of_json_long,
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


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_both_formats_return_the_expected_data(client: Client, frequency: Frequency) -> None:
    start = CACHE_STARTS[frequency]
    expected = default_values(client.sandbox.expected.measurements(frequency, start, NOW, NOW))
    with_early_start = client.recent(frequency, startTime="2020-01-01", format="csv-wide")
    assert values_of_csv(with_early_start.body.decode()) == expected
    long = client.recent(frequency, startTime=start).json
    assert values_of_json_long(long) == expected
    assert {each["datasourceId"] for each in long["locations"]} == {key[0] for key in expected}


def test_rows_are_newest_first_and_metrics_sorted_by_name(client: Client) -> None:
    items = client.recent("hour").json["data"]
    times = [item["time"] for item in items]
    assert times == sorted(times, reverse=True)
    one_row = [i["metric"] for i in items if (i["time"], i["datasourceId"]) == _row(items[0])]
    assert one_row == sorted(one_row)
    assert times[-1] == "2026-11-19T14:00:00.000Z"


def _row(item: dict[str, str]) -> tuple[str, str]:
    return item["time"], item["datasourceId"]


def test_an_empty_response_has_no_locations(client: Client) -> None:
    response = client.recent("hour", startTime="2026-11-20T13:00:00Z").json
    assert response["data"] == []
    assert "locations" not in response
    assert TOKEN not in client.recent("hour").headers


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_continuations_return_every_arrival_once(client: Client, frequency: Frequency) -> None:
    """Late rows included, except those that arrived too late for the cache."""
    clock = client.sandbox.clock
    known = _expected(client, frequency)
    token = client.recent(frequency, replyWithContinuationToken=True).headers[TOKEN]
    count = 0
    for hours in (1, 5, 0, 23.9, 24, 2):
        clock.advance(hours * 3600)
        response = client.continue_recent(token)
        token = response.headers[TOKEN]
        news, expected = values_of_json_long(response.json), _expected(client, frequency)
        arrived = expected.keys() - known.keys()
        too_late = arrived - news.keys()
        assert news == {key: expected[key] for key in arrived - too_late}
        assert all(
            clock.now() - datetime.fromisoformat(key[1]) > CACHE[frequency] for key in too_late
        )
        count += len(news)
        known = expected
    assert count


def _expected(client: Client, frequency: Frequency) -> dict[Key, Values]:
    now = client.sandbox.clock.now()
    start = now - CACHE[frequency] * 2
    return default_values(client.sandbox.expected.measurements(frequency, start, now, now))


def test_a_continuation_keeps_the_format_of_its_query(client: Client) -> None:
    response = client.recent("hour", format="csv-wide", replyWithContinuationToken=True)
    client.sandbox.clock.advance(7200)
    news = client.continue_recent(response.headers[TOKEN])
    assert news.headers["Content-Type"].startswith("text/csv")
    assert values_of_csv(news.body.decode())


def test_tokens_last_a_day_and_cannot_be_forged(client: Client) -> None:
    token = client.recent("hour", replyWithContinuationToken=True).headers[TOKEN]
    assert client.continue_recent("x" + token).status == 400
    client.sandbox.clock.advance(86_400)
    assert client.continue_recent(token).status == 200
    client.sandbox.clock.advance(0.001)
    assert client.continue_recent(token).status == 400


def test_tokens_are_valid_after_a_restart(client: Client) -> None:
    token = client.recent("hour", replyWithContinuationToken=True).headers[TOKEN]
    later = "2026-11-20T15:07:00Z"
    with Sandbox(seed=7, datasources=8, now=later, frozen=True) as again:
        assert Client(again).continue_recent(token).json["data"]


def test_coordinates_are_rounded_on_request(client: Client) -> None:
    places = client.recent("hour", locationRounding=2).json["locations"]
    assert all(round(place["lat"], 2) == place["lat"] for place in places)
    assert client.recent("hour", locationRounding=-1).status == 400


def test_qc_flags_are_a_list_in_json_and_json_in_csv(client: Client) -> None:
    requested = {"startTime": "2020-01-01", "qcAssessment": True, "qcFlags": True}
    items = client.recent("minute", **requested).json["data"]
    flagged = next(each for each in items if each["qcFlags"])
    assert flagged["qcAssessment"] == "invalid"
    assert all(each["qcAssessment"] == "valid" for each in items if not each["qcFlags"])
    text = client.recent("minute", format="csv-wide", **requested).body.decode()
    assert '"[""QC.I.OOB.001' in text
    assert ",valid,[]," in text


@pytest.mark.parametrize(
    ("served", "content"), [("json-long", "application/json"), ("csv-wide", "text/csv")]
)
def test_the_format_of_all_responses_can_be_forced(served: Format, content: str) -> None:
    with Sandbox(seed=7, datasources=2, now=NOW, frozen=True, recent_format=served) as sandbox:
        client = Client(sandbox)
        for requested in ("json-long", "csv-wide"):
            response = client.recent("hour", format=requested, replyWithContinuationToken=True)
            more = client.continue_recent(response.headers[TOKEN])
            for each in (response, more):
                assert each.headers["Content-Type"] == f"{content}; charset=utf-8"
                assert each.body.startswith(b"{") == (served == "json-long")
