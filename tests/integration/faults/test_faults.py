"""Each fault on each kind of request: it is recovered, or gives one error line and loses no data.

tests/support/documented/api_faults.py has the expected outcomes.
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
from tests.support.constants import NOW
from tests.support.documented import report_file_faults
from tests.support.documented.api_faults import (
    CONTINUATION,
    DETAILS,
    FAILED,
    FAULTS,
    NOT_REPEATED,
    OTHER_POLL_PATH,
    QUERY,
    QUOTA_EXHAUSTED,
    REPORT_KEPT,
    REQUEST,
    REQUEST_DEFERRED,
    RETRIED,
    SKIPPED,
    Fault,
    Outcome,
    RequestKind,
    cases,
)
from tests.support.reports.harness import warnings
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import expected_records, received_requests, run_tap, upsert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Json, Key, Record, TapRun

METRIC = "pm2_5ConcMass1HourMean"
START, END = "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"
CACHED_SINCE = "2026-03-08T09:20:00Z"
"""Two days before the present instant."""
CACHED_SINCE_WITHOUT_START = "2026-03-09T09:20:00Z"
SETTINGS: dict[str, Any] = {
    "start_date": START,
    "end_date": END,
    "metric_select": f"only {METRIC}",
}
SHORT_TIMEOUT_SECONDS = 0.5
"""Seconds after which a stalled call is given up here; the setting counts whole seconds."""
EACH_FAULT_AND_REQUEST = pytest.mark.parametrize(
    ("fault", "request_kind"),
    [
        pytest.param(fault, request_kind, id=f"{fault.name}-{request_kind.name}")
        for fault, request_kind in cases()
    ],
)


@dataclass
class FaultScenario:
    """Runs of the tap, one after the other, into one database."""

    sandbox: Sandbox
    request_kind: RequestKind
    state: Json = None
    tables: dict[str, dict[Key, Record]] = field(default_factory=dict)

    def run(self) -> TapRun:
        with logging_final_errors():
            run = run_in_process(
                self.sandbox, streams=self.request_kind.streams, state=self.state, **SETTINGS
            )
        self.state = run.state
        for stream in self.request_kind.streams:
            upsert(self.tables.setdefault(stream, {}), run, stream)
        return run

    def requests(self, request_kind: RequestKind | None = None) -> int:
        """Count the requests of a kind."""
        request_kind = request_kind or self.request_kind
        return sum(
            1 for _ in received_requests(self.sandbox, request_kind.method, request_kind.stem)
        )

    def check_tables(self) -> None:
        """Compare what has been loaded with the truth."""
        for stream in self.request_kind.streams:
            assert self.tables[stream].keys() == self.expected_records_of(stream).keys()
            for key, record in self.expected_records_of(stream).items():
                assert self.tables[stream][key].items() >= record.items()

    @property
    def cached_since(self) -> str:
        """From when on Clarity has answered recent measurements: less without a start."""
        bodies = [
            r["body"]
            for r in received_requests(self.sandbox, "POST", QUERY.path)
            if r["status"] == 200
        ]
        return CACHED_SINCE if "startTime" in bodies[0] else CACHED_SINCE_WITHOUT_START

    def expected_records_of(self, stream: str) -> dict[Key, Record]:
        """Tell what the world was like when Clarity last answered; so much is in the answer."""
        expected = self.sandbox.expected
        if stream in {"datasources", "datasource_details"}:
            objects = expected.records(stream, self.sandbox.clock.now())
            return {(self.sandbox.org, each["datasource_id"]): each for each in objects}
        *_, response_time = (
            request["at"]
            for request in received_requests(self.sandbox, "POST")
            if request["status"] == 200 and request["fault"] in {None, "failed-report"}
        )
        is_recent = stream == "recent_measurements"
        start, end = (self.cached_since, response_time) if is_recent else (START, END)
        measurements = expected.measurements("hour", start, end, response_time)
        return expected_records(each for each in measurements if each.metric == METRIC)


@contextmanager
def with_short_timeouts() -> Iterator[None]:
    """Shorten what takes time in earnest: how long a stall lasts, and how often it is tried."""

    def transport(**settings: Any) -> Transport:  # noqa: ANN401
        return Transport(**settings | {"read_timeout": SHORT_TIMEOUT_SECONDS})

    with (
        patch("tap_clarity.streams.context.Transport", transport),
        patch("tap_clarity.api.limited_session.MIN_BYTES_PER_SECOND", 1e6),
        patch("tap_clarity.api.transport.MAX_RETRY_TIME", timedelta(seconds=5)),
    ):
        yield


@contextmanager
def logging_final_errors() -> Iterator[None]:
    """Let an error that ends the run be said, as the command line does."""
    sync = TapClarity.sync_streams

    def sync_and_log(tap: TapClarity) -> int:
        try:
            return sync(tap)
        except ClarityError as error:
            tap.logger.error("%s", error)  # noqa: TRY400
            return 1

    with patch.object(TapClarity, "sync_streams", sync_and_log):
        yield


@pytest.fixture
def scenario(request_kind: RequestKind) -> Iterator[FaultScenario]:
    """A small world, and a database that the continuation can go on from."""
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True, report_seconds=0) as sandbox:
        scenario = FaultScenario(sandbox, request_kind)
        if request_kind is CONTINUATION:
            assert not scenario.run().status
            sandbox.clock.advance(2 * 3600)
        yield scenario


@EACH_FAULT_AND_REQUEST
def test_one_off_fault(scenario: FaultScenario, fault: Fault, request_kind: RequestKind) -> None:
    run_with_fault(scenario, fault, times=1)
    if fault.outcomes[request_kind][0] is RETRIED:
        assert scenario.requests() == (3 if request_kind is DETAILS else 2)
    if fault.outcomes[request_kind][0] is OTHER_POLL_PATH:
        assert [
            request["path"].split("/")[2]
            for request in received_requests(scenario.sandbox, path=request_kind.stem)
        ] == [
            "report-requests",  # the request itself
            "report-requests",
            "report-request",
        ]


@EACH_FAULT_AND_REQUEST
def test_persistent_fault(scenario: FaultScenario, fault: Fault) -> None:
    run_with_fault(scenario, fault, times=None)


def run_with_fault(scenario: FaultScenario, fault: Fault, times: int | None) -> None:
    """Run with the fault, hold what comes of it to the table, and run without it if need be."""
    sandbox, request_kind = scenario.sandbox, scenario.request_kind
    outcome = fault.outcomes[request_kind][times is None]
    sandbox.faults.inject(
        **fault.order, path=request_kind.path, method=request_kind.method, times=times
    )
    start_time = sandbox.clock.now()
    with with_short_timeouts() if "seconds" in fault.order else nullcontext():
        run = scenario.run()
    assert any(request["fault"] for request in sandbox.requests)
    assert run.status == outcome.status, run.errors
    assert "Traceback" not in run.errors
    requests_in_parallel = 2 if request_kind is DETAILS else 1  # both move the clock
    assert sandbox.clock.now() - start_time <= timedelta(
        seconds=outcome.max_wait_seconds * requests_in_parallel
    )
    check_messages(run, fault, request_kind, outcome)
    if outcome in {NOT_REPEATED, REPORT_KEPT}:
        assert scenario.requests(REQUEST) == 1
    if outcome.status or outcome is QUOTA_EXHAUSTED:
        resume(scenario, outcome)
    scenario.check_tables()


def check_messages(run: TapRun, fault: Fault, request_kind: RequestKind, outcome: Outcome) -> None:
    alternatives = fault.message if isinstance(fault.message, tuple) else (fault.message,)
    if outcome is SKIPPED:
        assert 1 <= len(run.error_lines) <= 2
    else:
        assert len(run.error_lines) == outcome.status
    for error_line in run.error_lines:
        assert any(message in error_line for message in alternatives)
        assert outcome.ending in error_line
        assert error_line.isprintable()
        if outcome not in {REPORT_KEPT, FAILED}:
            assert f"{request_kind.method} {request_kind.stem}" in error_line
    if outcome is QUOTA_EXHAUSTED:
        (warning,) = (line for line in warnings(run) if "requests resume at" in line)
        assert "; requests resume at 2026-03-10 15:2" in warning


def resume(scenario: FaultScenario, outcome: Outcome) -> None:
    sandbox = scenario.sandbox
    sandbox.faults.clear()
    if outcome is QUOTA_EXHAUSTED:
        sandbox.clock.set("2026-03-10T15:30:00Z")
    if outcome in {FAILED, REQUEST_DEFERRED}:
        sandbox.clock.set("2026-03-11T00:01:00Z")
    run = scenario.run()
    assert (run.status, run.error_lines) == (0, []), run.errors
    assert "unusable" not in run.errors


def test_each_fault_of_the_sandbox_is_tested() -> None:
    tables = (*FAULTS, *report_file_faults.FAULTS)
    accepted = {
        "row-outside",
        "row-twice",
    }  # tests/integration/reports/test_report_files.py shows what comes of them
    assert {fault.order["kind"] for fault in tables} == KINDS.keys() - accepted


RETRIES_EXHAUSTED_MESSAGE = (
    "datasources: GET /v2/datasources: the reply is not JSON (an HTML or XML page); "
    "given up for now, nothing is lost: run again later"
)
REJECTED_MESSAGE = (
    "GET /v2/datasources: Clarity does not know the API key: check the setting api_key "
    "(HTTP 401, 'Service Unavailable')"
)


@pytest.mark.parametrize(
    ("order", "expected_errors"),
    [
        ({"kind": "garbage"}, []),
        ({"kind": "html", "times": None}, [RETRIES_EXHAUSTED_MESSAGE]),
        ({"kind": "status", "status": 401}, [REJECTED_MESSAGE]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_process_ends_with_the_documented_status(
    sandbox: Sandbox, order: dict[str, Any], expected_errors: list[str]
) -> None:
    sandbox.faults.inject(**order)
    run = run_tap(sandbox, streams=["datasources"])
    assert (run.status, run.error_lines) == (len(expected_errors), expected_errors)
    assert "Traceback" not in run.errors
