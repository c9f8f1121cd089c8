"""Whatever Clarity answers, it is taken as it was meant or refused by a typed error of one line."""

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
from tap_clarity.api.response_body import open_decompressed, read_json
from tap_clarity.api.transport import Request, Response, Transport
from tap_clarity.core.timestamps import Window
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.planning.reports import Report, ReportStatus
from tests.support.constants import NOW
from tests.support.fake_clock import FakeClock
from tests.support.file_server import host
from tests.support.fuzzing import documents, fuzz, ids, is_sound, leaves, mutants, texts, written
from tests.support.measurement_files import DAY_OF_FILE, as_csv, expect, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.server import BaseHTTPRequestHandler

    from tap_clarity.measurements.model import Measurement
    from tests.support.file_server import Host

Json = Any
KEY = "k-canary-8812"
ORG = "exampleAB12"
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
REPORT = Report("JB00000001", WINDOW, WINDOW.end)
LINK = "https://files.invalid/a.csv.gz?X-Amz-Signature=canary"


def connect(url: str = "https://clarity.invalid") -> Transport:
    clock = FakeClock(datetime.fromisoformat(NOW))
    return Transport(api_url=url, api_key=KEY, user_agent="test", read_timeout=1, clock=clock)


def answering(body: bytes, headers: Mapping[str, str] | None = None) -> ClarityClient:
    """Make a client that is answered without a network."""

    def answer(_: object) -> Response:
        return Response(headers or {}, io.BytesIO(body))

    transport = connect()
    vars(transport).update(_send=answer, _get_file=answer)
    return ClarityClient(transport, ORG)


def answer_of(ask: Callable[[], Json]) -> Json:
    """Give what is made of an answer, or None if it is refused as it should be."""
    try:
        with patch("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(0)):
            return ask()
    except ClarityError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 600
    assert KEY not in said
    return None


bodies = st.builds(
    lambda text, zipped: gzip.compress(text) if zipped else text,
    st.builds(written, documents, plain=st.booleans()) | st.binary(max_size=200),
    st.booleans(),
)


@fuzz(document=documents, plain=st.booleans(), zipped=st.booleans())
def test_json_is_read_as_it_was_meant_or_refused(
    document: Json, *, plain: bool, zipped: bool
) -> None:
    body = written(document, plain=plain)
    body = gzip.compress(body) if zipped else body
    found = answer_of(lambda: [read_json(io.BytesIO(body))])
    assert found == ([document] if is_sound(document) else None)


@fuzz(
    st.text("0123456789.eE+-", min_size=1, max_size=30)
    | st.integers(1, 5000).map(lambda length: "9" * length)
)
def test_a_number_is_read_to_the_last_digit_or_refused(text: str) -> None:
    found = answer_of(lambda: read_json(io.BytesIO(b"[%b]" % text.encode())))
    if found is not None:
        (number,) = found
        assert number == (float(text) if {*text} & {*".eE"} else int(text))
    else:
        assert not text.isdecimal() or text[0] == "0" or len(text) > 18


named = st.fixed_dictionaries({"nodeId": ids | texts})
nodes = st.lists(st.builds(dict.__or__, st.dictionaries(texts, documents, max_size=3), named))


@fuzz(nodes, st.sampled_from(["bare", "wrapped", "alone"]))
def test_a_list_is_given_as_it_was_sent_or_refused(items: list[dict[str, Json]], how: str) -> None:
    if how == "alone":
        items = items[:1]
        assume(items and "nodes" not in items[0])
    reply = {"bare": items, "wrapped": {"nodes": items, "org": ORG}, "alone": [*items, None][0]}
    client = answering(written(reply[how], plain=True))
    found = answer_of(client.list_nodes)
    usable = [item for item in items if is_name(item["nodeId"])]
    is_read = is_sound(items) and (usable or not items)
    assert found == (Listing(usable, len(items) - len(usable)) if is_read else None)


def is_name(id_: str) -> bool:
    return id_.isprintable() and id_ not in {"", ".", ".."} and len(id_) <= 200


@fuzz(bodies)
def test_metadata_of_any_form_is_objects_or_refused(body: bytes) -> None:
    client = answering(body)
    for ask in (
        client.list_nodes,
        lambda: client.list_node_alarms("A0000001"),
    ):
        listing = answer_of(ask)
        assert listing is None or all(isinstance(each, dict) for each in listing.objects)
    for get in (client.get_datasource, client.get_node_status):
        found = answer_of(functools.partial(get, "X0000001"))
        assert found is None or isinstance(found, dict)


@fuzz(st.fixed_dictionaries({"reportId": ids | texts | documents}) | documents)
def test_a_report_has_the_id_that_was_sent_or_none(document: Json) -> None:
    client = answering(written(document, plain=True))
    found = answer_of(lambda: client.request_report({"org": ORG}, WINDOW))
    id_ = document.get("reportId") if isinstance(document, dict) else None
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)  # no document says that an id is text
    usable = is_sound(document) and isinstance(id_, str) and is_name(id_)
    assert found == (id_ if usable else None)


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
def test_a_poll_says_what_was_sent_or_is_refused(document: Json) -> None:
    client = answering(written(document, plain=True))
    poll = answer_of(lambda: client.poll_report(REPORT))
    if poll is None:
        is_record = isinstance(document, dict) and isinstance(document.get("reportStatus"), str)
        assert not (is_record and is_sound(document))
        return
    known = {"in-progress": ReportStatus.IN_PROGRESS, "succeeded": ReportStatus.SUCCEEDED}
    word = document["reportStatus"]
    assert poll.status is known.get(word, ReportStatus.FAILED) or word not in STATUSES
    urls = document.get("urls")
    if poll.status is not ReportStatus.SUCCEEDED:
        assert not poll.urls
    elif isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls):
        assert list(poll.urls) == urls
    else:  # wherever else the record has addresses
        record = {name: value for name, value in document.items() if name != "query"}
        found = [text for text in leaves(record) if str(text).startswith("https://")]
        assert sorted(poll.urls) == sorted(found)
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
def test_recent_replies_carry_their_token_whatever_the_headers(
    body: bytes, headers: dict[str, str]
) -> None:
    client = answering(body, headers)
    reply = answer_of(lambda: client.query_recent({}, WINDOW.start, lambda content: content.read()))
    if not body.startswith(b"\x1f\x8b"):
        assert reply.token == (headers.get("x-clarity-continuation-token") or None)
        assert reply.answered_at is None or reply.answered_at.tzinfo is UTC


