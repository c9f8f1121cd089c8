"""The recent measurements: each run goes on where the last one ended, and heals what was missed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from tap_clarity.api.errors import (
    AccessRefusedError,
    ClarityError,
    CredentialsError,
    FileError,
    KeyRefusedError,
    NotFoundError,
    RequestRefusedError,
)
from tap_clarity.api.recent import RecentReply, continue_recent, query_recent
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.planning.bookmarks import RecentBookmark, fingerprint
from tap_clarity.planning.due import Due
from tap_clarity.planning.gaps import find_due_gaps
from tap_clarity.planning.recovery import (
    AskCache,
    GoOn,
    Known,
    Step,
    after_reply,
    ask_cache,
    daily_query,
    is_off,
    is_query_due,
    next_step,
    safe_until,
    without_start,
)
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.windows import merged
from tap_clarity.streams.measurements import measurement_query
from tap_clarity.streams.record_count import RecordCount
from tap_clarity.streams.report_base import (
    ReportingStream,
    Selector,
    datasource_selector,
    report_quota,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from singer_sdk.helpers.types import Context

    from tap_clarity.core.timestamps import Window
    from tap_clarity.planning.reports import Report
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.measurements import Piece


class RecentMeasurements(ReportingStream[RecentBookmark]):
    """What Clarity's cache holds of the datasources, from hours to days back."""

    name = "recent_measurements"
    source = "POST /v2/recent-datasource-measurements-query, then -continuation"
    advances_by = "continuation token in state"
    report = "datasource-measurements"

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        at = yield from self._read()
        if is_query_due(self.bookmark.cache_queried_at, self.run.settings.frequency, at):
            yield from self._query_daily(at)
        yield from self._fill_gaps()

    def _read(self) -> Generator[Record, None, datetime]:
        """Write what has come since the last run; give when Clarity answered."""
        now = self.run.clock.now()
        step, reply = self._ask(now)
        at = reply.answered_at or now
        if is_off(now, at):
            self.logger.warning(
                "The clock of this machine is off by %s: going by Clarity's", abs(at - now)
            )
            if step != self.next_step(at):
                yield from self._written(reply, RecordCount())
                step, reply = self._ask(at)
        queried_at = None if isinstance(step, AskCache) else self.bookmark.cache_queried_at
        count = RecordCount(safe_until(queried_at or at, self.run.settings.frequency))
        yield from self._written(reply, count)
        if reply.token is None and isinstance(step, GoOn) and not count.all:
            self.logger.info("%s: no news and no new continuation token", self.name)
            return at
        if reply.token is None:
            self.logger.warning("Clarity sent no continuation token; the next run asks its cache")
        # Only now, with all records written, may the next run go on from here.
        bookmark = after_reply(self.bookmark, step, reply.token, at, *count.since)
        self.checkpoint(replace(bookmark, datasources=self._datasources or bookmark.datasources))
        return at

    def _query_daily(self, now: datetime) -> Iterator[Record]:
        """Query the cache again; where that fails, the gaps are filled all the same."""
        try:
            yield from self._query_again(now)
        except CredentialsError:
            raise
        except ClarityError as error:
            self.fail(error)

    def _query_again(self, now: datetime) -> Iterator[Record]:
        """Query the cache although continuations go on, and log what only that brings."""
        bookmark, frequency = self.bookmark, self.run.settings.frequency
        queried_at = bookmark.cache_queried_at
        step = daily_query(queried_at, frequency, now)
        _, reply = self._query(step, now)
        at = reply.answered_at or now
        count = RecordCount(*(safe_until(each, frequency) for each in (queried_at or at, at)))
        yield from self._written(reply, count)
        known, new = count.since
        if queried_at and known > bookmark.records_since_query:
            self.logger.info(
                "%s: the daily query of the recent cache brought at least %d records that no "
                "continuation had brought",
                *(self.name, known - bookmark.records_since_query),
            )
        after = after_reply(bookmark, step, reply.token, at, new)
        if reply.token is None:
            after = replace(after, token=bookmark.token, issued_at=bookmark.issued_at)
        self.checkpoint(after)

    def read_bookmark(self) -> RecentBookmark:
        """Read the stream's state; a token and reports of another query do not count."""
        bookmark = self._stored
        if not self.run.settings.recover_gaps:
            # Nothing polls its reports; they would take the places of other streams' reports.
            bookmark = bookmark.with_ledger(replace(bookmark.ledger, pending=(), failing=()))
        if not self._is_same_query:
            ledger = ReportLedger(usage=bookmark.ledger.usage)
            bookmark = replace(bookmark, token=None, ledger=ledger)
        return replace(bookmark, fingerprint=self._fingerprint)

    @property
    def has_covered(self) -> bool:
        """Whether any report of the present query has been written; for gaps, none need be."""
        return self.bookmark.covered_until is not None

    def selector(self) -> Selector:
        return datasource_selector(self.run.settings.datasource_ids)

    def next_step(self, now: datetime) -> Step:
        """Say how to go on."""
        return next_step(self._known, self.run.settings.frequency, now)

    def due_gaps(self, now: datetime) -> Due:
        """Give the windows that the next run would request to fill gaps."""
        step = self.next_step(now)
        found = [step.hole] if isinstance(step, AskCache) and step.hole else []
        return self._due(merged([*self.bookmark.gaps, *found]), now)

    def _due(self, gaps: list[Window], now: datetime) -> Due:
        """Give the windows that would fill gaps, but for pending ones."""
        settings, ledger = self.run.settings, self.bookmark.ledger
        if not settings.recover_gaps:
            return Due()
        return find_due_gaps(
            gaps, ledger.pending_windows, ledger.failing, settings.report_window_days, now
        )

    @cached_property
    def _stored(self) -> RecentBookmark:
        """What the last run has left."""
        try:
            return RecentBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "State of %s is unusable: %s; starting without state", self.name, error
            )
            return RecentBookmark()

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(**measurement_query(self.run.settings), **self.selector().to_body())

    @property
    def _is_same_query(self) -> bool:
        return self._stored.fingerprint in {None, self._fingerprint}

    @cached_property
    def _known(self) -> Known:
        bookmark = self.bookmark
        return Known(
            token=bookmark.token,
            issued_at=bookmark.issued_at,
            covered_until=bookmark.covered_until,
            same_query=self._is_same_query,
            same_datasources=bookmark.datasources in {None, self._datasources}
            or self._datasources is None,
        )

    def completed(self, report: Report, served: Window, *, is_empty: bool) -> None:
        """Close the gaps that a report has filled."""
        super().completed(report, served, is_empty=is_empty)
        self.logger.info("%s: a report has filled %s UTC", self.name, served)

    def _ask(self, now: datetime) -> tuple[Step, RecentReply[Iterator[Piece]]]:
        step = self.next_step(now)
        if isinstance(step, GoOn):
            try:
                return step, self._continue(step)
            except (KeyRefusedError, AccessRefusedError, RequestRefusedError) as error:
                # Nobody knows how a dead token is refused. If it is the key, the cache says so too.
                self.logger.debug("The continuation token is refused: %s", error)
                self._known = self._known._replace(refused=True)
            step = ask_cache(self._known, self.run.settings.frequency, now)
        return self._query(step, now)

    def _continue(self, step: GoOn) -> RecentReply[Iterator[Piece]]:
        org = self.run.settings.org
        # How a continuation without news looks is not documented; a query has rows.
        open_body = partial(self.open_measurements, may_be_blank=True)
        return continue_recent(self.run.connection, org, step.token, open_body)

    def _query(
        self, step: AskCache, now: datetime
    ) -> tuple[AskCache, RecentReply[Iterator[Piece]]]:
        """Query the cache; if it rejects the start, once without it."""
        query = measurement_query(self.run.settings) | self.selector().to_body()
        start = f"{step.start:%Y-%m-%d %H:%M}"
        ask = partial(query_recent, self.run.connection, query, open_body=self.open_measurements)
        try:
            reply = ask(step.start)
        except NotFoundError:
            raise
        except RequestRefusedError as error:
            reply = ask(None)
            self.logger.warning(
                "%s: startTime %s rejected: %s; queried without it", self.name, start, error
            )
            return without_start(step, self._known, self.run.settings.frequency, now), reply
        self.logger.info(
            "%s: %s, so Clarity's cache is asked from %s UTC on", self.name, step.why, start
        )
        return step, reply

    def _written(self, reply: RecentReply[Iterator[Piece]], count: RecordCount) -> Iterator[Record]:
        try:
            yield from self.emit(count.watch(reply.measurements))
        except UnreadableError as error:
            raise FileError(f"Clarity's reply cannot be trusted: {error}") from error

    def _fill_gaps(self) -> Iterator[Record]:
        """Fill by reports what the cache no longer has; gaps that remain are kept in state."""
        recovers = self.run.settings.recover_gaps
        remedy = "requesting reports" if recovers else "recover_gaps is off, so it stays"
        for gap in self.bookmark.gaps:
            self.logger.warning(
                "%s: Clarity's cache no longer has %s UTC: %s", self.name, gap, remedy
            )
        if not recovers or not (self.bookmark.gaps or self.pending):
            return
        now = self.run.clock.now()
        left = report_quota(self._tap).left(now)
        due = self._due(self.bookmark.gaps, now)
        jobs, lane = self.new_jobs(), self.lane(self.selector(), due)
        jobs.add([lane])
        yield from self.reported_records(jobs, lane)
        self.log_put_off(max(0, due.total - left))
        for gap in self.bookmark.gaps:
            self.logger.warning(
                "%s: %s UTC is still missing; resuming in the next run", self.name, gap
            )

    @property
    def _datasources(self) -> str | None:
        """Sum up the organisation's list of datasources, if this run has read it anyway."""
        if self.run.settings.datasource_ids or not self.run.knows_datasources:
            return None
        return fingerprint(ids=sorted(item["datasourceId"] for item in self.run.datasources))
