"""A network's section of the page: its texts, its table and its charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.page import charts, formatting
from tap_clarity.page.completeness import Coverage, Gap, days_of
from tap_clarity.page.queries import shown_metrics
from tap_clarity.page.station_table import (
    StationRow,
    measured_metrics,
    station_labels,
    station_rows,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.measurements.dictionary import Metric
    from tap_clarity.page.queries import NetworkData
    from tap_clarity.page.source_tables import Network

MAX_GAPS: Final = 10
_FREQUENCY_NOTES: Final = {
    "hour": "Hourly means, as Clarity gives them.",
    "minute": "The file has single samples; the PM2.5 series shows their mean of each hour.",
    "day": "The file has daily means only.",
}


@dataclass(frozen=True)
class Section:
    """A network on the page."""

    network: Network
    labels: dict[str, str]
    metrics: list[Metric]
    stations: list[StationRow]
    coverage: Coverage
    data: NetworkData
    gaps: list[Gap]
    now: datetime

    @property
    def name(self) -> str:
        return self.network.org

    @property
    def period_name(self) -> str:
        return "day" if self.network.frequency == "day" else "hour"

    @property
    def frequency_note(self) -> str:
        return _FREQUENCY_NOTES[self.network.frequency]

    @property
    def first(self) -> datetime:
        return self._start_of(self.coverage.extent.start)

    @property
    def newest(self) -> datetime:
        return self._start_of(self.coverage.extent.end - 1)

    @property
    def end(self) -> datetime:
        """When the newest period ends."""
        return self._start_of(self.coverage.extent.end)

    @property
    def age(self) -> str:
        return formatting.age(self.now - self.end)

    @property
    def is_in_progress(self) -> bool:
        """Whether the newest period has not ended: only single samples come that early."""
        return self.now < self.end

    @property
    def is_stale(self) -> bool:
        """Whether the file ends earlier than late arrivals explain."""
        return (self.now - self.end).total_seconds() > 3 * self.network.period_seconds

    @property
    def active_count(self) -> int:
        """How many stations have a measurement in the newest 24 hours, or on the newest day."""
        start = self.coverage.extent.end - self._periods_per_day
        return sum(intervals[-1].end > start for intervals in self.coverage.periods.values())

    @property
    def completeness(self) -> str:
        counts = [self.coverage.count(id_) for id_ in self.coverage.periods]
        return formatting.percentage(*(sum(numbers) for numbers in zip(*counts, strict=True)))

    @property
    def gap_texts(self) -> list[tuple[str, str, str]]:
        """Duration, stations and times of each of the longest gaps."""
        return [self._gap_text(gap) for gap in self.gaps[:MAX_GAPS]]

    @property
    def other_gaps(self) -> str:
        others = self.gaps[MAX_GAPS:]
        missing = sum(gap.interval.length * max(1, len(gap.station_ids)) for gap in others)
        return (
            f"And {formatting.count(len(others), 'shorter gap')},"
            f" {formatting.count(missing, self.period_name)} in all."
            if others
            else ""
        )

    @property
    def has_cell_labels(self) -> bool:
        days = days_of(self.coverage.extent, self._periods_per_day)
        return charts.has_cell_labels(len(self.coverage.periods) + 1, len(days))

    @property
    def _periods_per_day(self) -> int:
        return 86_400 // self.network.period_seconds

    def _start_of(self, period: int) -> datetime:
        return formatting.period_start(period, self.network.period_seconds)

    def _gap_text(self, gap: Gap) -> tuple[str, str, str]:
        start, end = (formatting.minute(self._start_of(each)) for each in gap.interval)
        is_open = gap.interval.end == self.coverage.extent.end
        return (
            formatting.duration(gap.interval.length, self.network.period_seconds),
            "all stations at once" if gap.is_for_all else self._gap_stations(gap),
            f"from {start}, still open" if is_open else f"{start} to {end}",
        )

    def _gap_stations(self, gap: Gap) -> str:
        names = formatting.station_names([self.labels[id_] for id_ in gap.station_ids])
        if len(gap.station_ids) == 1:
            return names
        return f"{len(gap.station_ids)} of {len(self.coverage.periods)} stations at once: {names}"

    def charts(self) -> dict[str, Any]:
        labels = {id_: label for id_, label in self.labels.items() if id_ in self.coverage.periods}
        seconds = self.network.period_seconds
        return {
            "series": charts.series_chart(
                self.data.means, self.data.spread, self.coverage.extent, seconds, labels
            ),
            "calendar": charts.calendar_chart(self.coverage, labels, seconds),
        }


def build_section(network: Network, data: NetworkData, now: datetime) -> Section:
    coverage = Coverage(data.periods)
    labels = station_labels(data)
    metrics = measured_metrics(shown_metrics(network.frequency), data.latest)
    stations = station_rows(data, labels, metrics, coverage, now)
    return Section(network, labels, metrics, stations, coverage, data, coverage.gaps(), now)
