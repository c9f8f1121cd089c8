"""The API of one organization: a method for each endpoint."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote

from tap_clarity.api.errors import (
    AccessDeniedError,
    ClarityError,
    MalformedResponseError,
    NotFoundError,
    OrgRejectedError,
    QuotaExhaustedError,
    RequestRejectedError,
    TooManyRequestsError,
    UnavailableError,
    one_line,
)
from tap_clarity.api.files import read_files
from tap_clarity.api.listing import Listing, read_list
from tap_clarity.api.recent_responses import MAX_RECENT_BYTES, RecentResponse, read_recent
from tap_clarity.api.report_responses import ReportRecord, read_report_id, read_report_record
from tap_clarity.api.response_body import JsonObject, read_object
from tap_clarity.api.transport import COMPLETE, Request, Transport
from tap_clarity.core.timestamps import Window, format_timestamp
from tap_clarity.core.validators import is_valid_id
from tap_clarity.planning.report_steps import Report, ReportStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

T = TypeVar("T")

DATASOURCES = "/v2/datasources"
NODES = "/v2/devices/nodes"
RECENT = "/v2/recent-datasource-measurements"
REPORTS = "/v2/report-requests"
POLL_PATHS = (f"{REPORTS}/", "/v2/report-request/")
"""The guide and its examples disagree on how the path of a report begins."""
REQUEST_STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})
POLL_STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})
LONG_AGO = "2014-01-01T00:00:00.000Z"
"""Before the first node was made."""


class ClarityClient:
    """Clarity's API, for one organization.

    Each method raises ClarityError if Clarity rejects the request, cannot be reached, or answers
    with anything else than what the method gives.
    """

    def __init__(self, transport: Transport, org: str) -> None:
        self._transport = transport
        self._org = org
        self._poll_paths: tuple[str, ...] = POLL_PATHS

    def redact(self, text: str) -> str:
        """Redact secrets."""
        return self._transport.secrets.redact(text)

    # Metadata

    def list_datasources(self) -> Listing:
        """List the datasources that the organization may read.

        Raises:
            OrgRejectedError: If it may read none: any member of an organization may read this list.
        """
        try:
            return self._list(DATASOURCES, "datasources", "datasourceId")
        except AccessDeniedError as error:
            raise OrgRejectedError(str(error)) from error

    def get_datasource(self, id_: str) -> JsonObject:
        """Get the details of a datasource."""
        return self._get(f"{DATASOURCES}/{_quote(id_)}", "datasource", "datasourceId")

    def list_subscriptions(self) -> Listing:
        """List the organization's rights to read datasources."""
        return self._list("/v2/subscriptions", "subscriptions", "subscriptionId")

    def list_nodes(self) -> Listing:
        """List the organization's nodes."""
        return self._list(NODES, "nodes", "nodeId")

    def list_node_status_summaries(self) -> Listing:
        """List the status of all nodes, in short."""
        return self._list(f"{NODES}/status-summary", "nodes", "nodeId")

    def get_node_status(self, id_: str) -> JsonObject:
        """Get the status of a node."""
        return self._get(f"{NODES}/{_quote(id_)}/status", "status", "summary", "activity")

    def list_node_alarms(self, id_: str) -> Listing:
        """List all alarms of a node that Clarity still keeps."""
        # What it answers without flags and start is not documented.
        path = f"{NODES}/{_quote(id_)}/alarms?active&inactive"
        return self._list(path, "alarms", "alarmType", "startedAt", startTime=LONG_AGO)

    def list_accessory_modules(self) -> Listing:
        """List the organization's accessory modules."""
        return self._list("/v2/devices/accessory-modules", "accessoryModules", "moduleId")

    # Recent measurements

    def query_recent(
        self, query: Mapping[str, Any], start: datetime | None, open_body: Callable[[BinaryIO], T]
    ) -> RecentResponse[T]:
        """Query the recent cache for everything from `start` on.

        Args:
            query: The body, all but format, start and token.
            start: First timestamp to answer; None for as much as Clarity answers without a start.
            open_body: Makes measurements of the response; raises ValueError if it cannot.
        """
        # Without a start Clarity answers less than it has; without a frequency it once answered
        # 400.
        body = {**query, "format": "csv-wide", "replyWithContinuationToken": True}
        if start:
            body["startTime"] = format_timestamp(start)
        request = Request("POST", f"{RECENT}-query", body=body, max_bytes=MAX_RECENT_BYTES)
        return self._read_recent(request, open_body)

    def continue_recent(self, token: str, open_body: Callable[[BinaryIO], T]) -> RecentResponse[T]:
        """Get what has come since the token was issued."""
        request = Request(
            *("POST", f"{RECENT}-continuation"),
            body={"org": self._org, "continuationToken": token},
            secret=token,
            max_bytes=MAX_RECENT_BYTES,
            statuses=COMPLETE | {HTTPStatus.NO_CONTENT},
        )
        return self._read_recent(request, open_body)

    # Reports

    def request_report(self, query: Mapping[str, Any], window: Window) -> str:
        """Request a report and give its id; this costs one of the organization's 30 a day.

        Raises:
            QuotaExhaustedError: If Clarity accepts no more requests today.
            AmbiguousError: If it is unknown whether Clarity has accepted it.
        """
        body = {
            **query,
            "startTime": format_timestamp(window.start),
            "endTime": format_timestamp(window.end),
        }
        request = Request(
            "POST", REPORTS, body=body, is_idempotent=False, statuses=REQUEST_STATUSES
        )
        try:
            secrets = self._transport.secrets
            return self._transport.request(request, lambda each: read_report_id(each, secrets))
        except UnavailableError as error:
            if isinstance(error.__cause__, TooManyRequestsError):
                raise QuotaExhaustedError(str(error)) from error
            raise

    def poll_report(self, report: Report) -> ReportRecord:
        """Get the record of a report.

        Which of two paths the service has is unknown, and so is how it answers to the other one.
        """
        rejections: list[ClarityError] = []
        for path in self._poll_paths:
            try:
                record = self._poll_at(path, report)
            except (AccessDeniedError, RequestRejectedError) as error:
                rejections.append(error)
            else:
                self._poll_paths = (path, *(each for each in POLL_PATHS if each != path))
                return record
        if any(isinstance(error, NotFoundError) for error in rejections):
            return ReportRecord(ReportStatus.NOT_FOUND, "Clarity no longer knows it")
        raise rejections[0]

    def read_report(
        self,
        report: Report,
        urls: Sequence[str],
        open_file: Callable[[BinaryIO, Window], Iterator[T]],
    ) -> Iterator[T]:
        """Give the rows of a report's files, once all are downloaded and verified: `read_files`."""
        return read_files(self._transport, report, urls, open_file)

    def _poll_at(self, path: str, report: Report) -> ReportRecord:
        request = Request(
            "GET", path + _quote(report.id), query={"org": self._org}, statuses=POLL_STATUSES
        )
        secrets = self._transport.secrets
        return self._transport.request(request, lambda each: read_report_record(each, secrets))

    def _read_recent(
        self, request: Request, open_body: Callable[[BinaryIO], T]
    ) -> RecentResponse[T]:
        found = self._transport.request(request, lambda each: read_recent(each, open_body))
        self._transport.secrets.add(found.token or "")
        return found

    def _list(self, path: str, wrapper: str, *keys: str, **query: str) -> Listing:
        request = Request("GET", path, query={"org": self._org, **query})
        return read_list(self._transport, request, wrapper, *keys)

    def _get(self, path: str, wrapper: str, *fields: str) -> JsonObject:
        request = Request("GET", path, query={"org": self._org})
        return self._transport.request(
            request, lambda response: read_object(response.body, wrapper, *fields)
        )


def _quote(id_: str) -> str:
    if not is_valid_id(id_):
        raise MalformedResponseError(
            f"an id is empty, too long, or no plain text: {one_line(id_)!r}"
        )
    return quote(id_, safe="")
