"""A table of hostile responses, and the error that the tap must report for each."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.http_server import send_response, serve_http
from tests.support.limited_runner import run_limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from http.server import BaseHTTPRequestHandler

    from tap_clarity.sandbox import Sandbox
    from tests.support.limited_runner import LimitedRun

    Response = Callable[[BaseHTTPRequestHandler], None]

MIB = 1 << 20
METRIC = "pm2_5ConcMass1HourMean"
START, END = "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"
SIGNED = "/file.csv.gz?X-Amz-Signature=5b3e"
POLL = "/v2/report-request*/*"


@dataclass(frozen=True)
class Target:
    """A kind of call, and the streams that make it.

    Attributes:
        name: For the page.
        streams: What to select.
        limits: Numbers of the tap's that are lower here: a test must not fill a disk.
    """

    name: str
    streams: tuple[str, ...]
    limits: Mapping[str, float] = field(default_factory=dict)


LIST = Target("list of a resource", ("datasources",))
DETAILS = Target("details of one object", ("datasources", "datasource_details"))
RECENT = Target(
    "recent measurements",
    ("recent_measurements",),
    {"tap_clarity.api.client.MAX_RECENT_BYTES": 20 * MIB},
)
FILE = Target(
    "report file",
    ("datasource_measurements",),
    {"tap_clarity.api.transport.MAX_FILE_BYTES": 20 * MIB},
)
REQUEST = Target("report request", ("datasource_measurements",))
LINK = Target("report link", ("datasource_measurements",))


@dataclass(frozen=True)
class Attack:
    """Something that is sent.

    Attributes:
        name: What it is, for the page.
        answer: Sends it; for request and link, the JSON of the answer.
        says: What is said of it, after the name of stream, call or file.
        targets: The calls that it answers.
        limits: As for targets.
    """

    name: str
    response: Response | dict[str, Any]
    expected_error: str
    targets: tuple[Target, ...]
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What an attack came to, as plain values."""

    attack: str
    target: str
    status: int
    errors: list[str]
    peak: float
    """Most memory that the run had, in MiB."""
    seconds: float


