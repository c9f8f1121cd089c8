"""Reports: request, poll and download."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.api import report_files
from tap_clarity.sandbox.api.errors import ApiError, bad_request
from tap_clarity.sandbox.api.file_links import FileLinks, access_denied, no_such_key
from tap_clarity.sandbox.api.quota import Quota
from tap_clarity.sandbox.api.report_builder import ReportBuilder, is_built
from tap_clarity.sandbox.api.report_query import read_report_query
from tap_clarity.sandbox.api.report_records import (
    NO_DATA,
    SUCCEEDED,
    RecordSerializer,
    Report,
    ReportOutcome,
    url_fields,
)
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import HOUR, SECOND
from tap_clarity.sandbox.http.http_types import json_response
from tap_clarity.sandbox.world.rng import combine, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_clarity.sandbox.api.report_files import Gzip
    from tap_clarity.sandbox.api.report_query import ReportQuery
    from tap_clarity.sandbox.http.http_types import Response
    from tap_clarity.sandbox.world.world import Window, World


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """How long reports take and links are valid, the daily quota, and the files of a report."""

    seconds: float = 20
    url_seconds: float = 900
    daily_quota: int = 30
    files: int = 1
    gzip: Gzip = "declared"


@dataclass
class Reports:
    """Handles report requests, polls and downloads."""

    world: World
    base_url: str
    settings: ReportSettings
    _reports: dict[str, Report] = field(default_factory=dict)
    _polls: Counter[str] = field(default_factory=Counter)
    _requested: set[tuple[str, Window]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        zipped = self.settings.gzip != "none"
        self._builder = ReportBuilder(self.world, self.settings.files, zipped=zipped)
        self._quota = Quota(self.world.switches, self.settings.daily_quota)
        self._links = FileLinks(self.base_url, self.world.signing_key)

    def close(self) -> None:
        self._builder.close()

    def request(self, body: dict[str, Any], now: int) -> Response:
        query = read_report_query(self.world, body, now)
        ready_at = now + round(self.settings.seconds * SECOND)
        if Unknown.EMPTY_WINDOW_REJECTED in self.world.quirks:
            self._reject_if_empty(query, ready_at)
        with self._lock:
            self._quota.use(now)
            number = combine(self.world.seed, now, len(self._reports))
            report_id = "JB" + encode(number, 8)
            window = (query.kind, query.window)
            self._reports[report_id] = Report(
                report_id=report_id,
                query=query,
                echo=query.echo(body),
                requested_at=now,
                ready_at=ready_at,
                is_first_of_window=window not in self._requested,
                files=self._builder.start(report_id, query, ready_at),
            )
            self._requested.add(window)
        return replace(self.record(report_id, now), status=self._accepted())

    def poll(self, report_id: str, now: int) -> Response:
        report = self._reports.get(report_id)
        if report is None or self._is_forgotten(report, now):
            raise ApiError(HTTPStatus.NOT_FOUND, "no such report")
        return self.record(report_id, now)

    def download(self, path: str, query: Mapping[str, str], now: int) -> Response:
        """Return a file if the link is valid, and answer as S3 does if it is not."""
        report_id, file_name = self._links.verify(path, query, now) or ("", "")
        report = self._reports.get(report_id)
        if report is None:
            return access_denied()
        purged = self._purged_status(report, now)
        if purged is not None:
            return access_denied() if purged == HTTPStatus.FORBIDDEN else no_such_key()
        file = next(each for each in report.files.result().paths if each.name == file_name)
        return report_files.file_response(
            file, self.settings.gzip, is_parquet=report.query.is_parquet
        )

    def record(self, report_id: str, now: int) -> Response:
        """Return the record of a report as it is."""
        report = self._reports[report_id]
        is_done = now >= report.ready_at and is_built(report.files)
        if is_done:
            self._polls[report_id] += 1
        polls = self._polls[report_id]
        serializer = RecordSerializer(self.world.quirks, self.world.parameters, polls)
        status = serializer.status(report, is_done=is_done)
        urls = self._urls(report, now) if status == SUCCEEDED else {}
        return json_response(serializer.record(report, status, now, urls))

    def set_outcome(self, report_id: str, outcome: ReportOutcome) -> None:
        """Change how a report ends, for as long as it exists."""
        with self._lock:
            self._reports[report_id] = replace(self._reports[report_id], outcome=outcome)

    def _reject_if_empty(self, query: ReportQuery, as_of: int) -> None:
        if self._builder.is_empty(query, as_of):
            raise bad_request(NO_DATA)

    def _accepted(self) -> int:
        if Unknown.REPORT_REQUEST_CREATED in self.world.quirks:
            return HTTPStatus.CREATED
        if Unknown.REPORT_REQUEST_ACCEPTED in self.world.quirks:
            return HTTPStatus.ACCEPTED
        return HTTPStatus.OK

    def _is_forgotten(self, report: Report, now: int) -> bool:
        until = report.requested_at + round(self.world.parameters.report_kept_hours * HOUR)
        is_late = Unknown.FORGOTTEN_REPORTS in self.world.quirks and now >= until
        return is_late or report.outcome.is_forgotten

    def _purged_status(self, report: Report, now: int) -> int | None:
        parameters = self.world.parameters
        until = report.ready_at + round(parameters.file_kept_hours * HOUR)
        if Unknown.PURGED_FILES in self.world.quirks and now >= until:
            return parameters.purged_status
        return report.outcome.purged_status

    def _urls(self, report: Report, now: int) -> dict[str, Any]:
        expires = now + round(self.settings.url_seconds * SECOND)
        paths = report.files.result().paths
        urls = [self._links.url(report.report_id, path.name, expires) for path in paths]
        return url_fields(urls, expires)
