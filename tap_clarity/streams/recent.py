"""The recent measurements: each run goes on where the last one ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tap_clarity.api.errors import FileError, KeyRefusedError, RequestRefusedError
from tap_clarity.api.recent import RecentReply, continue_recent, query_recent
from tap_clarity.measurements.model import UnreadableError
from tap_clarity.planning.bookmarks import RecentBookmark, fingerprint
from tap_clarity.planning.recovery import AskCache, GoOn, next_step
from tap_clarity.planning.windows import merged
from tap_clarity.streams.measurements import (
    MeasurementStream,
    datasource_choice,
    measurement_query,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from singer_sdk.helpers.types import Context

    from tap_clarity.measurements.model import Measurement
    from tap_clarity.streams.base import Record


class RecentMeasurements(MeasurementStream):
    """What Clarity's cache holds of the datasources, from hours to days back."""

    name = "recent_measurements"
    source = "POST /v2/recent-datasource-measurements-query, then -continuation"
    advances_by = "continuation token in state"

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        bookmark = self._bookmark()
        asked_at = self.run.clock.now()
        reply = self._ask(bookmark, asked_at)
        try:
            yield from self.to_records(reply.measurements)
        except UnreadableError as error:
            raise FileError(f"Clarity's reply cannot be trusted: {error}") from error
        # Only now, with all records written, may the next run go on from here.
        if reply.token is None:
            self.logger.warning("Clarity sent no continuation token; the next run asks the cache")
        bookmark = replace(bookmark, token=reply.token, issued_at=asked_at, covered_until=asked_at)
        self.save(bookmark.to_state())

    def next_step(self, now: datetime) -> GoOn | AskCache:
        """Say how the next run would go on."""
        return self._next_step(self._bookmark(), now)

    def _bookmark(self) -> RecentBookmark:
        """Read the state; what belongs to another query does not count."""
        mark = fingerprint(**self._query)
        try:
            bookmark = RecentBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "The state of %s is unusable (%s): starting afresh", self.name, error
            )
            bookmark = RecentBookmark()
        if bookmark.fingerprint not in {None, mark}:
            self.logger.info("The settings of the query have changed: asking the cache anew")
            bookmark = RecentBookmark()
        return replace(bookmark, fingerprint=mark)

    def _ask(self, bookmark: RecentBookmark, now: datetime) -> RecentReply[Iterator[Measurement]]:
        connection, org = self.run.connection, self.run.settings.org
        step = self._next_step(bookmark, now)
        if isinstance(step, GoOn):
            try:
                return continue_recent(connection, org, step.token, self.open_measurements)
            except (KeyRefusedError, RequestRefusedError) as error:
                # Nobody knows how a dead token is refused. If it is the key, the cache says so too.
                self.logger.warning("The continuation token is refused: %s", error)
            step = self._next_step(replace(bookmark, token=None), now)
        assert isinstance(step, AskCache)  # noqa: S101 - without a token there is no going on
        if step.hole:
            bookmark.holes = merged([*bookmark.holes, step.hole])
        for hole in bookmark.holes:
            self.logger.warning("Recent measurements have a hole: %s", hole)
        return query_recent(connection, self._query, step.start, self.open_measurements)

    def _next_step(self, bookmark: RecentBookmark, now: datetime) -> GoOn | AskCache:
        return next_step(
            bookmark.token,
            bookmark.issued_at,
            bookmark.covered_until,
            self.run.settings.frequency,
            now,
        )

    @property
    def _query(self) -> dict[str, Any]:
        settings = self.run.settings
        return measurement_query(settings) | datasource_choice(settings.datasource_ids)
