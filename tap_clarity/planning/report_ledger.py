"""The reports of one stream: which are pending, which windows fail, how many requests were sent.

Every stream that requests reports keeps one in its state. It is a value: each step of a report's
life gives a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tap_clarity.core.validators import is_valid_id
from tap_clarity.planning.quota import DailyUsage
from tap_clarity.planning.report_steps import Report
from tap_clarity.planning.retries import FailingWindow, add_failure, remove_covered
from tap_clarity.planning.state_values import (
    read_count,
    read_list,
    read_timestamp,
    read_window,
    short_day,
    short_minute,
    window_pair,
)
from tap_clarity.planning.windows import overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.state_values import State

COUNTS = 2
"""The last fields of a Report, which a state leaves out where they are zero."""
DAYS_LEFT_OUT = 30
"""After so many days an id that Clarity rejects is requested again."""
MAX_REJECTED_IDS = 100
"""The last ones; they would make each STATE message longer."""
MIN_DAYS_AFTER_REJECTION = 1
"""The same request would be rejected again at once; a report that failed may succeed at once."""


@dataclass(frozen=True, slots=True)
class ReportLedger:
    """The reports of one stream.

    Attributes:
        pending: Reports that Clarity has accepted and whose rows are not written yet, in the order
            of their requests.
        failing: Windows whose reports fail or are rejected.
        usage: How many requests were sent, and whether Clarity grants more.
        rejected_ids: Ids that are left out of requests, because Clarity rejects them.
        rejected_ids_until: The UTC day from which on they are requested again.
    """

    pending: tuple[Report, ...] = ()
    failing: tuple[FailingWindow, ...] = ()
    usage: DailyUsage = field(default_factory=DailyUsage)
    rejected_ids: tuple[str, ...] = ()
    rejected_ids_until: date | None = None

    @property
    def pending_windows(self) -> tuple[Window, ...]:
        """The windows of the pending reports."""
        return tuple(report.window for report in self.pending)

    def request(self, today: date) -> ReportLedger:
        """Count a request that is about to be sent."""
        return replace(self, usage=self.usage.send(today))

    def accept(self, report: Report, replaced: Report | None, now: datetime) -> ReportLedger:
        """Add a report that Clarity has accepted, in place of another one if one is given."""
        pending = (*self._without(replaced), report)
        return replace(self, pending=pending, usage=self.usage.accept(now))

    def keep(self, report: Report) -> ReportLedger:
        """Leave a report to the next run, with what this run has found."""
        kept = tuple(report if each.id == report.id else each for each in self.pending)
        return replace(self, pending=kept)

    def fail(self, report: Report, today: date) -> ReportLedger:
        """Drop a report that came to nothing; its window is retried."""
        failing = add_failure(self.failing, report.window, today)
        return replace(self, pending=self._without(report), failing=failing)

    def reject(self, window: Window, today: date) -> ReportLedger:
        """Record that Clarity rejects the request for a window; it is retried on another day."""
        failing = add_failure(self.failing, window, today, MIN_DAYS_AFTER_REJECTION)
        return replace(self, failing=failing)

    def complete(self, report: Report, served: Window, *, is_empty: bool = False) -> ReportLedger:
        """Drop a report whose rows have been written, and those that it supersedes."""
        older = () if is_empty else self.superseded_by(report, served)
        superseded = {each.id for each in older}
        pending = tuple(each for each in self._without(report) if each.id not in superseded)
        return replace(self, pending=pending, failing=remove_covered(self.failing, served))

    def superseded_by(self, report: Report, served: Window) -> tuple[Report, ...]:
        """Give the pending reports that would put older values in place of a report's values."""
        return tuple(
            each
            for each in self._without(report)
            if each.requested_at < report.requested_at and overlaps(each.window, served)
        )

    def drop_outside(self, wanted: Sequence[Window]) -> ReportLedger:
        """Drop failing windows that are no longer to be covered."""
        inside = (
            each for each in self.failing if any(overlaps(each.window, part) for part in wanted)
        )
        return replace(self, failing=tuple(inside))

    def exhaust(self, now: datetime, accepted_at: datetime) -> ReportLedger:
        """Record that Clarity grants no more requests; it last accepted one of any stream then."""
        return replace(self, usage=self.usage.exhaust(now, accepted_at))

    def leave_out(self, id_: str, today: date) -> ReportLedger:
        """Leave an id out of requests for some days, with all that are left out already.

        A state must not hold a malformed id, with which it would be unusable.
        """
        if not is_valid_id(id_):
            return self
        until = today + timedelta(days=DAYS_LEFT_OUT)
        rejected_ids = (*self.ids_left_out(today), id_)[-MAX_REJECTED_IDS:]
        return replace(self, rejected_ids=rejected_ids, rejected_ids_until=until)

    def ids_left_out(self, today: date) -> tuple[str, ...]:
        """Give the ids that are left out of requests on a day."""
        until = self.rejected_ids_until
        is_current = until and timedelta(0) < until - today <= timedelta(days=DAYS_LEFT_OUT)
        return self.rejected_ids if is_current else ()

    def attempts_at(self, window: Window) -> int:
        """Give how many attempts at a window have failed."""
        found = (each.attempts for each in self.failing if overlaps(each.window, window))
        return max(found, default=0)

    def retries_on(self, window: Window, today: date) -> bool:
        """Tell whether a window has failed, and its next attempt is due on a day."""
        return any(overlaps(each.window, window) and each.is_due(today) for each in self.failing)

    def next_attempt(self, window: Window) -> date | None:
        """Give the day of the next attempt at a window that has failed."""
        days = (each.retry_on for each in self.failing if overlaps(each.window, window))
        return max(days, default=None)

    def _without(self, report: Report | None) -> tuple[Report, ...]:
        return tuple(each for each in self.pending if report is None or each.id != report.id)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ReportLedger:
        """Read the reports' part of a stream's state."""
        until, *rejected_ids = read_list(state, "rejected_ids") or [None]
        last_day = read_timestamp(until).date() if until else None
        return cls(
            pending=tuple(map(_read_report, read_list(state, "reports"))),
            failing=tuple(sorted(map(_read_failing, read_list(state, "failing")))),
            usage=_read_usage(read_list(state, "requests")),
            rejected_ids=tuple(map(_read_id, rejected_ids)),
            rejected_ids_until=last_day if rejected_ids else None,
        )

    def to_state(self) -> State:
        """Write all keys of the reports' part of a stream's state."""
        day, requests, *times = self.usage
        until = short_day(self.rejected_ids_until)
        return {
            "reports": [_report_to_state(report) for report in self.pending],
            "failing": [_failing_to_state(failing) for failing in self.failing],
            "requests": _trimmed([short_day(day), requests, *map(short_minute, times)]),
            "rejected_ids": [until, *self.rejected_ids] if self.rejected_ids else [],
        }


