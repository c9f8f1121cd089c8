"""Every fault on every kind of call, and what becomes of it: a table that the tests go by.

`python -m tools.generate_docs` shows it in docs/faults.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Call:
    """A kind of request to Clarity, and the streams that need it."""

    name: str
    method: str
    path: str
    streams: tuple[str, ...]

    @property
    def stem(self) -> str:
        """What all paths of the kind have in common."""
        return self.path.partition("*")[0]


LIST = Call("list of a resource", "GET", "/v2/datasources", ("datasources",))
DETAILS = Call(
    "details of one object", "GET", "/v2/datasources/*", ("datasources", "datasource_details")
)
QUERY = Call(
    "recent measurements",
    "POST",
    "/v2/recent-datasource-measurements-query",
    ("recent_measurements",),
)
CONTINUATION = Call(
    "their continuation",
    "POST",
    "/v2/recent-datasource-measurements-continuation",
    ("recent_measurements",),
)
REQUEST = Call("report request", "POST", "/v2/report-requests", ("datasource_measurements",))
POLL = Call("report poll", "GET", "/v2/report-request*/*", ("datasource_measurements",))
FILE = Call("report file", "GET", "/files/*", ("datasource_measurements",))
CALLS = (LIST, DETAILS, QUERY, CONTINUATION, REQUEST, POLL, FILE)


@dataclass(frozen=True)
class Outcome:
    """What a fault comes to.

    Attributes:
        name: Short, for the table.
        means: In a sentence.
        status: Exit status of the run.
        ending: What the run's one error line says besides the fault.
        longest_wait: Most seconds that the run may wait for it.
    """

    name: str
    means: str
    status: int = 0
    ending: str = ""
    longest_wait: float = 0


AGAIN = Outcome("again", "The call is tried again after a pause.", longest_wait=41)
ELSEWHERE = Outcome("elsewhere", "The report is polled at the other of the two addresses.")
CACHE = Outcome("cache", "The token is given up; the cache is asked from the last safe point.")
NO_START = Outcome(
    "without start",
    "The cache is queried once more without `startTime`; after a first run, reports fill what that "
    "may not bring.",
)
FRESH = Outcome("fresh link", "The file is fetched through a fresh link.")
ANEW = Outcome("anew", "The report is asked for once more.")
QUOTA = Outcome(
    "quota",
    "The report quota is used up: requests resume after 6 hours, or at 00:00 UTC if that is "
    "sooner; a warning says when.",
    longest_wait=180,
)
GIVEN_UP = Outcome(
    "given up",
    "The stream fails after three minutes of pauses, and the next run goes on from its state.",
    status=1,
    ending="; given up for now, nothing is lost: run again later",
    longest_wait=180,
)
COME_BACK = Outcome(
    "come back",
    "The stream fails at once, because Clarity asks for a longer wait than three minutes; the line "
    "says from when on to run again.",
    status=1,
    ending="; nothing is lost: run again after 2026-03-10 ",
)
NOT_REPEATED = Outcome(
    "not repeated",
    "The stream fails, because Clarity may have accepted the request: it counts, and is not "
    "repeated before the next run.",
    status=1,
    ending="; Clarity may have acted on it all the same, so it is not repeated now: run again ",
)
REFUSED = Outcome(
    "refused",
    "The stream fails at once; the line names what to check. A refused key, or organisation, ends "
    "the run.",
    status=1,
    ending=": check ",
)
MISSING = Outcome(
    "left out",
    "This one is left out, with a line of its own; the others are read. The exit status is 1.",
    status=1,
    ending=": check ",
)
KEPT = Outcome(
    "kept",
    "The file is downloaded three times in all; then the stream fails, and the report is kept for "
    "the next run. The downloads of a run share three minutes of retries.",
    status=1,
    ending="its window stays open",
    longest_wait=180,
)
PUT_OFF = Outcome(
    "put off",
    "The request is rejected: the window is requested again on the next day, then after 2, 4 and "
    "every 7 days. All other windows are read. The stream fails, unless Clarity has accepted other "
    "requests.",
    status=1,
    ending="next attempt on 2026-03-11",
)
FAILED = Outcome(
    "failed",
    "The window is requested once more. When that report fails too, so does the stream; the "
    "window is requested again on the next day, then after 2, 4 and every 7 days.",
    status=1,
    ending="next attempt on 2026-03-11",
    longest_wait=180,
)
OUTCOMES = (
    *(
        AGAIN,
        ELSEWHERE,
        CACHE,
        NO_START,
        FRESH,
        ANEW,
        QUOTA,
        GIVEN_UP,
        COME_BACK,
        NOT_REPEATED,
        REFUSED,
    ),
    *(MISSING, KEPT, PUT_OFF, FAILED),
)

Fates = dict[Call, tuple[Outcome, Outcome]]
"""What a fault comes to, by call: if it strikes once, and if it does not end."""

PASSES: Fates = {
    **dict.fromkeys((LIST, DETAILS, QUERY, CONTINUATION, POLL), (AGAIN, GIVEN_UP)),
    REQUEST: (NOT_REPEATED, NOT_REPEATED),
    FILE: (AGAIN, KEPT),
}
GARBLED = PASSES | {FILE: (FRESH, KEPT)}
IS_REFUSED: Fates = {
    **dict.fromkeys((LIST, DETAILS, QUERY, REQUEST, POLL), (REFUSED, REFUSED)),
    CONTINUATION: (CACHE, CACHE),
    FILE: (FRESH, KEPT),
}
IS_REJECTED = IS_REFUSED | {REQUEST: (PUT_OFF, PUT_OFF), POLL: (ELSEWHERE, REFUSED)}
"""The key is right; a window, an id or a path may be wrong."""
TOO_LONG: Fates = {
    **dict.fromkeys((LIST, DETAILS, QUERY, CONTINUATION, POLL), (COME_BACK, COME_BACK)),
    REQUEST: (QUOTA, QUOTA),
    FILE: (FRESH, KEPT),
}


@dataclass(frozen=True, eq=False)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What it is, for the page.
        order: The sandbox's fault.
        says: What the tap says of it; one of these, if several.
        fates: What it comes to.
    """

    name: str
    order: dict[str, Any]
    says: str | tuple[str, ...]
    fates: Fates


