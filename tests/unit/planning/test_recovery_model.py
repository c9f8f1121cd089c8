"""What is decided for the recent measurements: each case, and months of bad luck against a model.

In the model a measurement is a time and an arrival. Clarity gives what has arrived since a token
was issued and is still in its cache, what its cache still holds, or what has arrived in a report's
window: no more than that.
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
from tap_clarity.planning.gaps import find_due_gaps
from tap_clarity.planning.recovery import (
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
from tap_clarity.planning.reports import Report
from tests.support.window_model import at, span, spans

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
    assert step == QueryCache(at(start), span(gap) if gap else None)
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
def test_a_clock_is_off_by_more_than_a_quarter_of_an_hour(minutes: int, *, expected: bool) -> None:
    assert is_clock_skewed(NOW + minutes * MINUTE, NOW) is expected


def test_a_reply_is_noted_with_what_the_cache_no_longer_had() -> None:
    before = RecentBookmark(gaps=spans("2026-02-01 to 2026-02-03"))
    hole = span("2026-02-03 to 2026-02-09")
    after = after_response(before, QueryCache(NOW - DAY, hole), "new", NOW, 5)
    assert after == RecentBookmark(
        token="new",  # noqa: S106 - a token's place
        issued_at=NOW,
        covered_until=NOW,
        gaps=spans("2026-02-01 to 2026-02-09"),
        cache_queried_at=NOW,
        records_since_query=5,
    )
    later = NOW + HOUR
    assert after_response(after, ContinueToken("new"), None, later, 3) == replace(
        after, token=None, issued_at=later, covered_until=later, records_since_query=8
    )


class Luck(Enum):
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
class Tap:
    """The tap and its target, by what is decided; the rest is as `streams.recent` does it."""

    frequency: Frequency
    points: Sequence[Point]
    outcomes: Iterator[Outcome]
    window_days: int
    stored: str = "{}"
    mark: str = "first query"
    promised_from: datetime | None = None
    has: set[Point] = field(default_factory=set)
    bookmark: RecentBookmark = field(default_factory=RecentBookmark)
    questions: int = 0
    _refuses: bool = False
    _same_query: bool = True

    def run(self, now: datetime, clock: datetime, luck: Luck) -> bool:
        """Run at an instant, by a clock that may be wrong; gives whether it got an answer."""
        if luck is Luck.UNREACHABLE:
            return False
        if luck is Luck.OTHER_QUERY:
            self.mark += "!"
        self._load()
        self._refuses, self.questions = luck is Luck.TOKEN_REFUSED, 0
        step = self._request(next_step(self._known(), self.frequency, clock), now, clock)
        answered_at = response_time(clock, now, self.bookmark.covered_until)
        again = next_step_at(step, self._known(), self.frequency, answered_at)
        if is_clock_skewed(clock, answered_at) and step != again:
            step = self._request(again, now, answered_at)
        if luck is Luck.KILLED_BEFORE_STATE:
            return False
        token = None if luck is Luck.TOKEN_MISSING else now.isoformat()
        self.bookmark = after_response(self.bookmark, step, token, answered_at)
        self._save()
        if self.promised_from is None:
            # The first run asks for the whole cache, as far as its own clock knows, but for the
            # quarter of an hour by which that may be wrong.
            self.promised_from = max(now, clock) - self.frequency.cache + 15 * MINUTE
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
            self.questions += 1
            issued = datetime.fromisoformat(step.token)
            if not self._refuses and now - issued <= timedelta(hours=24):
                held_since = now - self.frequency.cache
                self._take(lambda p: issued < p.arrival <= now and held_since <= p.time)
                return step
            step = query_cache(self._known(), self.frequency, clock, QueryReason.TOKEN_REJECTED)
        self.questions += 1
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

    def _take(self, comes: Callable[[Point], bool]) -> None:
        self.has.update(filter(comes, self.points))

    def missing(self, now: datetime) -> list[Point]:
        """What should be there by now, is not, and is not written down as a gap either."""
        assert self.promised_from
        return [
            point
            for point in self.points
            if self.promised_from <= point.time
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


def lucky_in_the_end(beginning: Sequence[Outcome]) -> Iterator[Outcome]:
    yield from beginning
    while True:
        yield Outcome.DELIVERED


class Turn(NamedTuple):
    """A run, and what went before it."""

    pause: timedelta
    clock_error: timedelta
    luck: Luck


pauses = st.sampled_from([0.01, 1, 3, 23, 24, 25, 45, 49, 72, 11 * 24]).map(lambda h: h * HOUR)
any_pause = pauses | st.integers(1, 20_000).map(lambda minutes: minutes * MINUTE)
clock_errors = st.sampled_from(
    [0 * MINUTE] * 4
    + [14 * MINUTE, -14 * MINUTE, 2 * HOUR, -2 * HOUR, 5 * DAY, -5 * DAY, 400 * DAY, -400 * DAY]
)
lucks = st.sampled_from([Luck.GOOD] * 4 + [*Luck])
turns = st.lists(st.builds(Turn, any_pause, clock_errors, lucks), min_size=1, max_size=14)
some_outcomes = st.lists(st.sampled_from([*Outcome, Outcome.DELIVERED]), max_size=20)


@settings(max_examples=250)
@given(st.sampled_from([*FREQUENCIES.values()]), st.integers(1, 31), turns, some_outcomes)
def test_no_gap_is_ever_left_that_is_not_written_down(
    frequency: Frequency, window_days: int, turns: list[Turn], outcomes: list[Outcome]
) -> None:
    end = FIRST + sum((turn.pause for turn in turns), timedelta()) + CALM_RUNS * CALM_PAUSE
    tap = Tap(frequency, all_points(frequency, end), lucky_in_the_end(outcomes), window_days)
    now = FIRST
    for pause, clock_error, luck in turns:
        now += pause
        if tap.run(now, now + clock_error, luck):
            assert tap.missing(now) == []
        assert tap.questions <= 3
    tap.outcomes = lucky_in_the_end([])
    for _ in range(CALM_RUNS):
        now += CALM_PAUSE
        tap.run(now, now, Luck.GOOD)
    assert not tap.bookmark.gaps
    assert not tap.bookmark.ledger.pending
    assert tap.missing(now) == []
