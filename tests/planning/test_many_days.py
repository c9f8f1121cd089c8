"""Weeks of runs with all that can go wrong: in the end everything is covered, asked for once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.instants import DAY, Window
from tap_clarity.planning.bookmarks import ReportBookmark
from tap_clarity.planning.due import Due, Scope, allot, slot_of
from tap_clarity.planning.forecast import Standing
from tap_clarity.planning.quota import left_today, used_up
from tap_clarity.planning.windows import merged, without
from tests.planning.spans import at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST_RUN = at("2026-03-10T09:20")
LIMIT = 15
"""More than the new data of any three streams takes, or the past would never be read."""
CALM_DAYS = 40


class Luck(Enum):
    """What becomes of a report request."""

    DELIVERED = auto()
    UNFINISHED = auto()
    FAILED = auto()
    QUOTA_USED_UP = auto()
    KILLED_BEFORE_STATE = auto()


class Killed(Exception):  # noqa: N818 - no error, but an end
    pass


@dataclass
class Stream:
    """One report stream and its state, treated as the tap treats it."""

    name: str
    scope: Scope
    bookmark: ReportBookmark = field(default_factory=ReportBookmark)
    stored: str = "{}"
    slot: datetime | None = None
    asked_in_slot: list[Window] = field(default_factory=list)
    is_excused: bool = False

    def load(self) -> None:
        self.bookmark = ReportBookmark.from_state(json.loads(self.stored))

    def save(self) -> None:
        self.stored = json.dumps(self.bookmark.to_state())

    def due(self, now: datetime) -> Due:
        known = (*self.bookmark.covered, *(window for _, window in self.bookmark.building))
        return Standing(self.scope, known, self.bookmark.head_slot).due(now)

    def note(self, window: Window, now: datetime) -> None:
        """Hold that no instant is asked for twice in a slot, unless something went wrong."""
        slot = slot_of(now, self.scope.interval)
        if slot != self.slot:
            self.slot, self.asked_in_slot, self.is_excused = slot, [], False
        assert self.is_excused or without(window, self.asked_in_slot) == [window]
        self.asked_in_slot.append(window)

    def excuse(self) -> None:
        """Something went wrong: in this slot, what was asked for may be asked for again."""
        self.is_excused = True


@dataclass
class World:
    """The streams, Clarity's count of their requests, and the luck that they have."""

    streams: list[Stream]
    luck: Iterator[Luck]
    requests: dict[datetime, int] = field(default_factory=dict)

    def run(self, now: datetime) -> None:
        for stream in self.streams:
            stream.load()
        try:
            for stream in self.streams:
                self._run_stream(stream, now)
        except Killed:
            stream.excuse()

    def _run_stream(self, stream: Stream, now: datetime) -> None:
        dues = {each.name: each.due(now) for each in self.streams}
        left = left_today([each.bookmark.spent for each in self.streams], LIMIT, now.date())
        wanted, due = allot(dues, left)[stream.name], dues[stream.name]
        self._receive(stream)
        for window in wanted:
            luck = next(self.luck)
            if luck is Luck.QUOTA_USED_UP:
                stream.bookmark.spent = used_up(now.date())
                stream.save()
                return
            self._ask(stream, window, due, now, luck)

    def _receive(self, stream: Stream) -> None:
        """Take up what was being built."""
        for id_, window in list(stream.bookmark.building):
            self._end(stream, id_, window, next(self.luck))

    def _ask(self, stream: Stream, window: Window, due: Due, now: datetime, luck: Luck) -> None:
        bookmark, day = stream.bookmark, now.replace(hour=0, minute=0)
        bookmark.spent = bookmark.spent.plus_one(now.date())
        stream.save()  # counted before it is sent
        self.requests[day] = self.requests.get(day, 0) + 1
        stream.note(window, now)
        if luck is Luck.KILLED_BEFORE_STATE:
            raise Killed
        id_ = f"JB{sum(self.requests.values()):08}"
        bookmark.building.append((id_, window))
        if due.head and window == due.head[-1]:
            bookmark.head_slot = slot_of(now, stream.scope.interval)
        stream.save()
        self._end(stream, id_, window, luck)

    def _end(self, stream: Stream, id_: str, window: Window, luck: Luck) -> None:
        bookmark = stream.bookmark
        if luck is Luck.DELIVERED:
            bookmark.building.remove((id_, window))
            bookmark.covered = merged([*bookmark.covered, window])
        elif luck is Luck.FAILED:
            bookmark.building.remove((id_, window))
            bookmark.head_slot = None
            stream.excuse()
        stream.save()


def endless(beginning: Iterable[Luck]) -> Iterator[Luck]:
    yield from beginning
    while True:
        yield Luck.DELIVERED


scopes = st.builds(
    Scope,
    start=st.integers(0, 60).map(lambda days: FIRST_RUN - days * DAY),
    end=st.none() | st.integers(-20, 60).map(lambda days: FIRST_RUN + days * DAY),
    step=st.sampled_from([timedelta(minutes=1), timedelta(hours=1), DAY]),
    window_days=st.integers(5, 31),
    lookback_days=st.integers(0, 10),
    interval=st.sampled_from([6, 12, 24]).map(lambda hours: timedelta(hours=hours)),
)
pauses = st.lists(
    st.sampled_from([1, 5, 7, 24, 30, 24 * 9]).map(lambda hours: timedelta(hours=hours)),
    min_size=1,
    max_size=25,
)
lucks = st.lists(st.sampled_from([*Luck, Luck.DELIVERED, Luck.DELIVERED]), max_size=60)


@settings(deadline=None, max_examples=150, print_blob=True)
@given(st.lists(scopes, min_size=1, max_size=3), pauses, lucks)
def test_in_the_end_everything_is_covered_and_nothing_was_asked_for_twice(
    scopes: list[Scope], pauses: list[timedelta], lucks: list[Luck]
) -> None:
    streams = [Stream(str(number), scope) for number, scope in enumerate(scopes)]
    world = World(streams, endless(lucks))
    now = FIRST_RUN
    for pause in [*pauses, *[DAY] * CALM_DAYS]:
        world.run(now)
        now += pause
    world.run(now)

    assert max(world.requests.values(), default=0) <= LIMIT
    for stream in streams:
        scope, step = stream.scope, stream.scope.step
        limit = now - (now - at("1970-01-01")) % step
        limit = limit if scope.end is None else min(limit, scope.end)
        if scope.start < limit:
            assert without(Window(scope.start, limit), stream.bookmark.covered) == []
        assert stream.bookmark.building == []
