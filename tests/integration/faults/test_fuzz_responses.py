"""Fuzzing of responses: each is read exactly or rejected by a typed error of one line."""

from __future__ import annotations

import functools
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import requests
from hypothesis import assume, example
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.error_mapping import API, FILES, error_message, status_error
from tap_clarity.api.errors import ClarityError, FileError
from tap_clarity.api.listing import Listing
from tap_clarity.api.redaction import Redactor
from tap_clarity.api.response_body import open_decompressed, read_json
from tap_clarity.api.transport import Request, Response, Transport
from tap_clarity.core.timestamps import Window
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.planning.report_steps import Report, ReportStatus
from tests.support.constants import NOW
from tests.support.fake_clock import FakeClock
from tests.support.fuzzing import (
    documents,
    fuzz,
    ids,
    is_storable,
    leaves,
    mutants,
    texts,
    to_json_bytes,
)
from tests.support.http_server import serve_http
from tests.support.measurement_files import DAY_OF_FILE, as_csv, expect, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.server import BaseHTTPRequestHandler

    from tap_clarity.measurements.model import Measurement
    from tests.support.http_server import HttpServer

Json = Any
KEY = "k-canary-8812"
ORG = "exampleAB12"
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
REPORT = Report("JB00000001", WINDOW, WINDOW.end)
LINK = "https://files.invalid/a.csv.gz?X-Amz-Signature=canary"


def connect(url: str = "https://clarity.invalid") -> Transport:
    clock = FakeClock(datetime.fromisoformat(NOW))
    return Transport(api_url=url, api_key=KEY, user_agent="test", read_timeout=1, clock=clock)


def connection_with_response(
    body: bytes, headers: Mapping[str, str] | None = None
) -> ClarityClient:
    """Make a client that is answered without a network."""

    def respond(_: object) -> Response:
        return Response(headers or {}, io.BytesIO(body))

    transport = connect()
    vars(transport).update(_send=respond, _get_file=respond)
    return ClarityClient(transport, ORG)


def result_or_none(call_api: Callable[[], Json]) -> Json:
    """Give what is made of an answer, or None if it is refused as it should be."""
    try:
        with patch("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(0)):
            return call_api()
    except ClarityError as error:
        error_text = str(error)
    assert error_text.isprintable()
    assert len(error_text) < 600
    assert KEY not in error_text
    return None


bodies = st.builds(
    lambda text, compressed: gzip.compress(text) if compressed else text,
    st.builds(to_json_bytes, documents, plain=st.booleans()) | st.binary(max_size=200),
    st.booleans(),
)


@fuzz(document=documents, plain=st.booleans(), compressed=st.booleans())
def test_json_is_read_exactly_or_rejected(document: Json, *, plain: bool, compressed: bool) -> None:
    body = to_json_bytes(document, plain=plain)
    body = gzip.compress(body) if compressed else body
    result = result_or_none(lambda: [read_json(io.BytesIO(body))])
    assert result == ([document] if is_storable(document) else None)


@fuzz(
    st.text("0123456789.eE+-", min_size=1, max_size=30)
    | st.integers(1, 5000).map(lambda length: "9" * length)
)
def test_number_is_read_to_the_last_digit_or_rejected(text: str) -> None:
    result = result_or_none(lambda: read_json(io.BytesIO(b"[%b]" % text.encode())))
    if result is not None:
        (number,) = result
        assert number == (float(text) if {*text} & {*".eE"} else int(text))
    else:
        assert not text.isdecimal() or text[0] == "0" or len(text) > 18


named = st.fixed_dictionaries({"nodeId": ids | texts})
nodes = st.lists(st.builds(dict.__or__, st.dictionaries(texts, documents, max_size=3), named))


@fuzz(nodes, st.sampled_from(["bare", "wrapped", "alone"]))
def test_list_is_read_exactly_or_rejected(items: list[dict[str, Json]], wrapper: str) -> None:
    if wrapper == "alone":
        items = items[:1]
        assume(items and "nodes" not in items[0])
    response = {"bare": items, "wrapped": {"nodes": items, "org": ORG}, "alone": [*items, None][0]}
    client = connection_with_response(to_json_bytes(response[wrapper], plain=True))
    result = result_or_none(client.list_nodes)
    usable = [item for item in items if is_valid_id(item["nodeId"])]
    is_read = is_storable(items) and (usable or not items)
    assert result == (Listing(usable, len(items) - len(usable)) if is_read else None)


def is_valid_id(id_: str) -> bool:
    return id_.isprintable() and id_ not in {"", ".", ".."} and len(id_) <= 200


@fuzz(bodies)
def test_arbitrary_metadata_is_a_list_of_objects_or_rejected(body: bytes) -> None:
    client = connection_with_response(body)
    for call_api in (
        client.list_nodes,
        lambda: client.list_node_alarms("A0000001"),
    ):
        listing = result_or_none(call_api)
        assert listing is None or all(isinstance(each, dict) for each in listing.objects)
    for get in (client.get_datasource, client.get_node_status):
        result = result_or_none(functools.partial(get, "X0000001"))
        assert result is None or isinstance(result, dict)


@fuzz(st.fixed_dictionaries({"reportId": ids | texts | documents}) | documents)
def test_report_has_the_id_that_was_sent_or_none(document: Json) -> None:
    client = connection_with_response(to_json_bytes(document, plain=True))
    result = result_or_none(lambda: client.request_report({"org": ORG}, WINDOW))
    id_ = document.get("reportId") if isinstance(document, dict) else None
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)  # no document says that an id is text
    usable = is_storable(document) and isinstance(id_, str) and is_valid_id(id_)
    assert result == (id_ if usable else None)