def stream_chunks(pieces: Callable[[], Iterable[bytes]], **headers: str) -> Response:
    """Send pieces, perhaps for ever, until nobody listens."""

    def response(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for piece in pieces():
            handler.wfile.write(piece)

    return response


def whole(body: bytes, **headers: str) -> Response:
    return lambda handler: send_response(handler, body, 200, **headers)


def times(piece: bytes, count: int | None = None) -> Callable[[], Iterator[bytes]]:
    """Give a piece so many times, or for ever."""

    def pieces() -> Iterator[bytes]:
        remaining = count
        while remaining is None or remaining > 0:
            yield piece
            remaining = None if remaining is None else remaining - 1

    return pieces


def chunks(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def listing(**fields: Any) -> Response:  # noqa: ANN401
    """Answer a list of one datasource with these fields."""
    object_ = {"datasourceId": "DAAAA0001"} | fields
    return whole(json.dumps({"datasources": [object_]}).encode())


def endless_pages(handler: BaseHTTPRequestHandler) -> None:
    """Answer one datasource of 400,000 numbers, and the cursor to another page."""
    page = int(handler.path.rpartition("cursor=")[2]) if "cursor=" in handler.path else 0
    item = {"datasourceId": f"D{page}", "x": [*range(400_000)]}
    send_response(handler, json.dumps({"datasources": [item], "cursor": page + 1}).encode(), 200)


HEADER = f"datasourceId,startOfPeriod,{METRIC}.raw,{METRIC}.status,{METRIC}.qcFlags\n".encode()
TIME = b"2026-03-08T05:00:00.000Z"


def row(id_: bytes = b"DAAAA0001", raw: bytes = b"1", *more: bytes) -> bytes:
    return b",".join([id_, TIME, raw, *(more or (b"sensor-ready", b""))]) + b"\n"


def halves(*metrics: str) -> bytes:
    """Write one metric of 200 datasources, then the next one."""
    time = "2026-03-10T05:00:00.000Z"
    items = [
        {"datasourceId": f"D{number:07}", "time": time, "metric": metric, "raw": 1}
        for metric in metrics
        for number in range(200)
    ]
    return json.dumps({"data": items}, separators=(",", ":")).encode()


LONG = "m" * 129_000
LONG_NAMES = (
    ",".join(["datasourceId,startOfPeriod", *(f"{number}{LONG}.raw" for number in range(7))])
    + f"\nD,2026-03-08T05:00:00Z{',1' * 7}\n"
)
LONG_NAME = {"datasourceId": "D", "time": "2026-03-10T05:00:00Z", "metric": LONG, "raw": 1}
NAMED = b"\x1f\x8b\x08\x08" + b"\0" * 6
BOMB = gzip.compress(b"\n" * 50 * MIB)
TOO_LARGE = "the reply is beyond reason: more than"
UNZIPPED_TOO_LARGE = "the reply is beyond reason: it unzips to"
NOT_JSON = "the reply is not JSON (cut or garbled)"
INVALID_TEXT = "the reply has a text that no database holds, with a NUL or half a character"
INVALID_ID = "each datasourceId in the reply is empty, too long, or no plain text"
ROW_TOO_LONG = "it is beyond reason: more than 1,048,576 characters"
INVALID_LINK = "file download: its link is no http or https address"
ALL = (LIST, RECENT, FILE)
MEASUREMENTS = (RECENT, FILE)

ATTACKS = (
    Attack("a body without an end", stream_chunks(times(b" " * 65536)), TOO_LARGE, ALL),
    Attack(
        "chunks without an end",
        stream_chunks(times(chunks(b"[" * 65536)), Transfer_Encoding="chunked"),
        TOO_LARGE,
        ALL,
    ),
    Attack(
        "10 GB announced",
        stream_chunks(times(b" " * 65536), Content_Length=str(10**10)),
        TOO_LARGE,
        ALL,
    ),
    Attack("a gzip bomb", whole(BOMB, Content_Encoding="gzip"), TOO_LARGE, (LIST,)),
    Attack(
        "a gzip bomb",
        whole(BOMB, Content_Encoding="gzip"),
        UNZIPPED_TOO_LARGE,
        MEASUREMENTS,
    ),
    Attack(
        "a gzip bomb, and nobody says that it is one",
        whole(BOMB),
        UNZIPPED_TOO_LARGE,
        MEASUREMENTS,
    ),
    Attack(
        "a file name of 7 MB in a gzip header",
        stream_chunks(lambda: [NAMED, *times(b"a" * MIB, 7)()]),
        "the reply is beyond reason: its gzip headers are too long",
        ALL,
    ),
    Attack(
        "headers of 64 MB",
        stream_chunks(list, **{f"x{number}": "x" * 60_000 for number in range(1000)}),
        "the reply is beyond reason: it does not end",
        ALL,
    ),
    Attack("100,000 levels of JSON", whole(b"[" * 100_000 + b"]" * 100_000), NOT_JSON, (LIST,)),
    Attack(
        "100,000 levels of JSON",
        whole(b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "it is not JSON, or not a JSON object: cut or garbled",
        (RECENT,),
    ),
    Attack(
        "150 levels of JSON",
        listing(x=json.loads("[" * 150 + "]" * 150)),
        "more than 100 lists and objects inside each other",
        (LIST,),
    ),
    Attack(
        "pages without an end",
        endless_pages,
        "the list exceeds the limit of 1,000 pages, 100,000 objects, 16,777,216 bytes",
        (LIST,),
    ),
    Attack(
        "a cursor of 1 MB",
        whole(json.dumps({"datasources": [{"datasourceId": "D"}], "next": "c" * MIB}).encode()),
        "the link to the next page exceeds the limit of 8,000 characters",
        (LIST,),
    ),
    Attack(
        "600,000 values",
        whole(b'{"datasources":[' + b"{}," * 600_000 + b"{}]}"),
        "the reply is beyond reason: more than 500,000 values",
        (LIST,),
    ),
    Attack(
        "a number beyond double precision",
        whole(b'{"datasources":[{"datasourceId":"D","x":-1e999}]}'),
        "the reply has a number beyond double precision",
        (LIST,),
    ),
    Attack(
        "an integer of 300 digits",
        whole(b'{"datasources":[{"datasourceId":"D","x":%b}]}' % (b"9" * 300)),
        "the reply has a number beyond 64 bits",
        (LIST,),
    ),
    Attack("a NUL in a name", listing(name="a\0"), INVALID_TEXT, (LIST,)),
    Attack("half a character in a name", listing(name="a\ud83d"), INVALID_TEXT, (LIST,)),
    Attack("half a character as a name", listing(**{"\udc00": 1}), INVALID_TEXT, (LIST,)),
    *(
        Attack(f"{what} as an id", listing(datasourceId=id_), INVALID_ID, (LIST,))
        for what, id_ in {
            "nothing": "",
            "`..`": "..",
            "a line break": "D\nERROR",
            "10,000 characters": "D" * 10_000,
        }.items()
    ),
    Attack(
        "a line of 100 MB",
        stream_chunks(times(b"a" * MIB, 100)),
        ROW_TOO_LONG,
        (FILE,),
        {"tap_clarity.api.transport.MAX_FILE_BYTES": 110 * MIB},
    ),
    Attack("a line of 10 MB", stream_chunks(times(b"a" * MIB, 10)), ROW_TOO_LONG, (RECENT,)),
    Attack(
        "a row of 10 MB",
        stream_chunks(lambda: [HEADER, *times(b"," * MIB, 10)()]),
        f"row 2: {ROW_TOO_LONG}",
        MEASUREMENTS,
    ),
    Attack(
        "a row of 2.5 million lines",
        stream_chunks(lambda: [HEADER, *times(b'"\n",' * (MIB // 4), 10)()]),
        f"row 2: {ROW_TOO_LONG}",
        MEASUREMENTS,
    ),
    Attack(
        "a quote without an end",
        stream_chunks(lambda: [HEADER, b'"', *times(b"a\n" * (MIB // 2), 10)()]),
        "row 2: field larger than field limit",
        MEASUREMENTS,
    ),
    Attack(
        "a million columns",
        whole(b",".join(b"a%d.raw" % number for number in range(10**6))),
        ROW_TOO_LONG,
        MEASUREMENTS,
    ),
    Attack(
        "100,000 short columns",
        whole(b",".join(b"%x.raw" % number for number in range(10**5)) + b"\n"),
        "the header is beyond reason: 100,000 columns",
        MEASUREMENTS,
    ),
    Attack(
        "metrics with names of 129,000 characters",
        whole(LONG_NAMES.encode()),
        "the name of a metric exceeds the limit of 200 characters",
        MEASUREMENTS,
    ),
    Attack(
        "a metric with a name of 129,000 characters",
        whole(json.dumps({"data": [LONG_NAME]}).encode()),
        "object 1: the name of a metric exceeds the limit of 200 characters",
        (RECENT,),
    ),
    Attack(
        "a number beyond double precision",
        whole(HEADER + row(raw=b"1e999")),
        f"row 2: '{METRIC}': a number beyond double precision",
        MEASUREMENTS,
    ),
    Attack(
        "a number of 100,000 digits",
        whole(HEADER + row(b"DAAAA0001", b"9" * 100_000)),
        f"row 2: '{METRIC}': a number beyond double precision",
        MEASUREMENTS,
    ),
    Attack(
        "a status of 100 kB",
        stream_chunks(lambda: [HEADER, *times(row(b"D", b"1", b"s" * 100_000, b""), 100)()]),
        "row 2: an id or a word that is too long",
        MEASUREMENTS,
    ),
    Attack(
        "100,000 levels of QC flags",
        whole(HEADER + row(b"D", b"1", b"ok", b"[" * 100_000)),
        "row 2: QC flags beyond reason",
        MEASUREMENTS,
    ),
    Attack("a NUL in a row", whole(HEADER + row(b"D\0")), "row 2: a NUL", MEASUREMENTS),
    Attack(
        "half a character in a row",
        whole(HEADER + row(b"D\xed\xa0\xbd")),
        "not a CSV file of measurements",
        MEASUREMENTS,
    ),
    Attack(
        "too many times",
        whole(halves("a")),
        "it is beyond reason: more than 100 times",
        (RECENT,),
        {"tap_clarity.measurements.json_long.MAX_TIMES": 100},
    ),
    Attack(
        "the other half of each object after all first halves",
        whole(halves("a", "b")),
        "object 122: what belongs together is too far apart",
        (RECENT,),
        {"tap_clarity.measurements.json_long.MAX_WAITING_LENGTH": 10_000},
    ),
    *(
        Attack(
            f"a report whose id is {what}",
            {"reportId": id_, "reportStatus": "in-progress"},
            "the reply has no report id; Clarity may have acted on it all the same",
            (REQUEST,),
        )
        for what, id_ in {
            "`..`": "..",
            "a line break": "JB\nERROR",
            "10,000 characters": "J" * 10_000,
        }.items()
    ),
    *(
        Attack(
            f"a link to {link}",
            {"reportStatus": "succeeded", "urls": [link]},
            INVALID_LINK,
            (LINK,),
        )
        for link in (
            "file:///etc/passwd",
            "ftp://127.0.0.1/a",
            "data:,a",
            "//127.0.0.1/a",
        )
    ),
    Attack(
        "a hundred thousand links",
        {"reportStatus": "succeeded", "urls": ["http://127.0.0.1:1/a"] * 100_000},
        "100,000 files exceed the limit of 100",
        (LINK,),
    ),
)


def cases() -> Iterator[tuple[Attack, Target]]:
    return ((attack, target) for attack in ATTACKS for target in attack.targets)


SETTINGS: dict[str, Any] = {
    "start_date": START,
    "end_date": END,
    "metric_select": f"only {METRIC}",
}


def run_attack(sandbox: Sandbox, attack: Attack, target: Target) -> tuple[LimitedRun, Outcome]:
    """Run the tap while a call is answered so, and sum up what it came to."""
    began = time.monotonic()
    limits = {**target.limits, **attack.limits}
    with _attacking(sandbox, attack, target) as address:
        run = run_limited(sandbox, streams=target.streams, limits=limits, **SETTINGS | address)
    sandbox.faults.clear()
    seconds = round(time.monotonic() - began, 1)
    return run, Outcome(attack.name, target.name, run.status, run.error_lines, run.peak, seconds)


@contextmanager
def _attacking(sandbox: Sandbox, attack: Attack, target: Target) -> Iterator[dict[str, str]]:
    if isinstance(attack.response, dict):
        method, path = ("POST", "/v2/report-requests") if target is REQUEST else ("GET", POLL)
        always_respond(sandbox, attack.response, method=method, path=path)
        yield {}
        return
    with serve_http(attack.response) as server:
        if target is not FILE:
            yield {"api_url": server.url}
            return
        link = {"reportStatus": "succeeded", "urls": [server.url + SIGNED]}
        always_respond(sandbox, link, method="GET", path=POLL)
        yield {}


def always_respond(sandbox: Sandbox, response: dict[str, Any], **call: str) -> None:
    body = json.dumps(response)
    sandbox.faults.inject("status", status=200, body=body, times=None, **call)
