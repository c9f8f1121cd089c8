"""The report streams: windows of history, asked for once, delivered oldest first."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_clarity.instants import DAY, floor, format_instant
from tap_clarity.planning.bookmarks import ReportBookmark, fingerprint
from tap_clarity.planning.due import Scope, allot, slot_of
from tap_clarity.planning.forecast import Standing
from tap_clarity.planning.windows import merged
from tap_clarity.streams.measurements import datasource_choice, measurement_query
from tap_clarity.streams.reporting import ReportingStream, requests_left

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.instants import Window
    from tap_clarity.planning.due import Due
    from tap_clarity.streams.base import Record

DAYS_OF_HISTORY = 30


class ReportStream(ReportingStream):
    """The history, covered window by window."""

    advances_by = "windows in state"
    is_restarted = False
    """Whether the state is one of another query."""
    _slot: datetime | None = None
    _head: Window | None = None

    @property
    @abstractmethod
    def chosen(self) -> tuple[str, ...] | None:
        """Ids that the settings name; None for all of the organisation's."""

    @cached_property
    def bookmark(self) -> ReportBookmark:
        """Where the stream stands; coverage and reports of another query do not count."""
        query = measurement_query(self.run.settings)
        mark = fingerprint(**query, report=self.report, chosen=self.chosen)
        try:
            bookmark = ReportBookmark.from_state(self.stream_state)
        except ValueError as error:
            self.logger.warning(
                "The state of %s is unusable (%s): starting afresh", self.name, error
            )
            bookmark = ReportBookmark()
        if bookmark.fingerprint not in {None, mark}:
            self.is_restarted = True
            bookmark = ReportBookmark(start=bookmark.start, spent=bookmark.spent)
        bookmark.fingerprint = mark
        return bookmark

    def standing(self, now: datetime) -> Standing:
        """Sum up where the stream stands, for planning."""
        settings, bookmark = self.run.settings, self.bookmark
        if settings.start_date is None and bookmark.start is None:
            bookmark.start = floor(now, DAY) - DAYS_OF_HISTORY * DAY
        scope = Scope(
            start=settings.start_date or bookmark.start or now,
            end=settings.end_date,
            step=settings.frequency.step,
            window_days=settings.report_window_days,
            lookback_days=settings.lookback_days,
            interval=timedelta(hours=settings.report_interval_hours),
        )
        building = tuple(window for _, window in bookmark.building)
        return Standing(scope, tuple(bookmark.covered), bookmark.head_slot, building)

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        choice = self.choice()
        if not choice:
            self.logger.info("%s: the organisation has nothing to report on", self.name)
            return
        now = self.run.clock.now()
        dues = {s.name: s.standing(now).due(now) for s in selected_reports(self._tap)}
        left = requests_left(self._tap, now)
        shares = allot(dues, left)
        due, share = dues[self.name], shares[self.name]
        self._slot = slot_of(now, self.standing(now).scope.interval)
        self._head = due.head[-1] if due.head else None
        self._announce(due, len(share), now)
        yield from self.reported_records(share, left, choice)
        put_off = sum(map(len, dues.values())) - sum(map(len, shares.values()))
        if put_off:
            self.say_put_off(put_off)

    def on_asked(self, window: Window) -> None:
        if window == self._head:
            self.bookmark.head_slot = self._slot

    def on_dropped(self, window: Window) -> None:
        known = [*self.bookmark.covered, *(window for _, window in self.bookmark.building)]
        if all(other.end < window.end for other in known):
            # It was the newest data: unless it is had now, do not wait for the next slot.
            self.bookmark.head_slot = None
            self._head = self._head or window

    def on_delivered(self, window: Window) -> None:
        self.bookmark.covered = merged([*self.bookmark.covered, window])

    def _announce(self, due: Due, asked: int, now: datetime) -> None:
        if self.is_restarted:
            self.logger.warning(
                "%s: settings of its query have changed; it starts again from %s, for %d reports",
                *(self.name, format_instant(self.standing(now).scope.start), len(due)),
            )
        building = len(self.bookmark.building)
        if due or building:
            self.logger.info(
                "%s: reports due: %d (new data %d, the past %d), asked for in this run: %d, "
                "taken up from earlier runs: %d",
                *(self.name, len(due), len(due.head), len(due.backfill), asked, building),
            )
        else:
            self.logger.info("%s: no report is due", self.name)


def selected_reports(tap: Tap) -> list[ReportStream]:
    """Give the report streams that run, in their order."""
    return [
        stream
        for stream in tap.streams.values()
        if isinstance(stream, ReportStream) and stream.selected
    ]


class DatasourceMeasurements(ReportStream):
    """The history of the datasources."""

    name = "datasource_measurements"
    source = "report datasource-measurements"
    report = "datasource-measurements"

    @property
    def chosen(self) -> tuple[str, ...] | None:
        return self.run.settings.datasource_ids

    def choice(self) -> dict[str, Any]:
        return datasource_choice(self.chosen)


class NodeMeasurements(ReportStream):
    """The history of the nodes, whichever datasources they fed."""

    name = "node_measurements"
    source = "report node-measurements"
    selected_by_default = False
    report = "node-measurements"
    id_field = "node_id"

    @property
    def chosen(self) -> tuple[str, ...] | None:
        return self.run.settings.node_ids

    def choice(self) -> dict[str, Any]:
        ids = self.chosen or tuple(sorted(node["nodeId"] for node in self.run.nodes))
        return {"nodeIds": list(ids)} if ids else {}


class ReferenceSiteMeasurements(ReportStream):
    """The history of the reference sites."""

    name = "reference_site_measurements"
    source = "report reference-site-measurements"
    selected_by_default = False
    report = "reference-site-measurements"
    id_field = "reference_site_id"

    @property
    def chosen(self) -> tuple[str, ...] | None:
        return self.run.settings.reference_site_ids

    def choice(self) -> dict[str, Any]:
        ids = self.chosen or self.run.reference_sites
        return {"refSiteIds": list(ids)} if ids else {}