def _report_to_state(report: Report) -> list[Any]:
    counts = [report.empty_count, report.bad_runs]
    window = window_pair(report.window)
    return _trimmed([report.id, *window, short_minute(report.requested_at), *counts])


def _trimmed(values: list[Any]) -> list[Any]:
    """Drop what is empty at the end of a list: states have to stay small."""
    while values and not values[-1]:
        values = values[:-1]
    return values


def _read_report(value: Any) -> Report:  # noqa: ANN401
    match value:
        case [id_, start, end, requested_at, *counts] if is_valid_id(id_) and len(counts) <= COUNTS:
            window = read_window([start, end])
            return Report(id_, window, read_timestamp(requested_at), *map(read_count, counts))
    raise ValueError("a report is not an id with a window, a time and counts")


def _failing_to_state(failing: FailingWindow) -> list[Any]:
    days = short_day(failing.since), short_day(failing.retry_on)
    return [*window_pair(failing.window), failing.attempts, *days]


def _read_failing(value: Any) -> FailingWindow:  # noqa: ANN401
    match value:
        case [start, end, attempts, since, retry_on]:
            days = read_timestamp(since).date(), read_timestamp(retry_on).date()
            return FailingWindow(read_window([start, end]), read_count(attempts), *days)
    raise ValueError("a failing window is not a window with a count and two days")


def _read_usage(value: list[Any]) -> DailyUsage:
    missing = len(DailyUsage._fields) - len(value)
    if missing < 0:
        raise ValueError("requests is not a day with a count and times")
    padded: list[Any] = [*value, *[None] * missing]
    day, requests, *times = padded
    return DailyUsage(
        read_timestamp(day).date() if day else None,
        read_count(requests or 0),
        *(read_timestamp(time) if time else None for time in times),
    )


def read_usage(state: Mapping[str, Any]) -> DailyUsage:
    """Read the count of requests alone, which still holds where other parts are unusable."""
    try:
        return _read_usage(read_list(state, "requests"))
    except ValueError:
        return DailyUsage()


def _read_id(value: Any) -> str:  # noqa: ANN401
    if not is_valid_id(value):
        raise ValueError("a rejected id is not an id")
    return value
