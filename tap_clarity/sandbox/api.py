"""The emulated API: which request goes where, and who may ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import metadata
from tap_clarity.sandbox.messages import ApiError, Request, Response, bad, json_response
from tap_clarity.sandbox.reports import FILES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.sandbox.clock import Clock
    from tap_clarity.sandbox.recent import Recent
    from tap_clarity.sandbox.reports import ReportDesk
    from tap_clarity.sandbox.world import World

KEY_HEADER: Final = "x-api-key"


@dataclass(frozen=True, slots=True)
class Api:
    """The service's surface over one world."""

    world: World
    clock: Clock
    api_key: str
    recent: Recent
    reports: ReportDesk

    def answer(self, request: Request) -> Response:
        try:
            if request.path.startswith(FILES):
                return self._file(request)
            return self._call(request)
        except ApiError as error:
            return error.response()

    def _call(self, request: Request) -> Response:
        if request.headers.get(KEY_HEADER) != self.api_key:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Unauthorized user")
        for method, pattern, handler in _ROUTES:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return handler(self, request, *match.groups())
        raise ApiError(HTTPStatus.NOT_FOUND, "Not found")

    def _file(self, request: Request) -> Response:
        if KEY_HEADER in request.headers:
            raise bad("the API key must not leave for the files' host")
        return self.reports.fetch(
            request.path.removeprefix(FILES), request.query, self.clock.millis()
        )

    def datasources(self, request: Request) -> Response:
        self._admit(request.query.get("org"))
        found = metadata.datasource_list(self.world, self.clock.millis())
        return json_response({"subscribingOrg": self.world.org, "datasources": found})

    def datasource(self, request: Request, datasource_id: str) -> Response:
        self._admit(request.query.get("org"))
        now = self.clock.millis()
        datasource = self.world.find(datasource_id, now)
        if datasource is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "no such datasource")
        echo = {"datasourceId": datasource_id, "org": self.world.org}
        details = metadata.datasource_details(self.world, datasource, now)
        return json_response({"request": echo, "datasource": details})

    def recent_query(self, request: Request) -> Response:
        return self.recent.query(self._body(request), self.clock.millis())

    def recent_continuation(self, request: Request) -> Response:
        return self.recent.go_on(self._body(request), self.clock.millis())

    def report_request(self, request: Request) -> Response:
        return self.reports.request(self._body(request), self.clock.millis())

    def report_poll(self, request: Request, report_id: str) -> Response:
        # Clients poll with and without the org.
        self._admit(request.query.get("org", self.world.org))
        return self.reports.poll(report_id, self.clock.millis())

    def _body(self, request: Request) -> dict[str, Any]:
        if not isinstance(request.body, dict):
            raise bad("the body must be a JSON object")
        self._admit(request.body.get("org"))
        return request.body

    def _admit(self, org: object) -> None:
        if org is None:
            raise bad("org is required")
        if org != self.world.org:
            raise ApiError(HTTPStatus.FORBIDDEN, "Forbidden")


_ROUTES: Final[tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...]] = (
    ("GET", re.compile(r"/v2/datasources"), Api.datasources),
    ("GET", re.compile(r"/v2/datasources/([^/]+)"), Api.datasource),
    ("POST", re.compile(r"/v2/recent-datasource-measurements-query"), Api.recent_query),
    (
        "POST",
        re.compile(r"/v2/recent-datasource-measurements-continuation"),
        Api.recent_continuation,
    ),
    ("POST", re.compile(r"/v2/report-requests"), Api.report_request),
    ("GET", re.compile(r"/v2/report-requests/([^/]+)"), Api.report_poll),
)
