"""Faults to order: each does what it says, to whom it says, as often as it says."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import time
import zlib
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import IncompleteRead
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlsplit

import pytest

from tap_clarity.sandbox.behavior.parameters import MEANINGS
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.cli import main
from tap_clarity.sandbox.testing.faults import KINDS, UNKNOWN_KINDS, parse
from tests.support.sandbox_client import Client, facts_of_csv, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = ("2026-11-19", "2026-11-20")
LIST = "/v2/datasources"


def _url(client: Client) -> str:
    report_id = client.order("hour", *DAY).json["reportId"]
    url: str = client.poll(report_id)["urls"][0]
    return url


@contextmanager
def _raw(url: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """Get without any help: the caller sees the bytes as they come."""
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.netloc, timeout=5)) as connection:
        connection.request("GET", f"{place.path}?{place.query}", headers=headers)
        with connection.getresponse() as answer:
            yield answer


def _list(client: Client) -> AbstractContextManager[http.client.HTTPResponse]:
    sandbox = client.sandbox
    return _raw(f"{sandbox.url}{LIST}?org={sandbox.org}", **{"x-api-key": sandbox.api_key})


def test_a_status_with_headers_and_body_for_the_next_requests(client: Client) -> None:
    order = {"status": 429, "headers": {"Retry-After": "7"}, "body": "slow down", "times": 2}
    client.sandbox.faults.order("status", path="/v2/data*", method="GET", **order)
    assert client.get("/v2/subscriptions").status == 200
    first, second, third = (client.get(LIST) for _ in range(3))
    assert (first.status, first.headers["Retry-After"], first.body) == (429, "7", b"slow down")
    assert (second.status, third.status) == (429, 200)
    assert [entry["fault"] for entry in client.sandbox.requests] == [
        *(None, "status", "status", None)
    ]


def test_the_method_counts(client: Client) -> None:
    client.sandbox.faults.order("status", method="POST")
    assert client.get(LIST).status == 200
    assert client.recent("hour").status == 503


def test_a_text_in_the_body_counts(client: Client) -> None:
    client.sandbox.faults.order("status", contains="2026-11-19T")
    assert client.get(LIST).status == 200
    assert client.order("hour", *DAY).status == 200
    window = ("2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z")
    assert [client.order("hour", *window).status for _ in range(2)] == [503, 200]


def test_a_probability_is_drawn_from_a_seed(client: Client) -> None:
    def fates(seed: int) -> list[int]:
        client.sandbox.faults.clear()
        client.sandbox.faults.order("status", probability=0.4, seed=seed)
        return [client.get(LIST).status for _ in range(40)]

    one = fates(1)
    assert one == fates(1) != fates(2)
    assert 5 < one.count(503) < 30


def test_html_and_garbage_with_status_200(client: Client) -> None:
    client.sandbox.faults.order("html")
    client.sandbox.faults.order("garbage")
    html, garbage = client.get(LIST), client.get(LIST)
    assert (html.status, garbage.status) == (200, 200)
    assert html.body.startswith(b"<!DOCTYPE html>")
    with pytest.raises(ValueError, match="codec"):
        json.loads(garbage.body)


def test_a_failed_report_stays_failed(client: Client) -> None:
    client.sandbox.faults.order("failed-report", path="/v2/report-requests", message="too large")
    report_id = client.order("hour", *DAY).json["reportId"]
    assert [client.poll(report_id)["reportStatus"] for _ in range(2)] == ["failed", "failed"]
    assert client.poll(report_id)["message"] == "too large"
    second = client.order("hour", *DAY).json["reportId"]
    client.sandbox.faults.order("failed-report", path="/v2/report-requests/*")
    assert client.poll(second)["reportStatus"] == "failed"
    client.sandbox.faults.order("failed-report")
    assert client.order("hour", "soon", "later").status == 400


def test_an_expired_link(client: Client) -> None:
    url = _url(client)
    client.sandbox.faults.order("expired-link", path="/files/*")
    assert b"<Code>AccessDenied</Code>" in fetch(url).body
    assert fetch(url).status == 200


def test_a_dropped_request_has_taken_effect(client: Client) -> None:
    client.sandbox.faults.order("drop", path="/v2/report-requests")
    with pytest.raises((ConnectionResetError, URLError)):
        client.order("hour", *DAY)
    statuses = [client.order("hour", *DAY).status for _ in range(30)]
    assert statuses == [200] * 29 + [429]


def test_a_connection_cut_inside_the_body(client: Client) -> None:
    client.sandbox.faults.order("cut", path=LIST)
    with _list(client) as answer, pytest.raises((ConnectionResetError, IncompleteRead)):
        answer.read()


def test_a_truncated_body_with_an_honest_and_a_lying_length(client: Client) -> None:
    with _list(client) as answer:
        whole = answer.read()
    client.sandbox.faults.order("truncate", path=LIST, at=0.25)
    with _list(client) as honest:
        assert honest.length == len(whole) // 4
        assert honest.read() == whole[: len(whole) // 4]
    client.sandbox.faults.order("truncate-lying", path=LIST, at=0.25)
    with _list(client) as lying:
        assert lying.length == len(whole)
        with pytest.raises(IncompleteRead) as caught:
            lying.read()
    assert caught.value.partial == whole[: len(whole) // 4]


@pytest.mark.parametrize("kind", ["stall", "stall-inside", "drip"])
def test_slow_answers_are_whole(client: Client, kind: str) -> None:
    whole = client.get(LIST).body
    client.sandbox.faults.order(kind, path=LIST, seconds=0.2)
    began = time.monotonic()
    assert client.get(LIST).body == whole
    assert time.monotonic() - began > 0.1


def test_streamed_answers_can_be_struck_too(client: Client) -> None:
    whole = client.recent("hour", format="csv-wide").body
    client.sandbox.faults.order("drip", seconds=0.01)
    assert client.recent("hour", format="csv-wide").body == whole
    client.sandbox.faults.order("truncate")
    with pytest.raises((EOFError, zlib.error)):
        client.recent("hour", format="csv-wide")


@pytest.mark.parametrize("kind", ["cut-gzip", "flip-byte"])
def test_a_file_with_damaged_bytes(client: Client, kind: str) -> None:
    url = _url(client)
    client.sandbox.faults.order(kind, path="/files/*")
    with _raw(url) as answer:
        length = answer.length
        body = answer.read()
    assert length == len(body)
    with pytest.raises((EOFError, zlib.error, gzip.BadGzipFile)):
        gzip.decompress(body)


def _rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["row-width", "row-twice", "row-outside", "row-not-a-number"])
def test_a_file_with_one_bad_row(client: Client, kind: str, at: float) -> None:
    url = _url(client)
    good = _rows(fetch(url).body.decode())
    client.sandbox.faults.order(kind, path="/files/*", at=at)
    bad = _rows(fetch(url).body.decode())
    assert bad[0] == good[0]
    if kind == "row-twice":
        assert len(bad) == len(good) + 1
        assert sum(row == after for row, after in pairwise(bad)) == 1
        return
    ((was, now),) = [(g, b) for g, b in zip(good, bad, strict=True) if g != b]
    assert (len(now) == len(was) - 1) == (kind == "row-width")
    assert now[4].startswith("1999") == (kind == "row-outside")
    assert ("one" in now) == (kind == "row-not-a-number")
    assert facts_of_csv(fetch(url).body.decode())


def test_file_faults_leave_errors_and_empty_files_alone(client: Client) -> None:
    client.sandbox.faults.order("row-width", path="/files/*", times=2)
    assert fetch(f"{client.sandbox.url}/files/historical/JB0/JB0.csv.gz").status == 403
    report_id = client.order("hour", "2030-01-01", "2030-01-02").json["reportId"]
    assert len(_rows(fetch(client.poll(report_id)["urls"][0]).body.decode())) == 1


def test_orders_over_http(client: Client) -> None:
    ordered = client.post("/_sandbox/faults", {"kind": "status", "path": LIST, "status": 500}).json
    assert [(each["kind"], each["times"]) for each in ordered] == [("status", 1)]
    assert client.get(LIST).status == 500
    assert client.get("/_sandbox/faults").json[0]["times"] == 0
    assert client.send("DELETE", "/_sandbox/faults", None, None).json == []
    wrong: list[object] = [{"kind": "plague"}, {"kind": "cut", "at": 2}, {"kind": "cut", "x": 1}, 1]
    assert [client.post("/_sandbox/faults", each).status for each in wrong] == [400] * 4


def test_orders_on_the_command_line() -> None:
    fault = parse("status path=/v2/* method=GET times=3 status=429 'Retry-After: 5' at=0.1")
    assert (fault.kind, fault.path, fault.method, fault.times) == ("status", "/v2/*", "GET", 3)
    assert (fault.status, fault.headers, fault.at) == (429, {"Retry-After": "5"}, 0.1)
    assert parse("cut probability=0.5 seed=2").times is None
    for wrong in ("", "plague", "cut colour=red", "cut sideways", "cut times=many"):
        with pytest.raises(ValueError, match=r"."):
            parse(wrong)


def test_every_kind_is_described_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name, kind in (KINDS | UNKNOWN_KINDS).items():
        assert f"{name} " in shown
        assert kind.says in shown
    for quirk in Quirk:
        assert f"{quirk.number:>2} {quirk.label} " in shown
    for unknown in Unknown:
        assert f"  {unknown.label} " in shown
    for name in MEANINGS:
        assert f"  {name} " in shown
