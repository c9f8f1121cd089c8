"""Faults to order: which request they strike, how often, and what they do to the answer."""

from __future__ import annotations

import json
import shlex
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tap_clarity.sandbox.api.report_records import FAILED, IN_PROGRESS, NO_URLS, Outcome
from tap_clarity.sandbox.api.reports import denied
from tap_clarity.sandbox.http.http_types import JSON_TYPE, Request, Response, json_response
from tap_clarity.sandbox.http.transfer import Delivery
from tap_clarity.sandbox.testing import corruption as spoil
from tap_clarity.sandbox.world.rng import blend, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_clarity.sandbox.behavior.unknowns import Evidence

_DRIPS: Final = 20
_WITHOUT_BODY: Final = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
_HTML: Final = b"<!DOCTYPE html><html><body><h1>We'll be right back</h1></body></html>"


class Kind(NamedTuple):
    """Where a behaviour is known from, and what a fault of this kind does."""

    evidence: Evidence
    says: str


_SAYS: Final = {
    "status": "answer `status` with `headers` and `body`, without asking the API",
    "html": "answer an HTML page with status 200, without asking the API",
    "garbage": "answer bytes that are nothing, with status 200, without asking the API",
    "expired-link": "answer as S3 does when a link has run out (for files)",
    "failed-report": "let the report fail for good, with `message` (for its request or poll)",
    "drop": "reset the connection before the answer; the request has taken effect",
    "cut": "reset the connection after the part `at` of the body",
    "stall": "wait `seconds` before the answer",
    "stall-inside": "wait `seconds` after the part `at` of the body",
    "drip": "spread the body over `seconds`",
    "truncate": "send the part `at` of the body with an honest Content-Length",
    "truncate-lying": "send the part `at` of the body, announce all of it, and close",
    "cut-gzip": "cut a file's gzip at `at`, its length consistent (for files)",
    "flip-byte": "change the byte at `at` (for files)",
    "row-width": "drop a field of the row at `at` (for CSV files)",
    "row-twice": "send the row at `at` twice (for CSV files)",
    "row-outside": "move the row at `at` out of the window (for CSV files)",
    "row-not-a-number": "put a word in place of a number in the row at `at` (for CSV files)",
}
# Clients have seen the first two; Clarity documents `failed`, and that URLs expire.
_EVIDENCE: Final[dict[str, Evidence]] = {
    "status": "seen",
    "stall": "seen",
    "failed-report": "documented",
    "expired-link": "documented",
}
KINDS: Final = {kind: Kind(_EVIDENCE.get(kind, "invented"), says) for kind, says in _SAYS.items()}
UNKNOWN_KINDS: Final = {
    kind: Kind("invented", says)
    for kind, says in {
        "never-ending-report": "let the report stay in-progress for good (for its request or poll)",
        "report-status": "let the report end in the status `word` (for its request or poll)",
        "report-without-urls": "let the report succeed without URLs; `word` is missing, list, null "
        "or text (for its request or poll)",
        "poll-without-urls": "leave the URLs out of this reply only; `word` as above (for a poll)",
        "forgotten-report": "answer 404 for the report from now on (for its poll)",
        "purged-files": "let the file host answer `status`, 403 or 404, for the report's files "
        "from now on (for its request or poll)",
        "other-status": "answer as usual, but with `status`; 204 and 304 have no body",
        "partial-content": "answer 206 with Content-Range and the part `at` of the body, in whole "
        "lines",
        "blank-file": "send a file that holds only `word`, nothing by default (for files)",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One order. `times` and `probability` say how often, `at` is a share of body or rows."""

    kind: str
    path: str = "*"
    method: str = "*"
    times: int | None = 1
    probability: float = 1
    seed: int = 0
    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": ["Service Unavailable"]}'
    message: str = "The report could not be generated"
    seconds: float = 1
    at: float = 0.5
    word: str = ""
    contains: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS | UNKNOWN_KINDS:
            known = ", ".join(KINDS | UNKNOWN_KINDS)
            message = f"no such fault: {self.kind} (there are {known})"
            raise ValueError(message)
        if not 0 <= self.at <= 1:
            raise ValueError("at is a share, from 0 to 1")
        if self.kind.endswith("-without-urls") and self.word not in {"", *NO_URLS}:
            message = f"word must be one of {', '.join(NO_URLS)}"
            raise ValueError(message)

    def outcome(self) -> Outcome | None:
        """What this fault orders for a report, if it is of such a kind."""
        made = _OUTCOMES.get(self.kind)
        return made(self) if made else None

    def strikes(self, request: Request) -> bool:
        meant = self.method in {"*", request.method}
        scope = _SCOPES.get(self.kind, "/")
        if not meant or scope not in request.path or not fnmatchcase(request.path, self.path):
            return False
        return self.contains in json.dumps(request.body, ensure_ascii=False)


_OUTCOMES: Final[dict[str, Callable[[Fault], Outcome]]] = {
    "failed-report": lambda fault: Outcome(status=FAILED, message=fault.message),
    "never-ending-report": lambda _: Outcome(status=IN_PROGRESS),
    "report-status": lambda fault: Outcome(status=fault.word or "cancelled"),
    "report-without-urls": lambda fault: Outcome(no_urls_as=fault.word or "missing"),
    "forgotten-report": lambda _: Outcome(is_forgotten=True),
    "purged-files": lambda fault: Outcome(
        purged_status=404 if fault.status == HTTPStatus.NOT_FOUND else 403
    ),
}
# What a request's path must contain for a fault that means something for some requests only.
_SCOPES: Final = {
    **dict.fromkeys((*_OUTCOMES, "poll-without-urls"), "/report-request"),
    "blank-file": "/files/",
}
_NUMBERS: Final[dict[str, Callable[[str], int | float]]] = {
    "times": int,
    "probability": float,
    "seed": int,
    "status": int,
    "seconds": float,
    "at": float,
}


def parse(spec: str) -> Fault:
    """Read a fault from the command line: `status path=/v2/* status=429 Retry-After:5`."""
    kind, *words = shlex.split(spec) or [""]
    details: dict[str, Any] = {"headers": {}}
    for word in words:
        name, separator, text = word.partition("=")
        if separator and name in {each.name for each in fields(Fault)} - {"kind", "headers"}:
            details[name] = _NUMBERS.get(name, str)(text)
        elif ":" in word:
            header, _, value = word.partition(":")
            details["headers"][header] = value.strip()
        else:
            message = f"a fault's details read name=value or Header:value, not {word}"
            raise ValueError(message)
    return ordered(kind, **details)


def ordered(kind: str, **details: Any) -> Fault:  # noqa: ANN401 - a fault's own fields
    """Make a fault; with a probability and no count it goes on for ever."""
    if "probability" in details and "times" not in details:
        details["times"] = None
    try:
        return Fault(kind, **details)
    except TypeError as error:
        raise ValueError(str(error)) from None


class Faults:
    """The faults on order, in the order in which they were given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[Fault] = []
        self._seen: list[int] = []

    def order(self, kind: str, **details: Any) -> None:  # noqa: ANN401
        self.add(ordered(kind, **details))

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._orders.append(fault)
            self._seen.append(0)

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()
            self._seen.clear()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            return iter([asdict(fault) for fault in self._orders])

    def draw(self, request: Request) -> Fault | None:
        """Find the fault that strikes a request, and count it."""
        with self._lock:
            return next(
                (f for at, f in enumerate(self._orders) if self._strikes(at, request)), None
            )

    def _strikes(self, at: int, request: Request) -> bool:
        fault = self._orders[at]
        if fault.times == 0 or not fault.strikes(request):
            return False
        self._seen[at] += 1
        if unit(blend(fault.seed, self._seen[at])) >= fault.probability:
            return False
        if fault.times is not None:
            self._orders[at] = replace(fault, times=fault.times - 1)
        return True


def instead(fault: Fault) -> Response | None:
    """Answer without asking the API, where the fault is of that kind."""
    if fault.kind == "status":
        headers = {"Content-Type": JSON_TYPE, **fault.headers}
        return Response(fault.status, _body(fault.status, fault.body.encode()), headers)
    if fault.kind == "html":
        return Response(HTTPStatus.OK, _HTML, {"Content-Type": "text/html"})
    if fault.kind == "garbage":
        noise = b"".join(blend(fault.seed, turn).to_bytes(8, "big") for turn in range(64))
        return Response(HTTPStatus.OK, noise, {"Content-Type": JSON_TYPE})
    return denied() if fault.kind == "expired-link" else None


def spoiled(fault: Fault, response: Response) -> Response:
    """Do to an answer what the fault says."""
    change = _CHANGES.get(fault.kind)
    if change is not None:
        return change(fault, response) if response.is_success else response
    plan = _DELIVERIES.get(fault.kind)
    return replace(response, delivery=plan(fault)) if plan else response


def _body(status: int, body: bytes) -> bytes:
    return b"" if status in _WITHOUT_BODY else body


def _other_status(fault: Fault, response: Response) -> Response:
    if fault.status not in _WITHOUT_BODY:
        return replace(response, status=fault.status)
    headers = {k: v for k, v in response.headers.items() if not k.startswith("Content-")}
    return Response(fault.status, b"", headers)


def _partial(fault: Fault, response: Response) -> Response:
    whole = response.whole_body()
    part = spoil.first_lines(whole, fault.at)
    scope = {
        "Content-Length": str(len(part)),
        "Content-Range": f"bytes 0-{len(part) - 1}/{len(whole)}",
    }
    return Response(HTTPStatus.PARTIAL_CONTENT, part, {**response.headers, **scope})


def _without_urls(fault: Fault, response: Response) -> Response:
    record = json.loads(response.whole_body())
    kept = {name: value for name, value in record.items() if not name.startswith("urls")}
    return json_response({**kept, **NO_URLS[fault.word or "missing"]}, response.status)


_CHANGES: Final[dict[str, Callable[[Fault, Response], Response]]] = {
    "poll-without-urls": _without_urls,
    "other-status": _other_status,
    "partial-content": _partial,
    "blank-file": lambda fault, response: spoil.blank_file(response, fault.word),
    **dict.fromkeys(
        spoil.FILE_FAULTS,
        lambda fault, response: spoil.spoiled_file(response, fault.kind, fault.at),
    ),
}
_DELIVERIES: Final[dict[str, Callable[[Fault], Delivery]]] = {
    "drop": lambda _: Delivery(no_answer=True),
    "cut": lambda fault: Delivery(stop_at=fault.at, ending="reset"),
    "stall": lambda fault: Delivery(wait=fault.seconds),
    "stall-inside": lambda fault: Delivery(pieces=2, pause=fault.seconds, stop_at=fault.at),
    "drip": lambda fault: Delivery(pieces=_DRIPS, pause=fault.seconds / _DRIPS),
    "truncate": lambda fault: Delivery(stop_at=fault.at, ending="shortened"),
    "truncate-lying": lambda fault: Delivery(stop_at=fault.at, ending="closed"),
}
