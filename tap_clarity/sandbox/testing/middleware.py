"""Middleware before the API: injects faults, logs requests, and serves the admin API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_clarity.sandbox.core.timestamps import iso
from tap_clarity.sandbox.testing.admin_api import ADMIN_PATH
from tap_clarity.sandbox.testing.faulted_responses import altered_response, replacement_response

if TYPE_CHECKING:
    from tap_clarity.sandbox.api.routes import Api
    from tap_clarity.sandbox.http.http_types import Request, Response
    from tap_clarity.sandbox.testing.admin_api import AdminApi
    from tap_clarity.sandbox.testing.faults import Fault


@dataclass(frozen=True, slots=True)
class Middleware:
    """Hands requests to the API, with their faults, or to the admin API."""

    api: Api
    admin_api: AdminApi

    def handle(self, request: Request) -> Response:
        if request.path.startswith(ADMIN_PATH):
            return self.admin_api.handle(request)
        at = iso(self.api.clock.millis())
        fault = self.admin_api.faults.next_fault(request)
        response = self._respond(request, fault)
        kind = None if fault is None else fault.kind
        self.admin_api.request_log.add(request, status=response.status, at=at, fault=kind)
        return response

    def _respond(self, request: Request, fault: Fault | None) -> Response:
        if fault is None:
            return self.api.handle(request)
        replacement = replacement_response(fault)
        if replacement is not None:
            return replacement
        response = self.api.handle(request)
        outcome = fault.outcome()
        if outcome is None or not response.is_success:
            return altered_response(fault, response)
        report_id = json.loads(response.whole_body())["reportId"]
        self.api.reports.set_outcome(report_id, outcome)
        if request.method == "POST":
            return self.api.reports.record(report_id, self.api.clock.millis())
        return self.api.handle(request)