STATUSES = ("in-progress", "succeeded", "failed")
links = st.just(LINK)
records = {
    "reportStatus": st.sampled_from(STATUSES) | documents,
    "urls": st.lists(texts) | st.lists(links | documents, max_size=3) | documents,
    "data": links | st.dictionaries(texts, links | documents, max_size=3) | documents,
    "message": texts | st.lists(texts) | documents,
}


@example({"reportStatus": "failed", "message": f"no such key: {KEY}"})
@fuzz(st.fixed_dictionaries({}, optional=records) | documents)
def test_poll_response_is_read_exactly_or_rejected(document: Json) -> None:
    client = connection_with_response(to_json_bytes(document, plain=True))
    poll = result_or_none(lambda: client.poll_report(REPORT))
    if poll is None:
        is_record = isinstance(document, dict) and isinstance(document.get("reportStatus"), str)
        assert not (is_record and is_storable(document))
        return
    known_statuses = {"in-progress": ReportStatus.IN_PROGRESS, "succeeded": ReportStatus.SUCCEEDED}
    word = document["reportStatus"]
    assert poll.status is known_statuses.get(word, ReportStatus.FAILED) or word not in STATUSES
    urls = document.get("urls")
    if poll.status is not ReportStatus.SUCCEEDED:
        assert not poll.urls
    elif isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls):
        assert list(poll.urls) == urls
    else:  # wherever else the record has addresses, beside a list only in lists
        kinds = list if isinstance(urls, list) else object
        record = {
            name: value
            for name, value in document.items()
            if name != "query" and isinstance(value, kinds)
        }
        result = [text for text in leaves(record) if str(text).startswith("https://")]
        assert sorted(poll.urls) == sorted(result)
    assert poll.message.isprintable()
    assert len(poll.message) < 600
    assert KEY not in poll.message


header_texts = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40)


@fuzz(
    st.binary(max_size=100),
    st.dictionaries(
        st.sampled_from(["x-clarity-continuation-token", "Date", "Content-Type"]), header_texts
    ),
)
def test_recent_response_keeps_its_token_with_arbitrary_headers(
    body: bytes, headers: dict[str, str]
) -> None:
    client = connection_with_response(body, headers)
    response = result_or_none(
        lambda: client.query_recent({}, WINDOW.start, lambda content: content.read())
    )
    if not body.startswith(b"\x1f\x8b"):
        assert response.token == (headers.get("x-clarity-continuation-token") or None)
        assert response.answered_at is None or response.answered_at.tzinfo is UTC


