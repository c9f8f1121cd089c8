"""Unknowns of the life cycle of reports, as quirks and as faults."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, fetch, values_of_csv, values_of_measurements

if TYPE_CHECKING:
    from collections.abc import Iterator


DAY = ("2026-11-19", "2026-11-20")
EMPTY = ("2026-10-01", "2026-10-02")
POLLS = "/v2/report-requests/*"


@pytest.fixture
def young() -> Iterator[Client]:
    """A client of a service whose measurements begin in November."""
    parameters = {"data_from": "2026-11-01"}
    with Sandbox(
        seed=7, datasources=4, now=NOW, frozen=True, report_seconds=0, parameters=parameters
    ) as sandbox:
        yield Client(sandbox)


def _record(client: Client, window: tuple[str, str] = DAY) -> dict[str, Any]:
    return client.poll(client.request_report("hour", *window).json["reportId"])


def _file(record: dict[str, Any]) -> bytes:
    return fetch(record["urls"][0]).body


def test_never_ending_reports(client: Client) -> None:
    client.sandbox.switches.turn_on("never-ending-reports")
    report_id = client.request_report("hour", *DAY).json["reportId"]
    client.sandbox.clock.advance(timedelta(days=9))
    record = client.poll(report_id)
    assert (record["reportStatus"], record["urls"]) == ("in-progress", [])


def test_one_never_ending_report(client: Client) -> None:
    client.sandbox.faults.inject("never-ending-report", path="/v2/report-requests")
    stuck, other = (
        client.request_report("hour", *DAY).json,
        client.request_report("hour", *DAY).json,
    )
    assert stuck["reportStatus"] == "in-progress"
    client.sandbox.clock.advance(timedelta(days=9))
    assert client.poll(stuck["reportId"])["reportStatus"] == "in-progress"
    assert client.poll(other["reportId"])["reportStatus"] == "succeeded"


@pytest.mark.parametrize("word", ["cancelled", "CANCELED", "expired", "queued", "see ticket 7"])
def test_an_unknown_status(client: Client, word: str) -> None:
    client.sandbox.switches.set(report_end_status=word)
    client.sandbox.switches.turn_on("other-end-status")
    assert (_record(client)["reportStatus"], _record(client)["urls"]) == (word, [])
    client.sandbox.switches.turn_off("unknowns")
    client.sandbox.faults.inject("report-status", path=POLLS, word=word)
    report_id = client.request_report("hour", *DAY).json["reportId"]
    assert [client.poll(report_id)["reportStatus"] for _ in range(2)] == [word, word]


@pytest.mark.parametrize(
    ("quirks", "words"),
    [
        ({"status-letter-case"}, ["In-Progress", "In-Progress", "SUCCEEDED"]),
        ({"status-synonyms"}, ["queued", "pending", "completed"]),
        ({"status-synonyms", "status-letter-case"}, ["Queued", "Pending", "COMPLETED"]),
    ],
)
def test_other_words_for_the_statuses(quirks: set[str], words: list[str]) -> None:
    with Sandbox(seed=7, datasources=2, now=NOW, frozen=True, quirks=quirks) as sandbox:
        client = Client(sandbox)
        found = [client.request_report("hour", *DAY).json]
        for seconds in (15, 10):
            sandbox.clock.advance(seconds)
            found.append(client.poll(found[0]["reportId"]))
        assert [each["reportStatus"] for each in found] == words
        assert values_of_csv(_file(found[-1]).decode())


@pytest.mark.parametrize(
    ("form", "shown"), [("missing", "absent"), ("list", []), ("null", None), ("text", "none")]
)
def test_success_without_urls(client: Client, form: str, shown: object) -> None:
    client.sandbox.switches.set(no_urls_as=form, polls_without_urls=3)
    client.sandbox.switches.turn_on("no-urls")
    assert _record(client).get("urls", "absent") == shown
    client.sandbox.switches.turn_off("no-urls")
    client.sandbox.switches.turn_on("no-urls-at-first")
    report_id = client.request_report("hour", *DAY).json["reportId"]
    polls = [client.poll(report_id).get("urls", "absent") for _ in range(3)]
    assert polls[:2] == [shown, shown]
    assert len(polls[2]) == 1
    client.sandbox.switches.turn_off("unknowns")
    client.sandbox.faults.inject("report-without-urls", path=POLLS, word=form)
    report_id = client.request_report("hour", *DAY).json["reportId"]
    assert [client.poll(report_id).get("urls", "absent") for _ in range(2)] == [shown, shown]
    client.sandbox.faults.inject("poll-without-urls", path=POLLS, word=form)
    report_id = client.request_report("hour", *DAY).json["reportId"]
    assert client.poll(report_id).get("urls", "absent") == shown
    assert client.poll(report_id)["urls"]


def test_the_first_report_of_a_window_has_no_urls(client: Client) -> None:
    client.sandbox.switches.turn_on("no-urls-in-first-report")
    first, second, other = _record(client), _record(client), _record(client, EMPTY)
    assert "urls" not in first
    assert second["urls"]
    assert "urls" not in other
    ids = client.sandbox.expected.node_ids(NOW)
    nodes = client.request_report("hour", *DAY, report="node-measurements", nodeIds=ids)
    assert "urls" not in client.poll(nodes.json["reportId"])


def test_windows_without_data_fail(young: Client) -> None:
    young.sandbox.switches.turn_on("empty-window-failed")
    record = _record(young, EMPTY)
    assert (record["reportStatus"], record["message"]) == ("failed", "No measurements found")
    assert _record(young)["reportStatus"] == "succeeded"


def test_windows_without_data_are_rejected(young: Client) -> None:
    young.sandbox.switches.turn_on("empty-window-rejected")
    response = young.request_report("hour", *EMPTY)
    assert (response.status, response.json) == (400, {"message": ["No measurements found"]})
    assert young.request_report("hour", *DAY).status == 200


def test_windows_without_data_have_no_urls(young: Client) -> None:
    young.sandbox.switches.turn_on("empty-window-no-urls")
    assert "urls" not in _record(young, EMPTY)
    assert _record(young)["urls"]


@pytest.mark.parametrize(
    ("form", "body"),
    [("nothing", b""), ("newline", b"\n"), ("quotes", b'""'), ("id-column", b"datasourceId")],
)
def test_windows_without_data_are_blank_files(young: Client, form: str, body: bytes) -> None:
    young.sandbox.switches.set(blank_file_as=form)
    young.sandbox.switches.turn_on("empty-window-blank-file")
    assert _file(_record(young, EMPTY)) == body
    record = _record(young)
    assert values_of_csv(_file(record).decode())
    young.sandbox.faults.inject("blank-file", path="/files/*", word=body.decode())
    assert _file(record) == body
    assert values_of_csv(_file(record).decode())


def test_without_the_quirks_a_window_without_data_is_a_header(young: Client) -> None:
    assert _file(_record(young, EMPTY)).count(b"\n") == 1
    data = young.sandbox.expected
    assert not list(data.measurements("hour", *EMPTY, NOW))
    later = ("2026-10-31T20:00:00Z", "2026-11-01T04:00:00Z")
    expected = values_of_measurements(data.measurements("hour", *later, NOW))
    assert {key[1][:10] for key in expected} == {"2026-11-01"}
    found = values_of_csv(young.report("hour", *later, metricSelect="all"))
    assert found == expected


def test_a_forgotten_report(client: Client) -> None:
    client.sandbox.switches.set(report_kept_hours=4)
    client.sandbox.switches.turn_on("forgotten-reports")
    report_id = client.request_report("hour", *DAY).json["reportId"]
    path = f"/v2/report-requests/{report_id}"
    client.sandbox.clock.advance(4 * 3600 - 1)
    assert client.get(path).status == 200
    client.sandbox.clock.advance(1)
    assert client.get(path).status == 404
    client.sandbox.switches.turn_off("forgotten-reports")
    client.sandbox.faults.inject("forgotten-report", path=POLLS)
    assert [client.get(path).status for _ in range(2)] == [404, 404]


@pytest.mark.parametrize("status", [403, 404])
def test_purged_files(client: Client, status: int) -> None:
    client.sandbox.switches.set(purged_status=status, file_kept_hours=2)
    client.sandbox.switches.turn_on("purged-files")
    report_id = client.request_report("hour", *DAY).json["reportId"]
    assert fetch(client.poll(report_id)["urls"][0]).status == 200
    client.sandbox.clock.advance(7199)
    assert fetch(client.poll(report_id)["urls"][0]).status == 200
    client.sandbox.clock.advance(1)
    assert fetch(client.poll(report_id)["urls"][0]).status == status
    client.sandbox.switches.turn_off("purged-files")
    client.sandbox.faults.inject("purged-files", path=POLLS, status=status)
    assert [fetch(client.poll(report_id)["urls"][0]).status for _ in range(2)] == [status] * 2


def test_a_clipped_start(client: Client) -> None:
    client.sandbox.switches.set(retention_days=2)
    client.sandbox.switches.turn_on("clipped-start")
    record = _record(client, ("2026-11-10", "2026-11-20"))
    assert record["query"]["startTime"] == "2026-11-18T13:07:00.000Z"
    times = {key[1] for key in values_of_csv(_file(record).decode())}
    assert (min(times), max(times)) == ("2026-11-18T14:00:00.000Z", "2026-11-19T23:00:00.000Z")
    before = _record(client, ("2026-11-10", "2026-11-12"))
    assert before["query"]["startTime"] == before["query"]["endTime"] == "2026-11-12T00:00:00.000Z"
    assert not values_of_csv(_file(before).decode())


def test_a_clipped_range(client: Client) -> None:
    client.sandbox.switches.set(max_range_days=1.5)
    client.sandbox.switches.turn_on("clipped-range")
    record = _record(client, ("2026-11-10", "2026-11-20"))
    assert record["query"]["startTime"] == "2026-11-10T00:00:00.000Z"
    assert record["query"]["endTime"] == "2026-11-11T12:00:00.000Z"
    times = {key[1] for key in values_of_csv(_file(record).decode())}
    assert (min(times), max(times)) == ("2026-11-10T00:00:00.000Z", "2026-11-11T11:00:00.000Z")
    client.sandbox.switches.set(range_cut_at="start")
    record = _record(client, ("2026-11-10", "2026-11-20"))
    assert record["query"]["startTime"] == "2026-11-18T12:00:00.000Z"
    assert record["query"]["endTime"] == "2026-11-20T00:00:00.000Z"
    times = {key[1] for key in values_of_csv(_file(record).decode())}
    assert (min(times), max(times)) == ("2026-11-18T12:00:00.000Z", "2026-11-19T23:00:00.000Z")
    assert _record(client)["query"]["startTime"] == "2026-11-19T00:00:00.000Z"


def test_no_echo(client: Client) -> None:
    client.sandbox.switches.turn_on("no-echo")
    assert "query" not in client.request_report("hour", *DAY).json
    assert "query" not in _record(client)


def test_another_frequency(client: Client) -> None:
    client.sandbox.switches.turn_on("other-frequency-echo")
    record = _record(client)
    assert record["query"]["outputFrequency"] == "day"
    assert b"1HourMean" in _file(record)
    client.sandbox.switches.turn_off("other-frequency-echo")
    client.sandbox.switches.turn_on("other-frequency-served")
    record = _record(client)
    assert record["query"]["outputFrequency"] == "day"
    expected = values_of_measurements(client.sandbox.expected.measurements("day", *DAY, NOW))
    assert values_of_csv(_file(record).decode()) == expected


@pytest.mark.parametrize(
    ("quirk", "status"), [("report-request-created", 201), ("report-request-accepted", 202)]
)
def test_report_requests_with_another_2xx_status(client: Client, quirk: str, status: int) -> None:
    client.sandbox.switches.turn_on(quirk)
    response = client.request_report("hour", *DAY)
    assert response.status == status
    assert client.poll(response.json["reportId"])["reportStatus"] == "succeeded"
    client.sandbox.faults.inject("failed-report", path="/v2/report-requests", message="no")
    rejected = client.request_report("hour", *DAY).json
    assert client.poll(rejected["reportId"])["message"] == "no"
