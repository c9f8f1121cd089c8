"""The recent measurements: each run goes on where the last one ended, and heals what was missed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_clarity.api.errors import (
    AccessRefusedError,
    FileError,
    KeyRefusedError,
    RequestRefusedError,
)
from tap_clarity.api.recent import RecentReply, continue_recent, query_recent
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.planning.bookmarks import RecentBookmark, fingerprint
from tap_clarity.planning.recovery import (
    AskCache,
    GoOn,
    Known,
    Step,
    after_reply,
    ask_cache,
    is_off,
    next_step,
    windows_of,
)
from tap_clarity.planning.windows import merged, without
from tap_clarity.streams.measurements import datasource_choice, measurement_query
from tap_clarity.streams.reporting import ReportingStream, requests_left

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from singer_sdk.helpers.types import Context

    from tap_clarity.instants import Window
    from tap_clarity.streams.base import Record
    from tap_clarity.streams.measurements import Piece


class RecentMeasurements(ReportingStream):
    """What Clarity's cache holds of the datasources, from hours to days back."""

    name = "recent_measurements"
    source = "POST /v2/recent-datasource-measurements-query, then -continuation"
    advances_by = "continuation token in state"
    report = "datasource-measurements"

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        now = self.run.clock.now()
        step, reply = self._ask(now)
        yield from self._written(reply)
        at = reply.answered_at or now
        if is_off(now, at):
            self.logger.warning(
                "The clock of this machine is off by %s: going by Clarity's", abs(at - now)
            )
            if isinstance(step, AskCache):
                step, reply = self._ask(at)
                yield from self._written(reply)
        if reply.token is None:
            self.logger.warning("Clarity sent no continuation token; the next run asks its cache")
        # Only now, with all records written, may the next run go on from here.
        self.bookmark = after_reply(self.bookmark, step, reply.token, at)
        self.bookmark.datasources = self._datasources or self.bookmark.datasources
        self.save(self.bookmark.to_state())
        yield from self._fill_holes()

    @cached_property
    def bookmark(self) -> RecentBookmark:
        """Where the stream stands; a token and reports of another query do not count."""
        bookmark = self._stored
        if not self._is_same_query:
            bookmark = replace(bookmark, token=None, building=[])
        return replace(bookmark, fingerprint=self._fingerprint)

    def choice(self) -> dict[str, Any]:
        return datasource_choice(self.run.settings.datasource_ids)

    def next_step(self, now: datetime) -> Step:
        """Say how to go on."""
        return next_step(self._known, self.run.settings.frequency, now)

    def gaps(self, now: datetime) -> list[Window]:
        """Foretell the windows of the reports that the next run would want for holes."""
        step = self.next_step(now)
        found = [step.hole] if isinstance(step, AskCache) and step.hole else []
        return self._wanted(merged([*self.bookmark.holes, *found]))

    def _wanted(self, holes: list[Window]) -> list[Window]:
        """Give the windows of the reports that would fill holes, but for those being built."""
        settings = self.run.settings
        if not settings.recover_gaps:
            return []
        building = [window for _, window in self.bookmark.building]
        return windows_of(holes, building, settings.report_window_days)

    @cached_property
    def _stored(self) -> RecentBookmark:
        """What the last run has left."""
        try:
            return RecentBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "The state of %s is unusable (%s): starting afresh", self.name, error
            )
            return RecentBookmark()

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(**measurement_query(self.run.settings), **self.choice())

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

    def on_delivered(self, window: Window) -> None:
        holes = self.bookmark.holes
        self.bookmark.holes = [left for hole in holes for left in without(hole, [window])]
        self.logger.info("%s: a report has filled %s UTC", self.name, window)

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
        return step, self._query(step)

    def _continue(self, step: GoOn) -> RecentReply[Iterator[Piece]]:
        org = self.run.settings.org
        return continue_recent(self.run.connection, org, step.token, self.open_measurements)

    def _query(self, step: AskCache) -> RecentReply[Iterator[Piece]]:
        query = measurement_query(self.run.settings) | self.choice()
        reply = query_recent(self.run.connection, query, step.start, self.open_measurements)
        start = f"{step.start:%Y-%m-%d %H:%M}"
        self.logger.info(
            "%s: %s, so Clarity's cache is asked from %s UTC on", self.name, step.why, start
        )
        return reply

    def _written(self, reply: RecentReply[Iterator[Piece]]) -> Iterator[Record]:
        try:
            yield from self.emit(reply.measurements)
        except UnreadableError as error:
            raise FileError(f"Clarity's reply cannot be trusted: {error}") from error

    def _fill_holes(self) -> Iterator[Record]:
        """Fill by reports what the cache no longer has; what cannot be had now stays in state."""
        bookmark, recovers = self.bookmark, self.run.settings.recover_gaps
        fate = "reports are to fill it" if recovers else "recover_gaps is off, so it stays"
        for hole in bookmark.holes:
            self.logger.warning(
                "%s: Clarity's cache no longer has %s UTC: %s", self.name, hole, fate
            )
        if not recovers or not (bookmark.holes or bookmark.building):
            return
        left = requests_left(self._tap, self.run.clock.now())
        wanted = self._wanted(bookmark.holes)
        yield from self.reported_records(wanted[:left], left, self.choice())
        if len(wanted) > left:
            self.say_put_off(len(wanted) - left)
        for hole in bookmark.holes:
            self.logger.warning(
                "%s: %s UTC is still missing; the next run goes on", self.name, hole
            )

    @property
    def _datasources(self) -> str | None:
        """Sum up the organisation's list of datasources, if this run has read it anyway."""
        if self.run.settings.datasource_ids or not self.run.knows_datasources:
            return None
        return fingerprint(ids=sorted(item["datasourceId"] for item in self.run.datasources))