@fuzz(tables(), st.data())
def test_a_damaged_file_is_whole_or_refused(
    measured: list[Measurement], data: st.DataObject
) -> None:
    """The oracle: gzip's own sum. Whatever is done to the bytes, no other row may come out."""
    expected = expect(window=DAY_OF_FILE)
    content = as_csv(measured)
    whole = list(read_measurements(io.BytesIO(content), expected))
    client = answering(data.draw(mutants(gzip.compress(content, mtime=0))))
    try:
        found = list(
            client.read_report(
                REPORT,
                [LINK],
                lambda body, _: iter(read_measurements(open_decompressed(body), expected)),
            )
        )
    except FileError:
        return
    assert found == whole


@fuzz(texts | st.binary(max_size=300).map(lambda noise: noise.decode("latin-1")))
def test_whatever_is_said_of_an_error_is_one_line_without_secrets(said: str) -> None:
    body = f"{said}{KEY}{said}".encode(errors="surrogatepass")
    message = error_message(body, [KEY])
    for statuses in (API, FILES):
        for status in (400, 401, 404, 418, 429, 500, 503, 599):
            error = status_error(statuses, status, {"Retry-After": said}, message, WINDOW.start)
            assert str(error).isprintable()
            assert KEY not in str(error)


class Nowhere(BaseAdapter):
    """Leads nowhere, and remembers where it should have led."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401
        self.asked.append(str(request.url))
        raise requests.ConnectionError("nowhere")

    def close(self) -> None:
        pass


@fuzz(texts | st.from_regex(r"(https?|file|HTTPS|gopher|data)?:?/{0,3}[^\s]{0,20}", fullmatch=True))
def test_a_link_of_any_form_leads_to_the_web_or_nowhere(link: str) -> None:
    nowhere = Nowhere()
    with patch("tap_clarity.api.session._Adapter", lambda: nowhere):
        transport = connect()
    assert answer_of(lambda: transport.download(link, lambda reply: reply)) is None
    assert all(url.startswith("https://") for url in nowhere.asked)


class Server:
    """One host for all examples: it sends what it is told to, and hangs up."""

    response = b""

    @classmethod
    def answer(cls, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(cls.response)

    @classmethod
    @functools.cache
    def started(cls) -> Host:
        return next(cls._running())

    @classmethod
    def _running(cls) -> Iterator[Host]:
        with host(cls.answer) as here:
            yield here


DOCUMENT = {"datasources": [{"datasourceId": "DAAAA0001", "name": "Town hall"}]}
BODY = gzip.compress(json.dumps(DOCUMENT).encode(), mtime=0)
HEADS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
)
PIECES = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b":", b"\xff\xfe", b"\0", b"ffffffffffffffffffff\r\n"),
    *(b"302", b"304", b"204", b"401", b"429", b"503", b"999", b"Retry-After: 1\r\n"),
    *(b"Content-Length: 10000000000\r\n", b"Content-Length: -1\r\n", b"Set-Cookie: a=b\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: br\r\n"),
    *(b"Location: file:///etc/passwd\r\n", b"Location: //\r\n", b"Location: /\r\n"),
)


@fuzz(st.sampled_from(HEADS).flatmap(lambda head: mutants(head, PIECES)))
def test_a_damaged_head_brings_the_truth_or_an_error(head: bytes) -> None:
    Server.response = head + BODY + b"\r\n0\r\n\r\n" * (b"chunked" in head)
    transport = connect(Server.started().url)
    call = Request("GET", "/v2/datasources")
    found = answer_of(lambda: transport.request(call, lambda reply: read_json(reply.body)))
    assert found in (None, DOCUMENT)