def _status(status: int, **headers: str) -> dict[str, Any]:
    return {"kind": "status", "status": status, "headers": headers}


SLOW = {"seconds": 1}
OTHER_JSON = {"kind": "status", "status": 200, "body": '{"hello": ["world"]}'}
FAULTS = (
    Fault("503", _status(503), "Clarity has a fault of its own (HTTP 503, ", PASSES),
    Fault(
        "429, `Retry-After: 5`",
        _status(429, **{"Retry-After": "5"}),
        "Clarity is asked too often (HTTP 429, ",
        PASSES | {REQUEST: (AGAIN, QUOTA)},
    ),
    Fault(
        "429, `Retry-After` a date 40 seconds ahead",
        _status(429, **{"Retry-After": "Tue, 10 Mar 2026 09:20:40 GMT"}),
        "Clarity is asked too often (HTTP 429, ",
        PASSES | {REQUEST: (AGAIN, QUOTA)},
    ),
    Fault(
        "429, `Retry-After: 3600`",
        _status(429, **{"Retry-After": "3600"}),
        "Clarity is asked too often (HTTP 429, ",
        TOO_LONG,
    ),
    Fault(
        "429 alone",
        _status(429),
        "Clarity is asked too often (HTTP 429, ",
        PASSES | {REQUEST: (QUOTA, QUOTA)},
    ),
    Fault("connection dropped before the answer", {"kind": "drop"}, "was dropped", PASSES),
    Fault("connection dropped inside it", {"kind": "cut"}, "was dropped", PASSES),
    Fault("answer shorter than announced", {"kind": "truncate-lying"}, "was dropped", PASSES),
    Fault("no answer", {"kind": "stall"} | SLOW, "no answer within", PASSES),
    Fault("answer stops half-way", {"kind": "stall-inside"} | SLOW, "no answer within", PASSES),
    Fault("answer drips", {"kind": "drip"} | SLOW, "comes too slowly", PASSES),
    Fault("answer cut, its length right", {"kind": "truncate"}, "cut or ", GARBLED),
    Fault("200, a web page", {"kind": "html"}, "an HTML or XML page", GARBLED),
    Fault(
        "200, noise",
        {"kind": "garbage"},
        ("the reply is not JSON (cut or garbled)", "not a CSV file of measurements"),
        GARBLED,
    ),
    Fault(
        "200, JSON of something else",
        OTHER_JSON,
        ("the reply is not a", "the reply has no", "it is JSON"),
        GARBLED,
    ),
    Fault(
        "206, a part of it",
        _status(206, **{"Content-Range": "bytes 0-39/2900"}),
        ("the response has an unexpected status (HTTP 206", "is not a complete file (HTTP 206"),
        GARBLED,
    ),
    Fault("300", _status(300), "(HTTP 300", GARBLED),
    Fault("400", _status(400), "(HTTP 400, ", IS_REJECTED | {QUERY: (NO_START, REFUSED)}),
    Fault("401", _status(401), "(HTTP 401, ", IS_REFUSED),
    Fault("403", _status(403), "(HTTP 403, ", IS_REJECTED | {DETAILS: (MISSING, MISSING)}),
    Fault(
        "404",
        _status(404),
        ("(HTTP 404, ", "Clarity no longer knows it"),
        IS_REJECTED | {DETAILS: (MISSING, MISSING), POLL: (ELSEWHERE, FAILED)},
    ),
    Fault("link expired", {"kind": "expired-link"}, "its link is refused", {FILE: (FRESH, KEPT)}),
    Fault(
        "report fails",
        {"kind": "failed-report", "message": "too large"},
        "Clarity says 'too large'",
        dict.fromkeys((REQUEST, POLL), (ANEW, FAILED)),
    ),
)


def cases() -> Iterator[tuple[Fault, Call]]:
    """Each fault on each kind of call that it can strike."""
    return ((fault, call) for fault in FAULTS for call in CALLS if call in fault.fates)


def fate_rows() -> Iterator[tuple[str, ...]]:
    """Give the page's table: a row for each fault, a cell for each kind of call."""
    for fault in FAULTS:
        yield (fault.name, *(_cell(fault.fates.get(call)) for call in CALLS))


def outcome_rows() -> Iterator[tuple[str, ...]]:
    """Give the page's legend."""
    return ((outcome.name, outcome.means, str(outcome.status)) for outcome in OUTCOMES)


def _cell(fate: tuple[Outcome, Outcome] | None) -> str:
    if fate is None:
        return ""
    once, always = fate
    return once.name if once is always else f"{once.name} / {always.name}"
