"""A table of API faults for each kind of request, and their outcomes.

`python -m tools.generate_docs` writes it into docs/faults.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class RequestKind:
    """A kind of request to Clarity, and the streams that need it."""

    name: str
    method: str
    path: str
    streams: tuple[str, ...]

    @property
    def stem(self) -> str:
        """What all paths of the kind have in common."""
        return self.path.partition("*")[0]


LIST = RequestKind("list of a resource", "GET", "/v2/datasources", ("datasources",))
DETAILS = RequestKind(
    "details of one object", "GET", "/v2/datasources/*", ("datasources", "datasource_details")
)
QUERY = RequestKind(
    "recent measurements",
    "POST",
    "/v2/recent-datasource-measurements-query",
    ("recent_measurements",),
)
CONTINUATION = RequestKind(
    "their continuation",
    "POST",
    "/v2/recent-datasource-measurements-continuation",
    ("recent_measurements",),
)
REQUEST = RequestKind("report request", "POST", "/v2/report-requests", ("datasource_measurements",))
POLL = RequestKind("report poll", "GET", "/v2/report-request*/*", ("datasource_measurements",))
FILE = RequestKind("report file", "GET", "/files/*", ("datasource_measurements",))
REQUEST_KINDS = (LIST, DETAILS, QUERY, CONTINUATION, REQUEST, POLL, FILE)


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
    meaning: str
    status: int = 0
    ending: str = ""
    max_wait_seconds: float = 0


RETRIED = Outcome("again", "The call is tried again after a pause.", max_wait_seconds=41)
OTHER_POLL_PATH = Outcome("elsewhere", "The report is polled at the other of the two addresses.")
TOKEN_REJECTED = Outcome(
    "cache", "The token is given up; the cache is asked from the last safe point."
)
WITHOUT_START = Outcome(
    "without start",
    "The cache is queried once more without `startTime`; after a first run, reports fill what that "
    "may not bring.",
)
NEW_LINK = Outcome("fresh link", "The file is fetched through a fresh link.")
REQUESTED_AGAIN = Outcome("anew", "The report is asked for once more.")
QUOTA_EXHAUSTED = Outcome(
    "quota",
    "The report quota is used up: requests resume after 6 hours, or at 00:00 UTC if that is "
    "sooner; a warning says when.",
    max_wait_seconds=180,
)
RETRIES_EXHAUSTED = Outcome(
    "given up",
    "The stream fails after three minutes of pauses, and the next run goes on from its state.",
    status=1,
    ending="; given up for now, nothing is lost: run again later",
    max_wait_seconds=180,
)
RETRY_LATER = Outcome(
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
REJECTED = Outcome(
    "refused",
    "The stream fails at once; the line names what to check. A refused key, or organisation, ends "
    "the run.",
    status=1,
    ending=": check ",
)
SKIPPED = Outcome(
    "left out",
    "This one is left out, with a line of its own; the others are read. The exit status is 1.",
    status=1,
    ending=": check ",
)
REPORT_KEPT = Outcome(
    "kept",
    "The file is downloaded three times in all; then the stream fails, and the report is kept for "
    "the next run. The downloads of a run share three minutes of retries.",
    status=1,
    ending="its window stays open",
    max_wait_seconds=180,
)
REQUEST_DEFERRED = Outcome(
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
    max_wait_seconds=180,
)
OUTCOMES = (
    *(
        RETRIED,
        OTHER_POLL_PATH,
        TOKEN_REJECTED,
        WITHOUT_START,
        NEW_LINK,
        REQUESTED_AGAIN,
        QUOTA_EXHAUSTED,
        RETRIES_EXHAUSTED,
        RETRY_LATER,
        NOT_REPEATED,
        REJECTED,
    ),
    *(SKIPPED, REPORT_KEPT, REQUEST_DEFERRED, FAILED),
)

OutcomesByRequest = dict[RequestKind, tuple[Outcome, Outcome]]
"""What a fault comes to, by call: if it strikes once, and if it does not end."""

TRANSIENT: OutcomesByRequest = {
    **dict.fromkeys((LIST, DETAILS, QUERY, CONTINUATION, POLL), (RETRIED, RETRIES_EXHAUSTED)),
    REQUEST: (NOT_REPEATED, NOT_REPEATED),
    FILE: (RETRIED, REPORT_KEPT),
}
CORRUPT = TRANSIENT | {FILE: (NEW_LINK, REPORT_KEPT)}
UNAUTHORIZED: OutcomesByRequest = {
    **dict.fromkeys((LIST, DETAILS, QUERY, REQUEST, POLL), (REJECTED, REJECTED)),
    CONTINUATION: (TOKEN_REJECTED, TOKEN_REJECTED),
    FILE: (NEW_LINK, REPORT_KEPT),
}
BAD_REQUEST = UNAUTHORIZED | {
    REQUEST: (REQUEST_DEFERRED, REQUEST_DEFERRED),
    POLL: (OTHER_POLL_PATH, REJECTED),
}
"""The key is right; a window, an id or a path may be wrong."""
LONG_RETRY_AFTER: OutcomesByRequest = {
    **dict.fromkeys((LIST, DETAILS, QUERY, CONTINUATION, POLL), (RETRY_LATER, RETRY_LATER)),
    REQUEST: (QUOTA_EXHAUSTED, QUOTA_EXHAUSTED),
    FILE: (NEW_LINK, REPORT_KEPT),
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
    message: str | tuple[str, ...]
    outcomes: OutcomesByRequest


def _status(status: int, **headers: str) -> dict[str, Any]:
    return {"kind": "status", "status": status, "headers": headers}


SLOW = {"seconds": 1}
UNRELATED_JSON = {"kind": "status", "status": 200, "body": '{"hello": ["world"]}'}
FAULTS = (
    Fault("503", _status(503), "Clarity has a fault of its own (HTTP 503, ", TRANSIENT),
    Fault(
        "429, `Retry-After: 5`",
        _status(429, **{"Retry-After": "5"}),
        "Clarity is asked too often (HTTP 429, ",
        TRANSIENT | {REQUEST: (RETRIED, QUOTA_EXHAUSTED)},
    ),
    Fault(
        "429, `Retry-After` a date 40 seconds ahead",
        _status(429, **{"Retry-After": "Tue, 10 Mar 2026 09:20:40 GMT"}),
        "Clarity is asked too often (HTTP 429, ",
        TRANSIENT | {REQUEST: (RETRIED, QUOTA_EXHAUSTED)},
    ),
    Fault(
        "429, `Retry-After: 3600`",
        _status(429, **{"Retry-After": "3600"}),
        "Clarity is asked too often (HTTP 429, ",
        LONG_RETRY_AFTER,
    ),
    Fault(
        "429 alone",
        _status(429),
        "Clarity is asked too often (HTTP 429, ",
        TRANSIENT | {REQUEST: (QUOTA_EXHAUSTED, QUOTA_EXHAUSTED)},
    ),
    Fault("connection dropped before the answer", {"kind": "drop"}, "was dropped", TRANSIENT),
    Fault("connection dropped inside it", {"kind": "cut"}, "was dropped", TRANSIENT),
    Fault("answer shorter than announced", {"kind": "truncate-lying"}, "was dropped", TRANSIENT),
    Fault("no answer", {"kind": "stall"} | SLOW, "no answer within", TRANSIENT),
    Fault("answer stops half-way", {"kind": "stall-inside"} | SLOW, "no answer within", TRANSIENT),
    Fault("answer drips", {"kind": "drip"} | SLOW, "comes too slowly", TRANSIENT),
    Fault("answer cut, its length right", {"kind": "truncate"}, "cut or ", CORRUPT),
    Fault("200, a web page", {"kind": "html"}, "an HTML or XML page", CORRUPT),
    Fault(
        "200, noise",
        {"kind": "garbage"},
        ("the reply is not JSON (cut or garbled)", "not a CSV file of measurements"),
        CORRUPT,
    ),
    Fault(
        "200, JSON of something else",
        UNRELATED_JSON,
        ("the reply is not a", "the reply has no", "it is JSON"),
        CORRUPT,
    ),
    Fault(
        "206, a part of it",
        _status(206, **{"Content-Range": "bytes 0-39/2900"}),
        ("the response has an unexpected status (HTTP 206", "is not a complete file (HTTP 206"),
        CORRUPT,
    ),
    Fault("300", _status(300), "(HTTP 300", CORRUPT),
    Fault("400", _status(400), "(HTTP 400, ", BAD_REQUEST | {QUERY: (WITHOUT_START, REJECTED)}),
    Fault("401", _status(401), "(HTTP 401, ", UNAUTHORIZED),
    Fault("403", _status(403), "(HTTP 403, ", BAD_REQUEST | {DETAILS: (SKIPPED, SKIPPED)}),
    Fault(
        "404",
        _status(404),
        ("(HTTP 404, ", "Clarity no longer knows it"),
        BAD_REQUEST | {DETAILS: (SKIPPED, SKIPPED), POLL: (OTHER_POLL_PATH, FAILED)},
    ),
    Fault(
        "link expired",
        {"kind": "expired-link"},
        "its link is refused",
        {FILE: (NEW_LINK, REPORT_KEPT)},
    ),
    Fault(
        "report fails",
        {"kind": "failed-report", "message": "too large"},
        "Clarity says 'too large'",
        dict.fromkeys((REQUEST, POLL), (REQUESTED_AGAIN, FAILED)),
    ),
)


def cases() -> Iterator[tuple[Fault, RequestKind]]:
    """Each fault on each kind of call that it can strike."""
    return ((fault, call) for fault in FAULTS for call in REQUEST_KINDS if call in fault.outcomes)


def outcomes_by_request_rows() -> Iterator[tuple[str, ...]]:
    """Give the page's table: a row for each fault, a cell for each kind of call."""
    for fault in FAULTS:
        yield (fault.name, *(_cell(fault.outcomes.get(call)) for call in REQUEST_KINDS))


def outcome_rows() -> Iterator[tuple[str, ...]]:
    """Give the page's legend."""
    return ((outcome.name, outcome.meaning, str(outcome.status)) for outcome in OUTCOMES)


def _cell(outcomes: tuple[Outcome, Outcome] | None) -> str:
    if outcomes is None:
        return ""
    one_off, persistent = outcomes
    return one_off.name if one_off is persistent else f"{one_off.name} / {persistent.name}"
