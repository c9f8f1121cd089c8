"""A report, and the record that polls of it return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import iso

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tap_clarity.sandbox.api.report_builder import BuiltFiles
    from tap_clarity.sandbox.api.report_query import ReportQuery
    from tap_clarity.sandbox.behavior.parameters import Parameters
    from tap_clarity.sandbox.behavior.quirks import Quirks

IN_PROGRESS: Final = "in-progress"
SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
NO_DATA: Final = "No measurements found"
NO_URLS: Final[dict[str, dict[str, Any]]] = {
    "missing": {},
    "list": {"urls": []},
    "null": {"urls": None},
    "text": {"urls": "none"},
}


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """How a fault changes the end of a report; by default it succeeds."""

    status: str | None = None
    message: str | None = None
    no_urls_as: str | None = None
    is_forgotten: bool = False
    purged_status: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A report; its data is as of `ready_at`."""

    report_id: str
    query: ReportQuery
    echo: dict[str, Any]
    requested_at: int
    ready_at: int
    is_first_of_window: bool
    files: Future[BuiltFiles]
    outcome: ReportOutcome = ReportOutcome()


@dataclass(frozen=True, slots=True)
class RecordSerializer:
    """Serializes the record of a report; `polls` is the number of its polls so far."""

    quirks: Quirks
    parameters: Parameters
    polls: int

    def status(self, report: Report, *, is_done: bool) -> str:
        """Return the status before quirks change its spelling."""
        if report.outcome.status is not None:
            return report.outcome.status
        if Unknown.NEVER_ENDING_REPORTS in self.quirks or not is_done:
            return IN_PROGRESS
        if self._failed_as_empty(report):
            return FAILED
        if Unknown.OTHER_END_STATUS in self.quirks:
            return self.parameters.report_end_status
        return SUCCEEDED

    def record(self, report: Report, status: str, now: int, urls: dict[str, Any]) -> dict[str, Any]:
        """Return the record; `urls` are the fields to show if the report has succeeded."""
        echo = {} if Unknown.NO_ECHO in self.quirks else {"query": report.echo}
        return {
            "reportId": report.report_id,
            "reportStatus": self._status_text(status, report, now),
            **self._message(report, status),
            "report": report.query.displayed_kind,
            **echo,
            **self._urls(report, status, urls),
        }

    def _status_text(self, status: str, report: Report, now: int) -> str:
        if status not in {IN_PROGRESS, SUCCEEDED, FAILED}:
            return status
        if Unknown.STATUS_SYNONYMS in self.quirks:
            half = (report.requested_at + report.ready_at) / 2
            pending = "queued" if now < half else "pending"
            status = {IN_PROGRESS: pending, SUCCEEDED: "completed"}.get(status, status)
        if Unknown.STATUS_LETTER_CASE in self.quirks:
            return status.upper() if status in {SUCCEEDED, "completed"} else status.title()
        return status

    def _message(self, report: Report, status: str) -> dict[str, str]:
        if report.outcome.message is not None:
            return {"message": report.outcome.message}
        if status == FAILED:
            return {"message": NO_DATA}
        is_done = status != IN_PROGRESS
        if Quirk.OTHER_MESSAGES in self.quirks:
            return {} if is_done else {"message": IN_PROGRESS}
        return {"message": "Ready" if is_done else "Processing"}

    def _urls(self, report: Report, status: str, urls: dict[str, Any]) -> dict[str, Any]:
        if status == SUCCEEDED:
            form = report.outcome.no_urls_as
            if form is None and self._lacks_urls(report):
                form = self.parameters.no_urls_as
            return urls if form is None else NO_URLS[form]
        return {} if Quirk.EMPTY_OR_MISSING in self.quirks else {"urls": []}

    def _lacks_urls(self, report: Report) -> bool:
        first_polls = self.polls <= self.parameters.polls_without_urls
        return (
            Unknown.NO_URLS in self.quirks
            or (Unknown.NO_URLS_AT_FIRST in self.quirks and first_polls)
            or (Unknown.NO_URLS_IN_FIRST_REPORT in self.quirks and report.is_first_of_window)
            or (Unknown.EMPTY_WINDOW_NO_URLS in self.quirks and report.files.result().is_empty)
        )

    def _failed_as_empty(self, report: Report) -> bool:
        return Unknown.EMPTY_WINDOW_FAILED in self.quirks and report.files.result().is_empty


def url_fields(urls: list[str], expires: int) -> dict[str, Any]:
    return {"urls": urls, "urlsExpireAt": iso(expires)}
