"""Typed views of the streams' states."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tap_clarity.planning.due import Progress, Slot
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.state_values import (
    read_count,
    read_list,
    read_optional,
    read_time,
    read_timestamp,
    read_window,
    short_timestamp,
    window_pair,
)
from tap_clarity.planning.windows import merged, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.report_steps import Report
    from tap_clarity.planning.state_values import State

VERSION = 1
LONG_AGO = datetime(2014, 1, 1, tzinfo=UTC)


def fingerprint(**query: Any) -> str:  # noqa: ANN401
    """Sum up a query: coverage and tokens belong to it, and end with it."""
    text = json.dumps(query, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RecentBookmark:
    """How far the recent measurements have come.

    Attributes:
        fingerprint: Of the query to which token and reports belong.
        datasources: Fingerprint of the organization's list of datasources, as last seen.
        token: What continues after the last reply.
        issued_at: When that reply was requested.
        covered_until: Up to when everything has been requested.
        gaps: What the cache no longer had when it was queried, and no report has filled yet.
        ledger: The reports that fill gaps.
        cache_queried_at: When the cache was last queried, and not continued from.
        records_since_query: Records of that query, and of the continuations since, with a time at
            or after `recovery.safe_until` of it.
    """

    fingerprint: str | None = None
    datasources: str | None = None
    token: str | None = None
    issued_at: datetime | None = None
    covered_until: datetime | None = None
    gaps: list[Window] = field(default_factory=list)
    ledger: ReportLedger = field(default_factory=ReportLedger)
    cache_queried_at: datetime | None = None
    records_since_query: int = 0

    @property
    def has_covered(self) -> bool:
        """Whether Clarity has ever accepted the query: for gaps, no report need have been read."""
        return self.covered_until is not None

    def with_ledger(self, ledger: ReportLedger) -> RecentBookmark:
        """Give the bookmark with a later state of its reports."""
        return replace(self, ledger=ledger)

    def accept(self, report: Report, replaced: Report | None, now: datetime) -> RecentBookmark:
        """Add a pending report, in place of another one if one is given."""
        return self.with_ledger(self.ledger.accept(report, replaced, now))

    def complete(self, report: Report, served: Window, *, is_empty: bool = False) -> RecentBookmark:
        """Record that a report has filled a time range."""
        gaps = [left for gap in self.gaps for left in without(gap, [served])]
        ledger = self.ledger.complete(report, served, is_empty=is_empty).drop_outside(gaps)
        return replace(self, gaps=gaps, ledger=ledger)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RecentBookmark:
        """Read a stream's state."""
        return cls(
            fingerprint=read_optional(state, "fingerprint", str),
            datasources=read_optional(state, "datasources", str),
            token=read_optional(state, "continuation_token", str),
            issued_at=_read_run_time(state, "token_issued_at"),
            covered_until=_read_run_time(state, "covered_until"),
            cache_queried_at=_read_run_time(state, "cache_queried_at"),
            records_since_query=read_count(state.get("records_since_query") or 0),
            gaps=merged(map(read_window, read_list(state, "gaps"))),
            ledger=ReportLedger.from_state(state),
        )

    def to_state(self) -> State:
        """Write all keys of a stream's state."""
        return {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "datasources": self.datasources,
            "continuation_token": self.token,
            "token_issued_at": short_timestamp(self.issued_at),
            "covered_until": short_timestamp(self.covered_until),
            "cache_queried_at": short_timestamp(self.cache_queried_at),
            "records_since_query": self.records_since_query,
            "gaps": [window_pair(gap) for gap in self.gaps],
            **self.ledger.to_state(),
        }


@dataclass(frozen=True, slots=True)
class ReportBookmark:
    """How far a report stream has come.

    Attributes:
        fingerprint: Of the query to which coverage and reports belong.
        start: First instant that the stream covers, where no setting says so.
        access_start: From when on measurements may be read, as far as the details say.
        covered: What has been written.
        slot: The last slot in which new data was requested.
        ledger: The stream's reports.
    """

    fingerprint: str | None = None
    start: datetime | None = None
    access_start: datetime | None = None
    covered: list[Window] = field(default_factory=list)
    slot: Slot | None = None
    ledger: ReportLedger = field(default_factory=ReportLedger)

    @property
    def progress(self) -> Progress:
        """What planning has to know."""
        return Progress(
            covered=tuple(self.covered),
            pending=self.ledger.pending_windows,
            failing=self.ledger.failing,
            slot=self.slot,
        )

    @property
    def has_covered(self) -> bool:
        """Whether any report of the query has been read."""
        return bool(self.covered)

    def with_ledger(self, ledger: ReportLedger) -> ReportBookmark:
        """Give the bookmark with a later state of its reports."""
        return replace(self, ledger=ledger)

    def accept(self, report: Report, replaced: Report | None, now: datetime) -> ReportBookmark:
        """Add a pending report; the slot need not read its window again."""
        slot = self.slot.without(report.window) if self.slot else None
        ledger = self.ledger.accept(report, replaced, now)
        return replace(self, slot=slot, ledger=ledger)

    def complete(self, report: Report, served: Window, *, is_empty: bool = False) -> ReportBookmark:
        """Record that the rows of a report have been written, or that it has none.

        What a superseded report would have read besides is read again by another one.
        """
        superseded = () if is_empty else self.ledger.superseded_by(report, served)
        left = [part for each in superseded for part in without(each.window, [served])]
        slot = self.slot
        if slot:
            slot = slot._replace(reread=tuple(merged([*slot.reread, *left])))
        return replace(
            self,
            covered=merged([*self.covered, served]),
            slot=slot,
            ledger=self.ledger.complete(report, served, is_empty=is_empty),
        )

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ReportBookmark:
        """Read a stream's state."""
        return cls(
            fingerprint=read_optional(state, "fingerprint", str),
            start=_read_run_time(state, "start_date"),
            access_start=read_time(state, "access_start"),
            covered=merged(map(read_window, read_list(state, "covered"))),
            slot=_read_slot(state),
            ledger=ReportLedger.from_state(state),
        )

    def to_state(self) -> State:
        """Write all keys of a stream's state."""
        return {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "start_date": short_timestamp(self.start),
            "access_start": short_timestamp(self.access_start),
            "covered": [window_pair(window) for window in self.covered],
            "slot": _slot_to_state(self.slot) if self.slot else [],
            **self.ledger.to_state(),
        }


def _read_run_time(state: Mapping[str, Any], name: str) -> datetime | None:
    """Read when the tap has run: a junk year would make a gap of centuries."""
    instant = read_time(state, name)
    if instant and instant < LONG_AGO:
        raise ValueError(f"{name} is before Clarity's first node was made")
    return instant


def _slot_to_state(slot: Slot) -> list[Any]:
    """Write a slot; its windows to read again stand behind its two instants."""
    return [
        short_timestamp(slot.start),
        short_timestamp(slot.until),
        *map(window_pair, slot.reread),
    ]


def _read_slot(state: Mapping[str, Any]) -> Slot | None:
    match read_list(state, "slot"):
        case []:
            return None
        case [start, until, *reread]:
            windows = tuple(merged(map(read_window, reread)))
            return Slot(read_timestamp(start), read_timestamp(until), windows)
    raise ValueError("slot is not a pair of instants with windows")
