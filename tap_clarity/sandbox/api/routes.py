"""Routes of the API: authenticates requests and hands them to the handlers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.api import pagination, resource_shapes
from tap_clarity.sandbox.api.errors import ApiError, bad_request
from tap_clarity.sandbox.api.file_links import FILES_PATH
from tap_clarity.sandbox.api.pagination import Listing
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core import timestamps
from tap_clarity.sandbox.http.http_types import Request, Response, json_response
from tap_clarity.sandbox.world import datasources, devices

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.sandbox.api.recent import RecentMeasurements
    from tap_clarity.sandbox.api.reports import Reports
    from tap_clarity.sandbox.core.clock import Clock
    from tap_clarity.sandbox.world.devices import Node
    from tap_clarity.sandbox.world.world import World

KEY_HEADER: Final = "x-api-key"


@dataclass(frozen=True, slots=True)
class Api:
    """The API over a world: a method for each route."""

    world: World
    clock: Clock
    api_key: str
    recent: RecentMeasurements
    reports: Reports

    def handle(self, request: Request) -> Response:
        try:
            if request.path.startswith(FILES_PATH):
                return self._file(request)
            return self._route(request)
        except ApiError as error:
            return error.response(self.world.quirks)

    def _route(self, request: Request) -> Response:
        if request.headers.get(KEY_HEADER) != self.api_key:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Unauthorized user")
        for method, pattern, handler in _ROUTES:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return handler(self, request, *match.groups())
        raise ApiError(HTTPStatus.NOT_FOUND, "Not found")

    def _file(self, request: Request) -> Response:
        if KEY_HEADER in request.headers:
            raise bad_request("the API key must not leave for the files' host")
        return self.reports.download(request.path, request.query, self.clock.millis())

    def datasources(self, request: Request) -> Response:
        now = self._authorized_time(request)
        found = datasources.datasource_list(self.world, now)
        items = [resource_shapes.datasource(each, self.world.quirks) for each in found]
        return self._listed(request, Listing("datasourceId", "datasources", has_org=True), items)

    def datasource(self, request: Request, datasource_id: str) -> Response:
        now = self._authorized_time(request)
        datasource = self.world.find(datasource_id, now)
        if datasource is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "no such datasource")
        echo = {"datasourceId": datasource_id, "org": self.world.org}
        details = datasources.datasource_details(self.world, datasource, now)
        return json_response(resource_shapes.details(details, echo, self.world.quirks))

    def subscriptions(self, request: Request) -> Response:
        found = datasources.subscriptions(self.world, self._authorized_time(request))
        listing = Listing("subscriptionId", "subscriptions", has_org=True)
        return self._listed(request, listing, found)

    def nodes(self, request: Request) -> Response:
        found = devices.nodes(self.world, self._authorized_time(request))
        is_wrapped = Quirk.WRAPPED_NODES in self.world.quirks
        if is_wrapped and len(found) == 1:
            return json_response(found[0])
        return self._listed(request, Listing("nodeId", "nodes" if is_wrapped else None), found)

    def status_summary(self, request: Request) -> Response:
        found = devices.status_summaries(self.world, self._authorized_time(request))
        items = [resource_shapes.status_summary(each, self.world.quirks) for each in found]
        return self._listed(request, Listing("nodeId"), items)

    def node_status(self, request: Request, node_id: str) -> Response:
        now = self._authorized_time(request)
        status = devices.node_status(self.world, self._node(node_id, now), now)
        return json_response(resource_shapes.node_status(status, self.world.quirks))

    def alarms(self, request: Request, node_id: str) -> Response:
        now = self._authorized_time(request)
        found = devices.alarms(self._node(node_id, now), now)
        selected = [each for each in found if _matches_filters(each, request)]
        return self._listed(request, Listing("alarmType"), selected)

    def accessory_modules(self, request: Request) -> Response:
        found = devices.accessory_modules(self.world, self._authorized_time(request))
        return self._listed(request, Listing("moduleId"), found)

    def recent_query(self, request: Request) -> Response:
        return self.recent.query(self._body(request), self.clock.millis())

    def recent_continuation(self, request: Request) -> Response:
        return self.recent.continuation(self._body(request), self.clock.millis())

    def report_request(self, request: Request) -> Response:
        return self.reports.request(self._body(request), self.clock.millis())

    def report_poll(
        self, request: Request, version: str | None, s: str, report_id: str
    ) -> Response:
        """Poll a report at one of its paths, with or without the org."""
        singular_only = Quirk.SINGULAR_POLL_PATH in self.world.quirks
        if (singular_only and s) or not (singular_only or version):
            raise ApiError(HTTPStatus.NOT_FOUND, "Not found")
        refused = Unknown.PLURAL_POLL_REFUSED if s else Unknown.SINGULAR_POLL_REFUSED
        if refused in self.world.quirks:
            raise ApiError(HTTPStatus(self.world.parameters.poll_refusal), "Not supported")
        self._authorize(request.query.get("org", self.world.org))
        return self.reports.poll(report_id, self.clock.millis())

    def _listed(self, request: Request, listing: Listing, found: list[dict[str, Any]]) -> Response:
        base_url = self.reports.base_url
        return json_response(
            pagination.list_response(self.world, request, base_url, listing, found)
        )

    def _node(self, node_id: str, now: int) -> Node:
        node = devices.find_node(self.world, node_id, now)
        if node is None:
            raise ApiError(HTTPStatus.FORBIDDEN, "this device is not yours to read")
        return node

    def _authorized_time(self, request: Request) -> int:
        """Check the org, and return the time."""
        self._authorize(request.query.get("org"))
        return self.clock.millis()

    def _body(self, request: Request) -> dict[str, Any]:
        if not isinstance(request.body, dict):
            raise bad_request("the body must be a JSON object")
        self._authorize(request.body.get("org"))
        return request.body

    def _authorize(self, org: object) -> None:
        if org is None:
            raise bad_request("org is required")
        if org != self.world.org:
            raise ApiError(HTTPStatus.FORBIDDEN, "Forbidden")


def _matches_filters(alarm: dict[str, Any], request: Request) -> bool:
    """Whether an alarm matches the flags and times; without flags, whether it is active."""
    query = request.query
    flags = {name for name in ("active", "inactive") if name in query} or {"active"}
    state = "active" if alarm["clearedAt"] is None else "inactive"
    try:
        start, end = (timestamps.parse(query[n]) if n in query else None for n in _ALARM_BOUNDS)
    except ValueError:
        raise bad_request("startTime and endTime must be ISO 8601 times") from None
    began = timestamps.parse(alarm["startedAt"])
    last = timestamps.parse(alarm["clearedAt"] or alarm["lastExtendedAt"])
    overlaps = (start is None or last >= start) and (end is None or began < end)
    return state in flags and overlaps


_ALARM_BOUNDS: Final = ("startTime", "endTime")
_NODES: Final = "/v2/devices/nodes"
_RECENT: Final = "/v2/recent-datasource-measurements"

_ROUTES: Final[tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...]] = (
    ("GET", re.compile(r"/v2/datasources"), Api.datasources),
    ("GET", re.compile(r"/v2/datasources/([^/]+)"), Api.datasource),
    ("GET", re.compile(r"/v2/subscriptions"), Api.subscriptions),
    ("GET", re.compile(_NODES), Api.nodes),
    ("GET", re.compile(rf"{_NODES}/status-summary"), Api.status_summary),
    ("GET", re.compile(rf"{_NODES}/([^/]+)/status"), Api.node_status),
    ("GET", re.compile(rf"{_NODES}/([^/]+)/alarms"), Api.alarms),
    ("GET", re.compile(r"/v2/devices/accessory-modules"), Api.accessory_modules),
    ("POST", re.compile(rf"{_RECENT}-query"), Api.recent_query),
    ("POST", re.compile(rf"{_RECENT}-continuation"), Api.recent_continuation),
    ("POST", re.compile(r"/v2/report-requests"), Api.report_request),
    ("GET", re.compile(r"(/v2)?/report-request(s?)/([^/]+)"), Api.report_poll),
)
