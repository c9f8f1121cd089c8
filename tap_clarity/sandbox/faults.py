"""Faults to order: which request they strike, how often, and what they do to the answer."""

from __future__ import annotations

import shlex
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import spoil
from tap_clarity.sandbox.delivery import Delivery
from tap_clarity.sandbox.messages import JSON_TYPE, Request, Response
from tap_clarity.sandbox.mixing import blend, unit
from tap_clarity.sandbox.reports import denied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DRIPS: Final = 20
_HTML: Final = b"<!DOCTYPE html><html><body><h1>We'll be right back</h1></body></html>"

KINDS: Final = {
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

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            known = ", ".join(KINDS)
            message = f"no such fault: {self.kind} (there are {known})"
            raise ValueError(message)
        if not 0 <= self.at <= 1:
            raise ValueError("at is a share, from 0 to 1")

    def strikes(self, request: Request) -> bool:
        meant = self.method in {"*", request.method}
        return meant and fnmatchcase(request.path, self.path)


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
        return Response(fault.status, fault.body.encode(), headers)
    if fault.kind == "html":
        return Response(HTTPStatus.OK, _HTML, {"Content-Type": "text/html"})
    if fault.kind == "garbage":
        noise = b"".join(blend(fault.seed, turn).to_bytes(8, "big") for turn in range(64))
        return Response(HTTPStatus.OK, noise, {"Content-Type": JSON_TYPE})
    return denied() if fault.kind == "expired-link" else None


def spoiled(fault: Fault, response: Response) -> Response:
    """Do to an answer what the fault says."""
    if fault.kind in spoil.FILE_FAULTS:
        if response.status != HTTPStatus.OK:
            return response
        return spoil.spoiled_file(response, fault.kind, fault.at)
    plan = _DELIVERIES.get(fault.kind)
    return replace(response, delivery=plan(fault)) if plan else response


_DELIVERIES: Final[dict[str, Callable[[Fault], Delivery]]] = {
    "drop": lambda _: Delivery(no_answer=True),
    "cut": lambda fault: Delivery(stop_at=fault.at, ending="reset"),
    "stall": lambda fault: Delivery(wait=fault.seconds),
    "stall-inside": lambda fault: Delivery(pieces=2, pause=fault.seconds, stop_at=fault.at),
    "drip": lambda fault: Delivery(pieces=_DRIPS, pause=fault.seconds / _DRIPS),
    "truncate": lambda fault: Delivery(stop_at=fault.at, ending="shortened"),
    "truncate-lying": lambda fault: Delivery(stop_at=fault.at, ending="closed"),
}
