"""Each fault on each kind of call: recovered, or one right sentence and nothing lost.

What each comes to stands in the table of tests/support/fault_table.py.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tap_clarity.api.errors import ClarityError
from tap_clarity.api.transport import Transport
from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.testing.faults import KINDS
from tap_clarity.tap import TapClarity
from tests.support import report_faults
from tests.support.constants import NOW
from tests.support.fault_table import (
    AGAIN,
    CONTINUATION,
    DETAILS,
    ELSEWHERE,
    FAILED,
    FAULTS,
    KEPT,
    MISSING,
    NOT_REPEATED,
    PUT_OFF,
    QUERY,
    QUOTA,
    REQUEST,
    Call,
    Fault,
    Outcome,
    cases,
)
from tests.support.report_harness import run_inside, warnings
from tests.support.tap_process import calls, expected_records, run_tap, upsert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Json, Key, Record, TapRun

METRIC = "pm2_5ConcMass1HourMean"
START, END = "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"
CACHED_SINCE = "2026-03-08T09:20:00Z"
"""Two days before the present instant."""
UNASKED_SINCE = "2026-03-09T09:20:00Z"
SETTINGS: dict[str, Any] = {
    "start_date": START,
    "end_date": END,
    "metric_select": f"only {METRIC}",
}
SHORT = 0.5
"""Seconds after which a stalled call is given up here; the setting counts whole seconds."""
BOTH = pytest.mark.parametrize(
    ("fault", "call"),
    [pytest.param(fault, call, id=f"{fault.name}-{call.name}") for fault, call in cases()],
)


@dataclass
class Story:
    """Runs of the tap, one after the other, into one database."""

    sandbox: Sandbox
    call: Call
    state: Json = None
    tables: dict[str, dict[Key, Record]] = field(default_factory=dict)

    def run(self) -> TapRun:
        with ending_as_a_command():
            run = run_inside(self.sandbox, streams=self.call.streams, state=self.state, **SETTINGS)
        self.state = run.state
        for stream in self.call.streams:
            upsert(self.tables.setdefault(stream, {}), run, stream)
        return run

    def requests(self, call: Call | None = None) -> int:
        """Count the requests of a kind."""
        call = call or self.call
        return sum(1 for _ in calls(self.sandbox, call.method, call.stem))

    def is_complete(self) -> None:
        """Compare what has been loaded with the truth."""
        for stream in self.call.streams:
            assert self.tables[stream].keys() == self.truth(stream).keys()
            for key, record in self.truth(stream).items():
                assert self.tables[stream][key].items() >= record.items()

    @property
    def cached_since(self) -> str:
        """From when on Clarity has answered recent measurements: less without a start."""
        bodies = [r["body"] for r in calls(self.sandbox, "POST", QUERY.path) if r["status"] == 200]
        return CACHED_SINCE if "startTime" in bodies[0] else UNASKED_SINCE

    def truth(self, stream: str) -> dict[Key, Record]:
        """Tell what the world was like when Clarity last answered; so much is in the answer."""
        expected = self.sandbox.expected
        if stream in {"datasources", "datasource_details"}:
            told = expected.records(stream, self.sandbox.clock.now())
            return {(self.sandbox.org, each["datasource_id"]): each for each in told}
        *_, answered = (
            request["at"]
            for request in calls(self.sandbox, "POST")
            if request["status"] == 200 and request["fault"] in {None, "failed-report"}
        )
        is_recent = stream == "recent_measurements"
        start, end = (self.cached_since, answered) if is_recent else (START, END)
        measured = expected.measurements("hour", start, end, answered)
        return expected_records(each for each in measured if each.metric == METRIC)


@contextmanager
def impatiently() -> Iterator[None]:
    """Shorten what takes time in earnest: how long a stall lasts, and how often it is tried."""

    def transport(**settings: Any) -> Transport:  # noqa: ANN401
        return Transport(**settings | {"read_timeout": SHORT})

    with (
        patch("tap_clarity.streams.context.Transport", transport),
        patch("tap_clarity.api.session.MIN_BYTES_PER_SECOND", 1e6),
        patch("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(seconds=5)),
    ):
        yield


@contextmanager
def ending_as_a_command() -> Iterator[None]:
    """Let an error that ends the run be said, as the command line does."""
    sync = TapClarity.sync_streams

    def loudly(tap: TapClarity) -> int:
        try:
            return sync(tap)
        except ClarityError as error:
            tap.logger.error("%s", error)  # noqa: TRY400
            return 1

    with patch.object(TapClarity, "sync_streams", loudly):
        yield


@pytest.fixture
def story(call: Call) -> Iterator[Story]:
    """A small world, and a database that the continuation can go on from."""
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True, report_seconds=0) as sandbox:
        story = Story(sandbox, call)
        if call is CONTINUATION:
            assert not story.run().status
            sandbox.clock.advance(2 * 3600)
        yield story


@BOTH
def test_a_fault_that_strikes_once(story: Story, fault: Fault, call: Call) -> None:
    strike(story, fault, times=1)
    if fault.fates[call][0] is AGAIN:
        assert story.requests() == (3 if call is DETAILS else 2)
    if fault.fates[call][0] is ELSEWHERE:
        assert [
            request["path"].split("/")[2] for request in calls(story.sandbox, path=call.stem)
        ] == [
            "report-requests",  # the request itself
            "report-requests",
            "report-request",
        ]


@BOTH
def test_a_fault_that_does_not_end(story: Story, fault: Fault) -> None:
    strike(story, fault, times=None)


def strike(story: Story, fault: Fault, times: int | None) -> None:
    """Run with the fault, hold what comes of it to the table, and run without it if need be."""
    sandbox, call = story.sandbox, story.call
    outcome = fault.fates[call][times is None]
    sandbox.faults.inject(**fault.order, path=call.path, method=call.method, times=times)
    begin = sandbox.clock.now()
    with impatiently() if "seconds" in fault.order else nullcontext():
        run = story.run()
    assert any(request["fault"] for request in sandbox.requests)
    assert run.status == outcome.status, run.errors
    assert "Traceback" not in run.errors
    at_once = 2 if call is DETAILS else 1  # both move the clock
    assert sandbox.clock.now() - begin <= timedelta(seconds=outcome.longest_wait * at_once)
    says_what_happened(run, fault, call, outcome)
    if outcome in {NOT_REPEATED, KEPT}:
        assert story.requests(REQUEST) == 1
    if outcome.status or outcome is QUOTA:
        go_on(story, outcome)
    story.is_complete()


def says_what_happened(run: TapRun, fault: Fault, call: Call, outcome: Outcome) -> None:
    alternatives = fault.says if isinstance(fault.says, tuple) else (fault.says,)
    if outcome is MISSING:
        assert 1 <= len(run.complaints) <= 2
    else:
        assert len(run.complaints) == outcome.status
    for complaint in run.complaints:
        assert any(words in complaint for words in alternatives)
        assert outcome.ending in complaint
        assert complaint.isprintable()
        if outcome not in {KEPT, FAILED}:
            assert f"{call.method} {call.stem}" in complaint
    if outcome is QUOTA:
        (warning,) = (line for line in warnings(run) if "requests resume at" in line)
        assert "; requests resume at 2026-03-10 15:2" in warning


def go_on(story: Story, outcome: Outcome) -> None:
    sandbox = story.sandbox
    sandbox.faults.clear()
    if outcome is QUOTA:
        sandbox.clock.set("2026-03-10T15:30:00Z")
    if outcome in {FAILED, PUT_OFF}:
        sandbox.clock.set("2026-03-11T00:01:00Z")
    run = story.run()
    assert (run.status, run.complaints) == (0, []), run.errors
    assert "unusable" not in run.errors


def test_each_fault_that_the_sandbox_offers_is_in_a_table() -> None:
    tables = (*FAULTS, *report_faults.FAULTS)
    accepted = {
        "row-outside",
        "row-twice",
    }  # tests/integration/reports/test_report_files.py shows what comes of them
    assert {fault.order["kind"] for fault in tables} == KINDS.keys() - accepted


GIVEN_UP_SAYS = (
    "datasources: GET /v2/datasources: the reply is not JSON (an HTML or XML page); "
    "given up for now, nothing is lost: run again later"
)
REFUSED_SAYS = (
    "GET /v2/datasources: Clarity does not know the API key: check the setting api_key "
    "(HTTP 401, 'Service Unavailable')"
)


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"kind": "garbage"}, []),
        ({"kind": "html", "times": None}, [GIVEN_UP_SAYS]),
        ({"kind": "status", "status": 401}, [REFUSED_SAYS]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_process_ends_as_the_table_says(
    sandbox: Sandbox, order: dict[str, Any], says: list[str]
) -> None:
    sandbox.faults.inject(**order)
    run = run_tap(sandbox, streams=["datasources"])
    assert (run.status, run.complaints) == (len(says), says)
    assert "Traceback" not in run.errors
