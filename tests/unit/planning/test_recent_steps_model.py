"""Decisions for the recent measurements: each case, and months of faults against a model.

In the model a measurement is a time and an arrival. Clarity sends what has arrived since a token
was issued and is still in its cache, the content of its cache, or what has arrived in the window of
a report; nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.core.frequencies import FREQUENCIES, Frequency
from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.bookmarks import RecentBookmark
from tap_clarity.planning.gap_reports import find_due_gaps
from tap_clarity.planning.recent_steps import (
    ContinueToken,
    QueryCache,
    QueryReason,
    Step,
    TokenState,
    after_response,
    is_clock_skewed,
    next_step,
    next_step_at,
    query_cache,
    response_time,
)
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.report_steps import Report
from tests.support.planning.window_model import at, parse_window, parse_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = at("2026-03-10T09:20")
HOURS = FREQUENCIES["hour"]


def known(
    token: str | None = "a token",  # noqa: S107 - a token's place
    issued: str | None = "2026-03-10T08:20",
    covered: str | None = "2026-03-10T08:20",
    *,
    is_same_query: bool = True,
    is_same_datasources: bool = True,
) -> TokenState:
    return TokenState(
        token=token,
        issued_at=at(issued) if issued else None,
        covered_until=at(covered) if covered else None,
        is_same_query=is_same_query,
        is_same_datasources=is_same_datasources,
    )


WHOLE_CACHE = "2026-03-08T09:35"
OVERLAP = "2026-03-10T04:00"
"""Where to ask from if all is covered until 08:20: late by 3 hours, the hour itself, the clock."""


@pytest.mark.parametrize(
    ("given_state", "start", "gap", "reason"),
    [
        (known(None, None, None), WHOLE_CACHE, None, QueryReason.FIRST_RUN),
        # No token, or none that is good.
        (known(None), OVERLAP, None, QueryReason.NO_TOKEN),
        (known(issued=None), OVERLAP, None, QueryReason.NO_TOKEN),
        (
            known(issued="2026-03-09T09:20", covered="2026-03-09T09:20"),
            "2026-03-09T05:00",
            None,
            QueryReason.TOKEN_EXPIRED,
        ),
        # What another query has covered is asked for again, as far as the cache has it.
        (known(is_same_query=False), WHOLE_CACHE, None, QueryReason.QUERY_CHANGED),
        (known(is_same_datasources=False), WHOLE_CACHE, None, QueryReason.DATASOURCES_CHANGED),
        # The last hours that the cache holds for certain, and the first that it may not.
        (known(None, covered="2026-03-08T14:15"), "2026-03-08T10:00", None, QueryReason.NO_TOKEN),
        (
            known(None, covered="2026-03-08T14:14"),
            WHOLE_CACHE,
            "2026-03-08T09:00 to 2026-03-08T10:00",
            QueryReason.NO_TOKEN,
        ),
        (
            known(issued="2026-03-01T08:20", covered="2026-03-01T08:20"),
            WHOLE_CACHE,
            "2026-03-01T04:00 to 2026-03-08T10:00",
            QueryReason.TOKEN_EXPIRED,
        ),
        # A hole is a hole, whatever else has changed.
        (
            known(covered="2026-03-01T08:20", is_same_query=False),
            WHOLE_CACHE,
            "2026-03-01T04:00 to 2026-03-08T10:00",
            QueryReason.QUERY_CHANGED,
        ),
        (
            known(covered="2026-03-01T08:20", is_same_datasources=False),
            WHOLE_CACHE,
            "2026-03-01T04:00 to 2026-03-08T10:00",
            QueryReason.DATASOURCES_CHANGED,
        ),
        # A clock that is a little behind, and one that was far ahead.
        (known(None, covered="2026-03-10T09:35"), "2026-03-10T05:00", None, QueryReason.NO_TOKEN),
        (known(None, covered="2026-03-15T09:20"), WHOLE_CACHE, None, QueryReason.NO_TOKEN),
    ],
)
def test_the_cache_is_queried(
    given_state: TokenState, start: str, gap: str | None, reason: QueryReason
) -> None:
    step = next_step(given_state, HOURS, NOW)
    assert step == QueryCache(at(start), parse_window(gap) if gap else None)
    assert isinstance(step, QueryCache)
    assert step.reason is reason


@pytest.mark.parametrize(
    "given_state",
    [
        known(),
        known(issued="2026-03-09T09:21"),
        known(issued="2026-03-15T09:20"),  # by a clock that was ahead: Clarity knows better
        known(covered="2026-03-01T08:20"),  # the token goes on from where it was issued
        known(covered=None),
    ],
)
def test_a_good_token_is_continued(given_state: TokenState) -> None:
    assert next_step(given_state, HOURS, NOW) == ContinueToken("a token")


@pytest.mark.parametrize(
    ("minutes", "expected"), [(0, False), (15, False), (-15, False), (16, True), (-16, True)]
)
def test_clock_skew_is_detected_beyond_15_minutes(minutes: int, *, expected: bool) -> None:
    assert is_clock_skewed(NOW + minutes * MINUTE, NOW) is expected


def test_response_is_saved_with_the_gap_before_the_cache() -> None:
    before = RecentBookmark(gaps=parse_windows("2026-02-01 to 2026-02-03"))
    gap_start = parse_window("2026-02-03 to 2026-02-09")
    after = after_response(before, QueryCache(NOW - DAY, gap_start), "new", NOW, 5)
    assert after == RecentBookmark(
        token="new",  # noqa: S106 - a token's place
        issued_at=NOW,
        covered_until=NOW,
        gaps=parse_windows("2026-02-01 to 2026-02-09"),
        cache_queried_at=NOW,
        records_since_query=5,
    )
    later = NOW + HOUR
    assert after_response(after, ContinueToken("new"), None, later, 3) == replace(
        after, token=None, issued_at=later, covered_until=later, records_since_query=8
    )


class RunConditions(Enum):
    """What becomes of a run."""

    GOOD = auto()
    TOKEN_REFUSED = auto()
    TOKEN_MISSING = auto()
    KILLED_BEFORE_STATE = auto()
    UNREACHABLE = auto()
    OTHER_QUERY = auto()


class Outcome(Enum):
    """What becomes of a report for a gap."""

    DELIVERED = auto()
    CLIPPED = auto()
    UNFINISHED = auto()
    FAILED = auto()
    REJECTED = auto()
    QUOTA_USED_UP = auto()


class Point(NamedTuple):
    """A measurement, as far as it matters here."""

    time: datetime
    arrival: datetime


@dataclass
class ModelTap:
    """The tap and its target, by what is decided; the rest is as `streams.recent` does it."""

    frequency: Frequency
    points: Sequence[Point]
    outcomes: Iterator[Outcome]
    window_days: int
    stored: str = "{}"
    mark: str = "first query"
    expected_from: datetime | None = None
    has: set[Point] = field(default_factory=set)
    bookmark: RecentBookmark = field(default_factory=RecentBookmark)
    query_count: int = 0
    _rejects_token: bool = False
    _same_query: bool = True

    def run(self, now: datetime, clock: datetime, conditions: RunConditions) -> bool:
        """Run at an instant, by a clock that may be wrong; gives whether it got an answer."""
        if conditions is RunConditions.UNREACHABLE:
            return False
        if conditions is RunConditions.OTHER_QUERY:
            self.mark += "!"
        self._load()
        self._rejects_token, self.query_count = conditions is RunConditions.TOKEN_REFUSED, 0
        step = self._request(next_step(self._known(), self.frequency, clock), now, clock)
        answered_at = response_time(clock, now, self.bookmark.covered_until)
        again = next_step_at(step, self._known(), self.frequency, answered_at)
        if is_clock_skewed(clock, answered_at) and step != again:
            step = self._request(again, now, answered_at)
        if conditions is RunConditions.KILLED_BEFORE_STATE:
            return False
        token = None if conditions is RunConditions.TOKEN_MISSING else now.isoformat()
        self.bookmark = after_response(self.bookmark, step, token, answered_at)
        self._save()
        if self.expected_from is None:
            # The first run asks for the whole cache, as far as its own clock knows, but for the
            # quarter of an hour by which that may be wrong.
            self.expected_from = max(now, clock) - self.frequency.cache + 15 * MINUTE
        self._fill_gaps(now)
        return True

    def _load(self) -> None:
        bookmark = RecentBookmark.from_state(json.loads(self.stored))
        self._same_query = bookmark.fingerprint in {None, self.mark}
        if not self._same_query:
            bookmark = replace(bookmark, token=None, ledger=ReportLedger())
        self.bookmark = replace(bookmark, fingerprint=self.mark)

    def _save(self) -> None:
        self.stored = json.dumps(self.bookmark.to_state())

    def _request(self, step: Step, now: datetime, clock: datetime) -> Step:
        if isinstance(step, ContinueToken):
            self.query_count += 1
            issued = datetime.fromisoformat(step.token)
            if not self._rejects_token and now - issued <= timedelta(hours=24):
                covered_since = now - self.frequency.cache
                self._take(lambda p: issued < p.arrival <= now and covered_since <= p.time)
                return step
            step = query_cache(self._known(), self.frequency, clock, QueryReason.TOKEN_REJECTED)
        self.query_count += 1
        start = max(step.start, now - self.frequency.cache)
        self._take(lambda point: start <= point.time and point.arrival <= now)
        return step

    def _known(self) -> TokenState:
        return TokenState(
            token=self.bookmark.token,
            issued_at=self.bookmark.issued_at,
            covered_until=self.bookmark.covered_until,
            is_same_query=self._same_query,
        )

    def _fill_gaps(self, now: datetime) -> None:
        for report in self.bookmark.ledger.pending:
            self._receive(report, now, next(self.outcomes))
        ledger = self.bookmark.ledger
        due = find_due_gaps(
            self.bookmark.gaps, ledger.pending_windows, ledger.failing, self.window_days, now
        )
        for number, window in enumerate([*due.incremental, *due.retries]):
            outcome = next(self.outcomes)
            if outcome is Outcome.QUOTA_USED_UP:
                return
            if outcome is Outcome.REJECTED:
                self._keep(self.bookmark.ledger.reject(window, now.date()))
                continue
            report = Report(f"{now:%s}-{number}", window, now)
            self._keep(self.bookmark.ledger.accept(report, None, now))
            self._receive(report, now, outcome)

    def _receive(self, report: Report, now: datetime, outcome: Outcome) -> None:
        window, ledger = report.window, self.bookmark.ledger
        if outcome is Outcome.FAILED:
            self._keep(ledger.fail(report, now.date()))
        elif outcome in {Outcome.DELIVERED, Outcome.CLIPPED}:
            half = (window.end - window.start) / 2
            served = (
                window if outcome is Outcome.DELIVERED else Window(window.start + half, window.end)
            )
            self._take(lambda point: point.time in served and point.arrival <= now)
            self.bookmark = self.bookmark.complete(report, served)
            self._save()

    def _keep(self, ledger: ReportLedger) -> None:
        self.bookmark = self.bookmark.with_ledger(ledger)
        self._save()

    def _take(self, arrives: Callable[[Point], bool]) -> None:
        self.has.update(filter(arrives, self.points))

    def missing(self, now: datetime) -> list[Point]:
        """What should be there by now, is not, and is not written down as a gap either."""
        assert self.expected_from
        return [
            point
            for point in self.points
            if self.expected_from <= point.time
            and point.arrival <= now
            and point not in self.has
            and not any(point.time in gap for gap in self.bookmark.gaps)
        ]


FIRST = at("2026-03-01T07:13")
CALM_RUNS, CALM_PAUSE = 10, 23 * HOUR
"""Longer than any window that has failed waits."""
SPACING = {"minute": 41 * MINUTE, "hour": HOUR, "day": DAY}


def all_points(frequency: Frequency, end: datetime) -> list[Point]:
    """What a device tells: at once, as late as may be, and in between."""
    spacing, period = SPACING[frequency.name], frequency.period or timedelta(0)
    start = at("2026-02-10")
    times = (start + turn * spacing for turn in range((end - start) // spacing))
    lateness = [frequency.lateness * share / 7 for share in range(8)]
    return [Point(time, time + period + lateness[turn * 5 % 8]) for turn, time in enumerate(times)]


def with_successful_end(beginning: Sequence[Outcome]) -> Iterator[Outcome]:
    yield from beginning
    while True:
        yield Outcome.DELIVERED


class Turn(NamedTuple):
    """A run, and what went before it."""

    pause: timedelta
    clock_error: timedelta
    conditions: RunConditions


pauses = st.sampled_from([0.01, 1, 3, 23, 24, 25, 45, 49, 72, 11 * 24]).map(lambda h: h * HOUR)
any_pause = pauses | st.integers(1, 20_000).map(lambda minutes: minutes * MINUTE)
clock_errors = st.sampled_from(
    [0 * MINUTE] * 4
    + [14 * MINUTE, -14 * MINUTE, 2 * HOUR, -2 * HOUR, 5 * DAY, -5 * DAY, 400 * DAY, -400 * DAY]
)
run_conditions = st.sampled_from([RunConditions.GOOD] * 4 + [*RunConditions])
turns = st.lists(st.builds(Turn, any_pause, clock_errors, run_conditions), min_size=1, max_size=14)
some_outcomes = st.lists(st.sampled_from([*Outcome, Outcome.DELIVERED]), max_size=20)


@settings(max_examples=250)
@given(st.sampled_from([*FREQUENCIES.values()]), st.integers(1, 31), turns, some_outcomes)
def test_no_gap_is_left_unrecorded(
    frequency: Frequency, window_days: int, turns: list[Turn], outcomes: list[Outcome]
) -> None:
    end = FIRST + sum((turn.pause for turn in turns), timedelta()) + CALM_RUNS * CALM_PAUSE
    tap = ModelTap(
        frequency, all_points(frequency, end), with_successful_end(outcomes), window_days
    )
    now = FIRST
    for pause, clock_error, conditions in turns:
        now += pause
        if tap.run(now, now + clock_error, conditions):
            assert tap.missing(now) == []
        assert tap.query_count <= 3
    tap.outcomes = with_successful_end([])
    for _ in range(CALM_RUNS):
        now += CALM_PAUSE
        tap.run(now, now, RunConditions.GOOD)
    assert not tap.bookmark.gaps
    assert not tap.bookmark.ledger.pending
    assert tap.missing(now) == []