@fuzz(tables(), st.data())
def test_corrupt_file_is_complete_or_rejected(
    measurements: list[Measurement], data: st.DataObject
) -> None:
    """The oracle: gzip's own sum. Whatever is done to the bytes, no other row may come out."""
    expected = expect(window=DAY_OF_FILE)
    content = as_csv(measurements)
    complete = list(read_measurements(io.BytesIO(content), expected))
    client = connection_with_response(data.draw(mutants(gzip.compress(content, mtime=0))))
    try:
        result = list(
            client.read_report(
                REPORT,
                [LINK],
                lambda body, _: iter(read_measurements(open_decompressed(body), expected)),
            )
        )
    except FileError:
        return
    assert result == complete


@fuzz(texts | st.binary(max_size=300).map(lambda random_bytes: random_bytes.decode("latin-1")))
def test_arbitrary_error_response_is_one_line_without_secrets(error_text: str) -> None:
    body = f"{error_text}{KEY}{error_text}".encode(errors="surrogatepass")
    message = error_message(body, Redactor(KEY).redact)
    for statuses in (API, FILES):
        for status in (400, 401, 404, 418, 429, 500, 503, 599):
            error = status_error(
                statuses, status, {"Retry-After": error_text}, message, WINDOW.start
            )
            assert str(error).isprintable()
            assert KEY not in str(error)


class RecordingAdapter(BaseAdapter):
    """Leads nowhere, and remembers where it should have led."""

    def __init__(self) -> None:
        super().__init__()
        self.requested_urls: list[str] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401
        self.requested_urls.append(str(request.url))
        raise requests.ConnectionError("nowhere")

    def close(self) -> None:
        pass


@fuzz(texts | st.from_regex(r"(https?|file|HTTPS|gopher|data)?:?/{0,3}[^\s]{0,20}", fullmatch=True))
def test_arbitrary_link_is_http_or_rejected(link: str) -> None:
    adapter = RecordingAdapter()
    with patch("tap_clarity.api.limited_session._Adapter", lambda: adapter):
        transport = connect()
    assert result_or_none(lambda: transport.download(link, lambda response: response)) is None
    assert all(url.startswith("https://") for url in adapter.requested_urls)


class HeadServer:
    """One host for all examples: it sends what it is told to, and hangs up."""

    response = b""

    @classmethod
    def respond(cls, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(cls.response)

    @classmethod
    @functools.cache
    def started(cls) -> HttpServer:
        return next(cls._running())

    @classmethod
    def _running(cls) -> Iterator[HttpServer]:
        with serve_http(cls.respond) as server:
            yield server


DOCUMENT = {"datasources": [{"datasourceId": "DAAAA0001", "name": "Town hall"}]}
BODY = gzip.compress(json.dumps(DOCUMENT).encode(), mtime=0)
RESPONSE_HEADS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
)
HEAD_FRAGMENTS = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b":", b"\xff\xfe", b"\0", b"ffffffffffffffffffff\r\n"),
    *(b"302", b"304", b"204", b"401", b"429", b"503", b"999", b"Retry-After: 1\r\n"),
    *(b"Content-Length: 10000000000\r\n", b"Content-Length: -1\r\n", b"Set-Cookie: a=b\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: br\r\n"),
    *(b"Location: file:///etc/passwd\r\n", b"Location: //\r\n", b"Location: /\r\n"),
)


@fuzz(st.sampled_from(RESPONSE_HEADS).flatmap(lambda head: mutants(head, HEAD_FRAGMENTS)))
def test_corrupt_response_head_gives_expected_data_or_an_error(head: bytes) -> None:
    HeadServer.response = head + BODY + b"\r\n0\r\n\r\n" * (b"chunked" in head)
    transport = connect(HeadServer.started().url)
    call = Request("GET", "/v2/datasources")
    result = result_or_none(
        lambda: transport.request(call, lambda response: read_json(response.body))
    )
    assert result in (None, DOCUMENT)
