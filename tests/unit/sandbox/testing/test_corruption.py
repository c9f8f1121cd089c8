"""Faults that corrupt files."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from itertools import pairwise
from typing import Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, fetch, open_raw, values_of_csv

DAY = ("2026-11-19", "2026-11-20")


def _url(client: Client) -> str:
    report_id = client.request_report("hour", *DAY).json["reportId"]
    url: str = client.poll(report_id)["urls"][0]
    return url


@pytest.mark.parametrize("kind", ["cut-gzip", "flip-byte"])
def test_a_file_with_damaged_bytes(client: Client, kind: str) -> None:
    url = _url(client)
    client.sandbox.faults.inject(kind, path="/files/*")
    with open_raw(url) as response:
        length = response.length
        body = response.read()
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
    client.sandbox.faults.inject(kind, path="/files/*", at=at)
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
    assert values_of_csv(fetch(url).body.decode())


def test_file_faults_do_not_change_errors_and_empty_files(client: Client) -> None:
    client.sandbox.faults.inject("row-width", path="/files/*", times=2)
    assert fetch(f"{client.sandbox.url}/files/historical/JB0/JB0.csv.gz").status == 403
    report_id = client.request_report("hour", "2030-01-01", "2030-01-02").json["reportId"]
    assert len(_rows(fetch(client.poll(report_id)["urls"][0]).body.decode())) == 1


@pytest.mark.parametrize("as_", ["declared", "none"])
def test_a_part_of_a_file(as_: Any) -> None:  # noqa: ANN401
    with Sandbox(
        seed=7, datasources=4, now=NOW, frozen=True, report_seconds=0, gzip=as_
    ) as sandbox:
        client = Client(sandbox)
        url = client.poll(client.request_report("hour", *DAY).json["reportId"])["urls"][0]
        whole = values_of_csv(fetch(url).body.decode())
        sandbox.faults.inject("partial-content", path="/files/*")
        response = fetch(url)
        part = values_of_csv(response.body.decode())
        assert response.status == 206
        assert part.items() < whole.items()
        sent = gzip.compress(response.body, mtime=0) if as_ == "declared" else response.body
        assert response.headers["Content-Range"].startswith(f"bytes 0-{len(sent) - 1}/")
        assert values_of_csv(fetch(url).body.decode()) == whole


def _turn_on(client: Client, *labels: str, **parameters: Any) -> None:  # noqa: ANN401
    client.sandbox.switches.set(**parameters)
    client.sandbox.switches.turn_on(*labels)


def test_row_faults_work_with_other_column_names(client: Client) -> None:
    _turn_on(client, "english-labels", "crlf-lines")
    record = client.poll(client.request_report("hour", *DAY).json["reportId"])
    client.sandbox.faults.inject("row-not-a-number", path="/files/*")
    client.sandbox.faults.inject("row-outside", path="/files/*")
    assert b",one," in fetch(record["urls"][0]).body
    assert b"1999-" in fetch(record["urls"][0]).body
