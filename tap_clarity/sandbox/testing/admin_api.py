"""The `/_sandbox` endpoints: clock, request log, expected data, quirks and faults; no key."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.api.errors import ApiError, bad_request
from tap_clarity.sandbox.behavior.quirks import ALL, SWITCHES, Quirk
from tap_clarity.sandbox.behavior.unknowns import UNKNOWNS
from tap_clarity.sandbox.core import timestamps
from tap_clarity.sandbox.http.http_types import Request, Response, json_response
from tap_clarity.sandbox.testing.expected_data import RESOURCES
from tap_clarity.sandbox.testing.expected_records import measurement_record
from tap_clarity.sandbox.testing.faults import make_fault
from tap_clarity.sandbox.world.metrics import FREQUENCIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_clarity.sandbox.behavior.quirks import Switches
    from tap_clarity.sandbox.core.clock import Clock
    from tap_clarity.sandbox.testing.expected_data import ExpectedData
    from tap_clarity.sandbox.testing.faults import Faults
    from tap_clarity.sandbox.testing.request_log import RequestLog

ADMIN_PATH: Final = "/_sandbox"


@dataclass(frozen=True, slots=True)
class AdminApi:
    """Handles the requests of tests and users to the emulator itself."""

    expected: ExpectedData
    clock: Clock
    request_log: RequestLog
    faults: Faults

    @property
    def switches(self) -> Switches:
        return self.expected.world.switches

    def handle(self, request: Request) -> Response:
        try:
            return self._route(request)
        except ApiError as error:
            return error.response()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return bad_request(f"{type(error).__name__}: {error}").response()

    def _route(self, request: Request) -> Response:
        path = request.path.removeprefix(ADMIN_PATH)
        for method, pattern, handler in _ROUTES:
            match = pattern.fullmatch(path)
            if match and method == request.method:
                return handler(self, request, *match.groups())
        raise ApiError(HTTPStatus.NOT_FOUND, "no such control")

    def read_clock(self, _request: Request) -> Response:
        now = timestamps.iso(self.clock.millis())
        return json_response({"now": now, "frozen": self.clock.frozen})

    def move_clock(self, request: Request) -> Response:
        body: dict[str, Any] = request.body
        if "frozen" in body:
            self.clock.freeze(frozen=bool(body["frozen"]))
        if "now" in body:
            self.clock.set(body["now"])
        if "advance_seconds" in body:
            self.clock.advance(body["advance_seconds"])
        return self.read_clock(request)

    def read_request_log(self, _request: Request) -> Response:
        return json_response(list(self.request_log))

    def clear_request_log(self, request: Request) -> Response:
        self.request_log.clear()
        return self.read_request_log(request)

    def read_quirks(self, _request: Request) -> Response:
        quirks = self.switches.quirks
        return json_response(
            [
                {
                    "number": each.number if isinstance(each, Quirk) else None,
                    "name": each.label,
                    "says": each.description,
                    "evidence": each.evidence,
                    "on": each in quirks,
                }
                for each in SWITCHES
            ]
        )

    def switch_quirks(self, request: Request) -> Response:
        body: dict[str, Any] = request.body
        self.switches.set(**body.get("parameters", {}))
        self.switches.turn_off(*body.get("off", []))
        self.switches.turn_on(*body.get("on", []))
        return self.read_quirks(request)

    def clear_quirks(self, request: Request) -> Response:
        self.switches.turn_off(ALL, UNKNOWNS)
        return self.read_quirks(request)

    def read_parameters(self, _request: Request) -> Response:
        return json_response(asdict(self.switches.parameters))

    def read_faults(self, _request: Request) -> Response:
        return json_response(list(self.faults))

    def add_fault(self, request: Request) -> Response:
        self.faults.add(make_fault(**request.body))
        return self.read_faults(request)

    def clear_faults(self, request: Request) -> Response:
        self.faults.clear()
        return self.read_faults(request)

    def expected_measurements(self, request: Request) -> Response:
        query = request.query
        frequency = next((each for each in FREQUENCIES if each == query["frequency"]), None)
        if frequency is None:
            raise bad_request(f"frequency must be one of {', '.join(FREQUENCIES)}")
        as_of = query.get("as_of") or self.clock.now()
        bounds = query["start"], query["end"], as_of
        if "source_ids" in query:
            ids = query["source_ids"].split(",")
            found = self.expected.measurements_of_sources(frequency, *bounds, ids)
        else:
            chosen = query["datasource_ids"].split(",") if "datasource_ids" in query else None
            found = self.expected.measurements(frequency, *bounds, chosen)
        return _json_lines(map(measurement_record, found))

    def expected_records(self, request: Request, resource: str) -> Response:
        if resource not in RESOURCES:
            raise bad_request(f"resources: {', '.join(RESOURCES)}")
        as_of = request.query.get("as_of") or self.clock.now()
        return _json_lines(self.expected.records(resource, as_of))


def _json_lines(records: Iterable[dict[str, Any]]) -> Response:
    lines = (json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in records)
    return Response(HTTPStatus.OK, lines, {"Content-Type": "application/x-ndjson"})


_ROUTES: Final[tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...]] = (
    ("GET", re.compile(r"/clock"), AdminApi.read_clock),
    ("POST", re.compile(r"/clock"), AdminApi.move_clock),
    ("GET", re.compile(r"/requests"), AdminApi.read_request_log),
    ("DELETE", re.compile(r"/requests"), AdminApi.clear_request_log),
    ("GET", re.compile(r"/quirks"), AdminApi.read_quirks),
    ("POST", re.compile(r"/quirks"), AdminApi.switch_quirks),
    ("DELETE", re.compile(r"/quirks"), AdminApi.clear_quirks),
    ("GET", re.compile(r"/parameters"), AdminApi.read_parameters),
    ("GET", re.compile(r"/faults"), AdminApi.read_faults),
    ("POST", re.compile(r"/faults"), AdminApi.add_fault),
    ("DELETE", re.compile(r"/faults"), AdminApi.clear_faults),
    ("GET", re.compile(r"/truth"), AdminApi.expected_measurements),
    ("GET", re.compile(r"/truth/(\w+)"), AdminApi.expected_records),
)
