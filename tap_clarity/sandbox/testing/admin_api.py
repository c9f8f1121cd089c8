"""The `/_sandbox` endpoints: clock, request log, truth, quirks and faults. They need no key."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.quirks import ALL, SWITCHES, Quirk
from tap_clarity.sandbox.behavior.unknowns import UNKNOWNS
from tap_clarity.sandbox.core import timestamps as instants
from tap_clarity.sandbox.http.http_types import ApiError, Request, Response, bad, json_response
from tap_clarity.sandbox.testing.faults import ordered
from tap_clarity.sandbox.world.metrics import FREQUENCIES
from tap_clarity.sandbox.world.records import plain
from tap_clarity.sandbox.world.world import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_clarity.sandbox.core.clock import Clock
    from tap_clarity.sandbox.testing.faults import Faults
    from tap_clarity.sandbox.testing.request_log import RequestLog
    from tap_clarity.sandbox.world.world import World

CONTROL: Final = "/_sandbox"


@dataclass(frozen=True, slots=True)
class Control:
    """What a test or a curious person may see and turn."""

    world: World
    clock: Clock
    log: RequestLog
    faults: Faults

    def answer(self, request: Request) -> Response:
        try:
            return self._call(request)
        except ApiError as error:
            return error.response()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return bad(f"{type(error).__name__}: {error}").response()

    def _call(self, request: Request) -> Response:
        path = request.path.removeprefix(CONTROL)
        for method, pattern, handler in _ROUTES:
            match = pattern.fullmatch(path)
            if match and method == request.method:
                return handler(self, request, *match.groups())
        raise ApiError(HTTPStatus.NOT_FOUND, "no such control")

    def read_clock(self, _request: Request) -> Response:
        now = instants.iso(self.clock.millis())
        return json_response({"now": now, "frozen": self.clock.frozen})

    def move_clock(self, request: Request) -> Response:
        order: dict[str, Any] = request.body
        if "frozen" in order:
            self.clock.freeze(frozen=bool(order["frozen"]))
        if "now" in order:
            self.clock.set(order["now"])
        if "advance_seconds" in order:
            self.clock.advance(order["advance_seconds"])
        return self.read_clock(request)

    def read_log(self, _request: Request) -> Response:
        return json_response(list(self.log))

    def clear_log(self, request: Request) -> Response:
        self.log.clear()
        return self.read_log(request)

    def read_quirks(self, _request: Request) -> Response:
        current = self.world.quirks
        return json_response(
            [
                {
                    "number": each.number if isinstance(each, Quirk) else None,
                    "name": each.label,
                    "says": each.says,
                    "evidence": each.evidence,
                    "on": each in current,
                }
                for each in SWITCHES
            ]
        )

    def switch_quirks(self, request: Request) -> Response:
        order: dict[str, Any] = request.body
        self.world.switches.set(**order.get("parameters", {}))
        self.world.switches.turn_off(*order.get("off", []))
        self.world.switches.turn_on(*order.get("on", []))
        return self.read_quirks(request)

    def clear_quirks(self, request: Request) -> Response:
        self.world.switches.turn_off(ALL, UNKNOWNS)
        return self.read_quirks(request)

    def read_parameters(self, _request: Request) -> Response:
        return json_response(asdict(self.world.parameters))

    def read_faults(self, _request: Request) -> Response:
        return json_response(list(self.faults))

    def order_fault(self, request: Request) -> Response:
        self.faults.add(ordered(**request.body))
        return self.read_faults(request)

    def clear_faults(self, request: Request) -> Response:
        self.faults.clear()
        return self.read_faults(request)

    def truth(self, request: Request) -> Response:
        query = request.query
        frequency = next((each for each in FREQUENCIES if each == query["frequency"]), None)
        if frequency is None:
            raise bad(f"frequency must be one of {', '.join(FREQUENCIES)}")
        as_of = query.get("as_of") or self.clock.now()
        bounds = query["start"], query["end"], as_of
        if "source_ids" in query:
            sources = query["source_ids"].split(",")
            told = self.world.truth_of_sources(frequency, *bounds, sources)
        else:
            chosen = query["datasource_ids"].split(",") if "datasource_ids" in query else None
            told = self.world.truth(frequency, *bounds, chosen)
        return _json_lines(map(plain, told))

    def resource(self, request: Request, name: str) -> Response:
        if name not in RESOURCES:
            raise bad(f"resources: {', '.join(RESOURCES)}")
        as_of = request.query.get("as_of") or self.clock.now()
        return _json_lines(self.world.resource(name, as_of))


def _json_lines(records: Iterable[dict[str, Any]]) -> Response:
    lines = (json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in records)
    return Response(HTTPStatus.OK, lines, {"Content-Type": "application/x-ndjson"})


_ROUTES: Final[tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...]] = (
    ("GET", re.compile(r"/clock"), Control.read_clock),
    ("POST", re.compile(r"/clock"), Control.move_clock),
    ("GET", re.compile(r"/requests"), Control.read_log),
    ("DELETE", re.compile(r"/requests"), Control.clear_log),
    ("GET", re.compile(r"/quirks"), Control.read_quirks),
    ("POST", re.compile(r"/quirks"), Control.switch_quirks),
    ("DELETE", re.compile(r"/quirks"), Control.clear_quirks),
    ("GET", re.compile(r"/parameters"), Control.read_parameters),
    ("GET", re.compile(r"/faults"), Control.read_faults),
    ("POST", re.compile(r"/faults"), Control.order_fault),
    ("DELETE", re.compile(r"/faults"), Control.clear_faults),
    ("GET", re.compile(r"/truth"), Control.truth),
    ("GET", re.compile(r"/truth/(\w+)"), Control.resource),
)
