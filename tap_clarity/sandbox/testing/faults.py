"""Faults: their kinds, which requests they match, and how often they are injected."""

from __future__ import annotations

import json
import shlex
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tap_clarity.sandbox.api.report_records import FAILED, IN_PROGRESS, NO_URLS, ReportOutcome
from tap_clarity.sandbox.world.rng import combine, fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_clarity.sandbox.behavior.unknowns import Evidence
    from tap_clarity.sandbox.http.http_types import Request


class Kind(NamedTuple):
    """Where the behaviour is known from, and what a fault of this kind does."""

    evidence: Evidence
    description: str


_DESCRIPTIONS: Final = {
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
KINDS: Final = {
    kind: Kind(_EVIDENCE.get(kind, "invented"), text) for kind, text in _DESCRIPTIONS.items()
}
UNKNOWN_KINDS: Final = {
    kind: Kind("invented", text)
    for kind, text in {
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
    """A fault: `times` and `probability` say how often, `at` is a share of the body or rows."""

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

    def outcome(self) -> ReportOutcome | None:
        """Return the outcome of a report with this fault, if it is of such a kind."""
        outcome = _OUTCOMES.get(self.kind)
        return outcome(self) if outcome else None

    def matches(self, request: Request) -> bool:
        if self.method not in {"*", request.method}:
            return False
        scope = _SCOPES.get(self.kind, "/")
        if scope not in request.path or not fnmatchcase(request.path, self.path):
            return False
        return self.contains in json.dumps(request.body, ensure_ascii=False)


_OUTCOMES: Final[dict[str, Callable[[Fault], ReportOutcome]]] = {
    "failed-report": lambda fault: ReportOutcome(status=FAILED, message=fault.message),
    "never-ending-report": lambda _: ReportOutcome(status=IN_PROGRESS),
    "report-status": lambda fault: ReportOutcome(status=fault.word or "cancelled"),
    "report-without-urls": lambda fault: ReportOutcome(no_urls_as=fault.word or "missing"),
    "forgotten-report": lambda _: ReportOutcome(is_forgotten=True),
    "purged-files": lambda fault: ReportOutcome(
        purged_status=404 if fault.status == HTTPStatus.NOT_FOUND else 403
    ),
}
# What the path of a request must contain for faults that apply to some requests only.
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
    return make_fault(kind, **details)


def make_fault(kind: str, **details: Any) -> Fault:  # noqa: ANN401 - a fault's own fields
    """Return a fault; with a probability and without `times` it is persistent."""
    if "probability" in details and "times" not in details:
        details["times"] = None
    try:
        return Fault(kind, **details)
    except TypeError as error:
        raise ValueError(str(error)) from None


class Faults:
    """The faults to inject, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._matches: list[int] = []

    def inject(self, kind: str, **details: Any) -> None:  # noqa: ANN401
        self.add(make_fault(kind, **details))

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)
            self._matches.append(0)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._matches.clear()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            return iter([asdict(fault) for fault in self._faults])

    def next_fault(self, request: Request) -> Fault | None:
        """Return the first fault to inject into a request, and count it."""
        with self._lock:
            for number, fault in enumerate(self._faults):
                if self._is_due(number, fault, request):
                    return fault
        return None

    def _is_due(self, number: int, fault: Fault, request: Request) -> bool:
        if fault.times == 0 or not fault.matches(request):
            return False
        self._matches[number] += 1
        if fraction(combine(fault.seed, self._matches[number])) >= fault.probability:
            return False
        if fault.times is not None:
            self._faults[number] = replace(fault, times=fault.times - 1)
        return True
