"""The recent measurements: each run goes on where the last one ended, and heals what was missed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_clarity.api.errors import FileError, KeyRefusedError, RequestRefusedError
from tap_clarity.api.recent import RecentReply, continue_recent, query_recent
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.planning.bookmarks import RecentBookmark, fingerprint
from tap_clarity.planning.recovery import AskCache, GoOn, Known, ask_cache, next_step, windows_of
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
    _same_query = True

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        now = self.run.clock.now()
        reply = self._ask(now)
        try:
            yield from self.emit(reply.measurements)
        except UnreadableError as error:
            raise FileError(f"Clarity's reply cannot be trusted: {error}") from error
        if reply.token is None:
            self.logger.warning("Clarity sent no continuation token; the next run asks the cache")
        # Only now, with all records written, may the next run go on from here.
        self.bookmark.token, self.bookmark.issued_at = reply.token, now
        self.bookmark.covered_until = now
        self.bookmark.datasources = self._datasources or self.bookmark.datasources
        self.save(self.bookmark.to_state())
        yield from self._fill_holes(now)

    @cached_property
    def bookmark(self) -> RecentBookmark:
        """Where the stream stands; a token and reports of another query do not count."""
        mark = fingerprint(**measurement_query(self.run.settings), **self.choice())
        try:
            bookmark = RecentBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "The state of %s is unusable (%s): starting afresh", self.name, error
            )
            bookmark = RecentBookmark()
        self._same_query = bookmark.fingerprint in {None, mark}
        if not self._same_query:
            self.logger.warning("The settings of the query have changed: asking the cache anew")
            bookmark = replace(bookmark, token=None, building=[])
        return replace(bookmark, fingerprint=mark)

    def choice(self) -> dict[str, Any]:
        return datasource_choice(self.run.settings.datasource_ids)

    def next_step(self, now: datetime) -> GoOn | AskCache:
        """Say how to go on."""
        return next_step(self._known(), self.run.settings.frequency, now)

    def gaps(self, now: datetime) -> list[Window]:
        """Give the windows of the reports that would fill the holes, but for those being built."""
        step, settings = self.next_step(now), self.run.settings
        if not settings.recover_gaps:
            return []
        found = [step.hole] if isinstance(step, AskCache) and step.hole else []
        building = [window for _, window in self.bookmark.building]
        holes = merged([*self.bookmark.holes, *found])
        return windows_of(holes, building, settings.report_window_days)

    def _known(self) -> Known:
        bookmark = self.bookmark
        return Known(
            token=bookmark.token,
            issued_at=bookmark.issued_at,
            covered_until=bookmark.covered_until,
            same_query=self._same_query,
            same_datasources=bookmark.datasources in {None, self._datasources}
            or self._datasources is None,
        )

    def on_delivered(self, window: Window) -> None:
        holes = self.bookmark.holes
        self.bookmark.holes = [left for hole in holes for left in without(hole, [window])]

    def _ask(self, now: datetime) -> RecentReply[Iterator[Piece]]:
        connection, settings = self.run.connection, self.run.settings
        step = self.next_step(now)
        if isinstance(step, GoOn):
            try:
                return continue_recent(connection, settings.org, step.token, self.open_measurements)
            except (KeyRefusedError, RequestRefusedError) as error:
                # Nobody knows how a dead token is refused. If it is the key, the cache says so too.
                self.logger.warning("The continuation token is refused: %s", error)
            step = ask_cache(self._known(), settings.frequency, now)
        if step.hole:
            self.bookmark.holes = merged([*self.bookmark.holes, step.hole])
        query = measurement_query(settings) | self.choice()
        return query_recent(connection, query, step.start, self.open_measurements)

    def _fill_holes(self, now: datetime) -> Iterator[Record]:
        """Fill by reports what the cache no longer has; what cannot be had now stays in state."""
        bookmark, settings = self.bookmark, self.run.settings
        for hole in bookmark.holes:
            self.logger.warning(
                "%s has a hole from %s%s",
                self.name,
                hole,
                "" if settings.recover_gaps else "; recover_gaps is off, so it stays",
            )
        if not settings.recover_gaps or not (bookmark.holes or bookmark.building):
            return
        left = requests_left(self._tap, now)
        wanted = self.gaps(now)
        if len(wanted) > left:
            self.say_put_off(len(wanted) - left)
        yield from self.reported_records(wanted[:left], left, self.choice())
        if bookmark.holes:
            self.logger.warning("%s: %d holes wait for a later run", self.name, len(bookmark.holes))

    @property
    def _datasources(self) -> str | None:
        """Sum up the organisation's list of datasources, if this run has read it anyway."""
        if self.run.settings.datasource_ids or not self.run.knows_datasources:
            return None
        return fingerprint(ids=sorted(item["datasourceId"] for item in self.run.datasources))
