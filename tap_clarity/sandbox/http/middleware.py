"""The gate before the API: faults strike here, and everything is noted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_clarity.sandbox.core.timestamps import iso
from tap_clarity.sandbox.testing.admin_api import CONTROL
from tap_clarity.sandbox.testing.faults import instead, spoiled

if TYPE_CHECKING:
    from tap_clarity.sandbox.api.routes import Api
    from tap_clarity.sandbox.http.http_types import Request, Response
    from tap_clarity.sandbox.testing.admin_api import Control
    from tap_clarity.sandbox.testing.faults import Fault


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets requests through to the API, or to the controls."""

    api: Api
    control: Control

    def answer(self, request: Request) -> Response:
        if request.path.startswith(CONTROL):
            return self.control.answer(request)
        at = iso(self.api.clock.millis())
        fault = self.control.faults.draw(request)
        response = self.api.answer(request) if fault is None else self._struck(request, fault)
        kind = None if fault is None else fault.kind
        self.control.log.note(request, status=response.status, at=at, fault=kind)
        return response

    def _struck(self, request: Request, fault: Fault) -> Response:
        other = instead(fault)
        if other is not None:
            return other
        response = self.api.answer(request)
        outcome = fault.outcome()
        if outcome is None or not response.is_success:
            return spoiled(fault, response)
        report_id = json.loads(response.whole_body())["reportId"]
        self.api.reports.order_outcome(report_id, outcome)
        if request.method == "POST":
            return self.api.reports.show(report_id, self.api.clock.millis())
        return self.api.answer(request)
