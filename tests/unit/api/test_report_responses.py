"""What is read of a report's record, whatever its shape."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.transport import Transport
from tap_clarity.core.timestamps import Window
from tap_clarity.planning.report_steps import Echo, Report, ReportStatus
from tests.support.constants import NOW
from tests.support.fake_clock import FakeClock
from tests.support.http_server import send_response, serve_http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tap_clarity.api.report_responses import ReportRecord

A, B = "https://files.invalid/a.csv", "https://files.invalid/b.csv"
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
REPORT = Report("JB00000001", WINDOW, WINDOW.end)


class AnsweringHost:
    """A host that answers one document, and a client of it."""

    def __init__(self) -> None:
        self.document: Any = {}

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        send_response(handler, json.dumps(self.document).encode())

    def connect(self, url: str) -> None:
        clock = FakeClock(datetime.fromisoformat(NOW))
        transport = Transport(
            api_url=url, api_key="key", user_agent="test", read_timeout=1, clock=clock
        )
        self._client = ClarityClient(transport, "exampleAB12")

    def poll(self, **record: Any) -> ReportRecord:  # noqa: ANN401
        self.document = {"reportStatus": "succeeded"} | record
        return self._client.poll_report(REPORT)

    def request(self, **record: Any) -> str:  # noqa: ANN401
        self.document = record
        return self._client.request_report({}, WINDOW)


@pytest.fixture
def answering() -> Iterator[AnsweringHost]:
    found = AnsweringHost()
    with serve_http(found.answer) as here:
        found.connect(here.url)
        yield found


@pytest.mark.parametrize(
    ("record", "urls"),
    [
        ({"urls": [A, B]}, (A, B)),
        ({"urls": A}, (A,)),
        ({"urls": {"csv": A}}, (A,)),
        ({"urls": [{"url": A}, {"url": B}]}, (A, B)),
        ({"urls": [], "downloadUrls": [A]}, (A,)),
        ({"url": A}, (A,)),
        # One that is no address is not left out: its file would be missing.
        ({"urls": [A, "b.csv"]}, (A, "b.csv")),
        ({"urls": [], "query": {"callback": A}}, ()),
        # An honest report without rows may name a page of help.
        ({"urls": [], "help": A, "owner": {"site": B}}, ()),
        ({"urls": [{"url": A}], "help": B}, (A,)),
        ({"urls": "none"}, ()),
        ({"urls": None}, ()),
        ({"urls": [A], "reportStatus": "in-progress"}, ()),
    ],
    ids=str,
)
def test_files_are_found_wherever_the_record_names_them(
    answering: AnsweringHost, record: dict[str, Any], urls: tuple[str, ...]
) -> None:
    assert answering.poll(**record).urls == urls


def test_a_long_record_is_read_fast(answering: AnsweringHost) -> None:
    began = time.monotonic()
    assert answering.poll(x=[0] * 300_000, url=A).urls == (A,)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("id_", "read"), [("JB1", "JB1"), (7, "7")])
def test_an_id_may_be_a_number(answering: AnsweringHost, id_: object, read: str) -> None:
    assert answering.request(reportId=id_) == read


@pytest.mark.parametrize(
    ("query", "echo"),
    [
        ({"startTime": "2026-03-01T00:00:00.000Z"}, Echo(start=WINDOW.start)),
        # A date alone would clip the last day.
        ({"startTime": "2026-03-01", "endTime": "2026-03-01"}, Echo()),
        ({"startTime": 1772323200000, "endTime": "soon"}, Echo()),
        ({"outputFrequency": "hour"}, Echo(output_frequency="hour")),
        ([], Echo()),
    ],
    ids=str,
)
def test_the_echo_is_what_is_legible(answering: AnsweringHost, query: object, echo: Echo) -> None:
    assert answering.poll(query=query).echo == echo


def test_a_finished_report_is_complete(answering: AnsweringHost) -> None:
    assert answering.poll(reportStatus="Finished", urls=[A]).status is ReportStatus.SUCCEEDED
