"""A network on the page: what was found out about it, in words, and its charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.page import charts
from tap_clarity.page import formatting as words
from tap_clarity.page.completeness import Coverage, Gap, days_of
from tap_clarity.page.queries import shown_metrics
from tap_clarity.page.stations import Station, describe, label_all, metrics_there

if TYPE_CHECKING:
    from datetime import datetime

    from tap_clarity.measurements.dictionary import Metric
    from tap_clarity.page.queries import Answers
    from tap_clarity.page.source_tables import Network

MOST_GAPS: Final = 10
_SHOWN: Final = {
    "hour": "Hourly means, as Clarity gives them.",
    "minute": "The file has single samples; the PM2.5 series shows their mean of each hour.",
    "day": "The file has daily means only.",
}


@dataclass(frozen=True)
class Section:
    """A network on the page, in words; its charts are data beside it."""

    network: Network
    labels: dict[str, str]
    metrics: list[Metric]
    stations: list[Station]
    coverage: Coverage
    answers: Answers
    gaps: list[Gap]
    now: datetime

    @property
    def name(self) -> str:
        return self.network.org

    @property
    def noun(self) -> str:
        return "day" if self.network.frequency == "day" else "hour"

    @property
    def shown(self) -> str:
        return _SHOWN[self.network.frequency]

    @property
    def first(self) -> datetime:
        return words.moment(self.coverage.whole.start, self.network.period)

    @property
    def end(self) -> datetime:
        """When the newest period ends."""
        return words.moment(self.coverage.whole.end, self.network.period)

    @property
    def newest(self) -> datetime:
        return words.moment(self.coverage.whole.end - 1, self.network.period)

    @property
    def age(self) -> str:
        return words.age(self.now - self.end)

    @property
    def is_running(self) -> bool:
        """Whether the newest hour is not over: only single samples come that early."""
        return self.now < self.end

    @property
    def is_behind(self) -> bool:
        """Whether the file ends earlier than late arrivals explain."""
        return (self.now - self.end).total_seconds() > 3 * self.network.period

    @property
    def active(self) -> int:
        """How many stations have anything in the newest 24 hours, or on the newest day."""
        least = self.coverage.whole.end - 86_400 // self.network.period
        return sum(spans[-1].end > least for spans in self.coverage.spans.values())

    @property
    def share(self) -> str:
        totals = [self.coverage.total(id_) for id_ in self.coverage.spans]
        return words.share(sum(t.there for t in totals), sum(t.expected for t in totals))

    @property
    def sentences(self) -> list[tuple[str, str, str]]:
        """The longest holes: how long, whose, when."""
        return [self._sentence(gap) for gap in self.gaps[:MOST_GAPS]]

    @property
    def rest(self) -> str:
        others = self.gaps[MOST_GAPS:]
        missing = sum(gap.span.length * max(1, len(gap.ids)) for gap in others)
        return (
            f"And {words.counted(len(others), 'shorter hole')},"
            f" {words.counted(missing, self.noun)} in all."
            if others
            else ""
        )

    @property
    def shows_numbers(self) -> bool:
        days = days_of(self.coverage.whole, 86_400 // self.network.period)
        return charts.shows_numbers(len(self.coverage.spans) + 1, len(days))

    def _sentence(self, gap: Gap) -> tuple[str, str, str]:
        seconds = self.network.period
        begin, end = (words.moment(each, seconds) for each in gap.span)
        whose = "all stations at once" if gap.is_everyones else self._whose(gap)
        is_open = gap.span.end == self.coverage.whole.end
        times = (
            f"from {words.minute(begin)}, still open"
            if is_open
            else (f"{words.minute(begin)} to {words.minute(end)}")
        )
        return words.length(gap.span.length, seconds), whose, times

    def _whose(self, gap: Gap) -> str:
        named = words.names([self.labels[id_] for id_ in gap.ids])
        if len(gap.ids) == 1:
            return named
        return f"{len(gap.ids)} of {len(self.coverage.spans)} stations at once: {named}"

    def charts(self) -> dict[str, Any]:
        measuring = {i: label for i, label in self.labels.items() if i in self.coverage.spans}
        seconds = self.network.period
        return {
            "series": charts.series(
                self.answers.means, self.answers.spread, self.coverage.whole, seconds, measuring
            ),
            "calendar": charts.calendar(self.coverage, measuring, seconds),
        }


def section(network: Network, answers: Answers, now: datetime) -> Section:
    coverage = Coverage.of(answers.spells)
    labels = label_all(answers)
    metrics = metrics_there(shown_metrics(network.frequency), answers.latest)
    stations = describe(answers, labels, metrics, coverage, now)
    gaps = coverage.gaps()
    return Section(network, labels, metrics, stations, coverage, answers, gaps, now)
