"""The recent measurements: each run resumes where the last one ended, and fills what was missed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from tap_clarity.api.errors import (
    AccessDeniedError,
    ClarityError,
    CredentialsError,
    FileError,
    KeyRejectedError,
    NotFoundError,
    RequestRejectedError,
)
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.output.record_count import RecordCount
from tap_clarity.planning.bookmarks import RecentBookmark, fingerprint
from tap_clarity.planning.due import Due
from tap_clarity.planning.gap_reports import find_due_gaps
from tap_clarity.planning.recent_steps import (
    ContinueToken,
    QueryCache,
    QueryReason,
    Step,
    TokenState,
    after_response,
    daily_query,
    is_clock_skewed,
    is_query_due,
    next_step,
    next_step_at,
    query_cache,
    query_without_start,
    response_time,
    safe_until,
)
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.windows import merged, without
from tap_clarity.streams.measurements import MeasurementStream, measurement_query
from tap_clarity.streams.report_journal import ReportJournal
from tap_clarity.streams.report_lanes import new_jobs, new_lane, read_reports
from tap_clarity.streams.report_sources import select_datasources

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import datetime

    from singer_sdk.helpers.types import Context

    from tap_clarity.api.recent_responses import RecentResponse
    from tap_clarity.core.timestamps import Window
    from tap_clarity.output.measurement_writer import OpenedMeasurements
    from tap_clarity.streams.base import Record

REASONS = {
    QueryReason.FIRST_RUN: "this is the first run",
    QueryReason.QUERY_CHANGED: "the settings of the query have changed",
    QueryReason.DATASOURCES_CHANGED: "the list of datasources has changed",
    QueryReason.NO_TOKEN: "there is no continuation token",
    QueryReason.TOKEN_EXPIRED: (
        "the continuation token of {issued_at:%Y-%m-%d %H:%M} UTC has expired"
    ),
    QueryReason.TOKEN_REJECTED: "Clarity has refused the continuation token",
    QueryReason.DAILY_QUERY: "its daily query is due",
}


class RecentMeasurements(MeasurementStream):
    """What Clarity's cache holds of the datasources, from hours to days back."""

    name = "recent_measurements"
    source = "POST /v2/recent-datasource-measurements-query, then -continuation"
    advances_by = "continuation token in state"
    report = "datasource-measurements"

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        at = yield from self._read()
        self._log_unread_list()
        if is_query_due(self._bookmark.cache_queried_at, self.run.settings.frequency, at):
            yield from self._query_daily(at)
        yield from self._fill_gaps()

    @cached_property
    def journal(self) -> ReportJournal[RecentBookmark]:
        """The owner of the bookmark; a token and reports of another query do not count."""
        bookmark = self._stored
        if not self.run.settings.recover_gaps:
            # Nothing polls its reports; they would take the places of other streams' reports.
            bookmark = bookmark.with_ledger(replace(bookmark.ledger, pending=(), failing=()))
        if not self._is_same_query:
            ledger = ReportLedger(usage=bookmark.ledger.usage)
            bookmark = replace(bookmark, token=None, ledger=ledger)
        return ReportJournal(self, replace(bookmark, fingerprint=self._fingerprint))

    def next_step(self, now: datetime) -> Step:
        """Decide how to resume, going by the state alone."""
        return next_step(self._token_state(None), self.run.settings.frequency, now)

    def due_gaps(self, now: datetime) -> Due:
        """Give the windows that the next run would request to fill gaps."""
        step = self.next_step(now)
        found = [step.gap] if isinstance(step, QueryCache) and step.gap else []
        return self._due(merged([*self._bookmark.gaps, *found]), now)

    def _read(self) -> Generator[Record, None, datetime]:
        """Write what has come since the last run; give when Clarity answered."""
        now, frequency = self.run.clock.now(), self.run.settings.frequency
        datasources = self._datasources()
        state = self._token_state(datasources)
        step, response = self._request(next_step(state, frequency, now), state, now)
        at = response_time(now, response.answered_at, self._bookmark.covered_until)
        if is_clock_skewed(now, at):
            self.logger.warning(
                "The clock of this machine is off by %s: going by Clarity's", abs(at - now)
            )
            again = next_step_at(step, state, frequency, at)
            if step != again:
                yield from self._written(response, RecordCount())
                step, response = self._request(again, state, at)
        elif response.answered_at and is_clock_skewed(at, response.answered_at):
            self.logger.warning(
                "Clarity's clock is off by %s: going by the one of this machine",
                abs(response.answered_at - at),
            )
        queried_at = None if isinstance(step, QueryCache) else self._bookmark.cache_queried_at
        count = RecordCount(safe_until(queried_at or at, frequency))
        yield from self._written(response, count)
        if response.token is None and isinstance(step, ContinueToken) and not count.all:
            self.logger.info("%s: no news and no new continuation token", self.name)
            return at
        if response.token is None:
            self.logger.warning("Clarity sent no continuation token; the next run asks its cache")
        # Only now, with all records written, may the next run resume from here.
        bookmark = after_response(self._bookmark, step, response.token, at, *count.since)
        known = datasources or bookmark.datasources
        self.journal.checkpoint(replace(bookmark, datasources=known))
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
        """Query the cache although there is a token, and log what only that brings."""
        bookmark, frequency = self._bookmark, self.run.settings.frequency
        queried_at = bookmark.cache_queried_at
        step = daily_query(queried_at, frequency, now)
        _, response = self._query(step, self._token_state(None), now)
        at = response_time(now, response.answered_at, bookmark.covered_until)
        count = RecordCount(*(safe_until(each, frequency) for each in (queried_at or at, at)))
        yield from self._written(response, count)
        known, new = count.since
        if queried_at and known > bookmark.records_since_query:
            self.logger.info(
                "%s: the daily query of the recent cache brought at least %d records that no "
                "continuation had brought",
                *(self.name, known - bookmark.records_since_query),
            )
        after = after_response(bookmark, step, response.token, at, new)
        if response.token is None:
            after = replace(after, token=bookmark.token, issued_at=bookmark.issued_at)
        self.journal.checkpoint(after)

    def _request(
        self, step: Step, state: TokenState, now: datetime
    ) -> tuple[Step, RecentResponse[OpenedMeasurements]]:
        """Take a step; where Clarity rejects the token, query the cache instead."""
        if isinstance(step, QueryCache):
            return self._query(step, state, now)
        try:
            # How a continuation without news looks is not documented; a query has rows.
            open_body = partial(self.writer.open, may_be_blank=True)
            return step, self.run.client.continue_recent(step.token, open_body)
        except (KeyRejectedError, AccessDeniedError, RequestRejectedError) as error:
            # How an expired token is rejected is unknown. If it is the key, the query fails too.
            self.logger.debug("The continuation token is refused: %s", error)
        frequency, reason = self.run.settings.frequency, QueryReason.TOKEN_REJECTED
        return self._query(query_cache(state, frequency, now, reason), state, now)

    def _query(
        self, step: QueryCache, state: TokenState, now: datetime
    ) -> tuple[QueryCache, RecentResponse[OpenedMeasurements]]:
        """Query the cache; if it rejects the start, once without it."""
        query = measurement_query(self.run.settings) | select_datasources(self.run).to_body()
        start = f"{step.start:%Y-%m-%d %H:%M}"
        request = partial(self.run.client.query_recent, query, open_body=self.writer.open)
        try:
            response = request(step.start)
        except NotFoundError:
            raise
        except RequestRejectedError as error:
            response = request(None)
            self.logger.warning(
                "%s: startTime %s rejected: %s; queried without it", self.name, start, error
            )
            return query_without_start(step, state, self.run.settings.frequency, now), response
        self.logger.info(
            "%s: %s, so Clarity's cache is asked from %s UTC on",
            *(self.name, self._reason(step, now), start),
        )
        return step, response

    def _reason(self, step: QueryCache, now: datetime) -> str:
        return REASONS[step.reason].format(issued_at=self._bookmark.issued_at or now)

    def _written(
        self, response: RecentResponse[OpenedMeasurements], count: RecordCount
    ) -> Iterator[Record]:
        try:
            yield from self.writer.write(response.measurements, count)
        except UnreadableError as error:
            raise FileError(f"Clarity's response cannot be trusted: {error}") from error
        finally:
            self.writer.flush()

    def _fill_gaps(self) -> Iterator[Record]:
        """Fill by reports what the cache no longer has; gaps that remain are kept in state."""
        gaps = self._bookmark.gaps
        recovers = self.run.settings.recover_gaps
        remedy = "requesting reports" if recovers else "recover_gaps is off, so it stays"
        for gap in gaps:
            self.logger.warning(
                "%s: Clarity's cache no longer has %s UTC: %s", self.name, gap, remedy
            )
        if not recovers or not (gaps or self.journal.pending):
            return
        due, left = self._due(gaps, self.run.clock.now()), self.run.quota.left
        jobs, lane = new_jobs(self.run), new_lane(self, select_datasources(self.run), due)
        jobs.add([lane])
        yield from read_reports(self, jobs, lane)
        self.journal.report_postponed(max(0, due.total - left))
        self._log_gaps(gaps)

    def _log_gaps(self, before: Sequence[Window]) -> None:
        open_gaps = self._bookmark.gaps
        for filled in (part for gap in before for part in without(gap, open_gaps)):
            self.logger.info("%s: a report has filled %s UTC", self.name, filled)
        for gap in open_gaps:
            self.logger.warning(
                "%s: %s UTC is still missing; resuming in the next run", self.name, gap
            )

    def _due(self, gaps: list[Window], now: datetime) -> Due:
        """Give the windows that would fill gaps, but for pending ones."""
        settings, ledger = self.run.settings, self._bookmark.ledger
        if not settings.recover_gaps:
            return Due()
        return find_due_gaps(
            gaps, ledger.pending_windows, ledger.failing, settings.report_window_days, now
        )

    @property
    def _bookmark(self) -> RecentBookmark:
        return self.journal.bookmark

    @cached_property
    def _stored(self) -> RecentBookmark:
        """What the last run has left."""
        return self.read_bookmark(RecentBookmark)

    @cached_property
    def _fingerprint(self) -> str:
        selector = select_datasources(self.run)
        return fingerprint(**measurement_query(self.run.settings), **selector.to_body())

    @property
    def _is_same_query(self) -> bool:
        return self._stored.fingerprint in {None, self._fingerprint}

    def _token_state(self, datasources: str | None) -> TokenState:
        """Give what the last run has left, given the present list of datasources if it is known."""
        bookmark = self._bookmark
        return TokenState(
            token=bookmark.token,
            issued_at=bookmark.issued_at,
            covered_until=bookmark.covered_until,
            is_same_query=self._is_same_query,
            is_same_datasources=None in {bookmark.datasources, datasources}
            or bookmark.datasources == datasources,
        )

    def _datasources(self) -> str | None:
        """Fingerprint all datasources of the organization; None if unknown, or irrelevant."""
        if self.run.settings.datasource_ids:
            return None
        listing = self.run.datasources()
        ids = sorted(item["datasourceId"] for item in listing.objects)
        return None if listing.error else fingerprint(ids=ids)

    def _log_unread_list(self) -> None:
        """Log that new datasources are not noticed; what is known is read all the same."""
        if not self.run.settings.datasource_ids and (error := self.run.datasources().error):
            self.logger.warning(
                "%s: the list of datasources cannot be read: %s; a later run notices new ones",
                *(self.name, error),
            )
