"""The stations: what they are called, what they showed last and how complete they are. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.page import formatting as words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tap_clarity.measurements.dictionary import Metric
    from tap_clarity.page.completeness import Coverage
    from tap_clarity.page.queries import Answers, Latest, Listed

SENSED = "as sensed"
INVALID = "invalid"


@dataclass(frozen=True)
class Figure:
    """A figure in the table, with what has to be known of it."""

    text: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Station:
    """A row of the table; no figures and no times if the file has no measurement of it."""

    id: str
    label: str
    group: str
    place: str
    is_stopped: bool
    figures: tuple[Figure | None, ...] = ()
    at: str = ""
    age: str = ""
    share: str = ""


def label_all(answers: Answers) -> dict[str, str]:
    """What to call each station, in the order in which they are shown; no two are alike."""
    given = {each.id: each.name or each.id for each in answers.listed}
    called = {spell.id: spell.id for spell in answers.spells} | given
    times = Counter(called.values())
    unique = {
        id_: name if times[name] == 1 or name == id_ else f"{name} ({id_})"
        for id_, name in called.items()
    }
    return dict(sorted(unique.items(), key=lambda item: (item[1].casefold(), item[0])))


def metrics_there(metrics: Sequence[Metric], latest: Sequence[Latest]) -> list[Metric]:
    """PM2.5, and what else anybody measures."""
    there = {each.metric for each in latest}
    return [each for each in metrics if each is metrics[0] or each.metric in there]


def describe(
    answers: Answers,
    labels: Mapping[str, str],
    metrics: Sequence[Metric],
    coverage: Coverage,
    now: datetime,
) -> list[Station]:
    listed = {each.id: each for each in answers.listed}
    newest: dict[str, dict[str, Latest]] = defaultdict(dict)
    for each in answers.latest:
        newest[each.id][each.metric] = each
    return [
        _describe(
            _bare(id_, label, listed.get(id_), answers.places.get(id_)),
            [newest[id_].get(metric.metric) for metric in metrics],
            metrics[0].output_frequency,
            coverage,
            now,
        )
        for id_, label in labels.items()
    ]


def _describe(
    station: Station,
    latest: Sequence[Latest | None],
    frequency: str,
    coverage: Coverage,
    now: datetime,
) -> Station:
    if station.id not in coverage.spans:
        return station
    at = max((each.at for each in latest if each), default=None)
    length = {"hour": timedelta(hours=1), "day": timedelta(days=1)}.get(frequency, timedelta())
    return replace(
        station,
        figures=tuple(each and _figure(each, at) for each in latest),
        at=words.minute(at) if at else "",
        age=words.age(now - at - length) if at else "",
        share=words.share(*coverage.total(station.id)),
    )


def _bare(
    id_: str, label: str, listed: Listed | None, place: tuple[float, float] | None
) -> Station:
    group = (listed and listed.group) or ""
    is_stopped = listed is not None and not listed.has_source
    return Station(id_, label, group, _place(place), is_stopped)


def _figure(latest: Latest, at: datetime | None) -> Figure:
    number = latest.raw if latest.value is None else latest.value
    notes = (
        SENSED if latest.value is None else "",
        INVALID if latest.invalid else "",
        words.minute(latest.at) if latest.at != at else "",
    )
    return Figure(words.figure(number or 0.0), tuple(filter(None, notes)))


def _place(place: tuple[float, float] | None) -> str:
    if place is None:
        return ""
    return ", ".join(f"{each:.4f}".replace("-", "\N{MINUS SIGN}") for each in place)
