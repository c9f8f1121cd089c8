"""The allocation of the daily report requests: by priority, then by stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import DAY, Window
from tap_clarity.planning.due import Due, Progress, Scope, allocate_quota, current_slot, find_due
from tests.support.planning.window_model import SOME_EXAMPLES, at, half_hours, parse_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = at("2026-03-10T09:20:30")


def days_of(*numbers: int) -> tuple[Window, ...]:
    """Make a window of each day, counted from 1 March."""
    return tuple(Window(at("2026-03-01") + n * DAY, at("2026-03-02") + n * DAY) for n in numbers)


def share(
    new: Sequence[int] = (),
    again: Sequence[int] = (),
    past: Sequence[int] = (),
    retries: Sequence[int] = (),
) -> Due:
    return Due(*(days_of(*numbers) for numbers in (new, again, past, retries)))


@pytest.mark.parametrize(
    ("left", "first", "second"),
    [
        (0, share(), share()),
        (1, share([8]), share()),
        (2, share([8, 9]), share()),
        (3, share([8, 9]), share([9])),
        (4, share([8, 9], [6]), share([9])),
        (6, share([8, 9], [6, 7]), share([9], [8])),
        (7, share([8, 9], [6, 7], [1]), share([9], [8])),
        (10, share([8, 9], [6, 7], [1, 2, 3]), share([9], [8], [5])),
        (11, share([8, 9], [6, 7], [1, 2, 3]), share([9], [8], [5, 6])),
        (12, share([8, 9], [6, 7], [1, 2, 3], [4]), share([9], [8], [5, 6])),
        (99, share([8, 9], [6, 7], [1, 2, 3], [4]), share([9], [8], [5, 6], [0])),
    ],
)
def test_priority_is_new_data_then_lookbacks_then_backfills_then_retries(
    left: int, first: Due, second: Due
) -> None:
    dues = {
        "first": share([8, 9], [6, 7], [1, 2, 3], [4]),
        "second": share([9], [8], [5, 6], [0]),
    }
    assert allocate_quota(dues, left) == {"first": first, "second": second}


@pytest.mark.parametrize("limit", [2, 5, 25])
def test_lookback_longer_than_the_quota_never_delays_new_data(limit: int) -> None:
    """And what was not read again stays due: it is held to a count of half hours."""
    scope = Scope(
        start=at("2026-01-01"),
        end=None,
        step=timedelta(hours=1),
        window_days=1,
        lookback_days=40,
        interval=DAY,
    )
    progress = Progress(covered=tuple(parse_windows("2026-01-01 to 2026-03-09T09:00")))
    owed: set[int] = set()
    for day in range(5):
        now = NOW + day * DAY
        bookmark = now.replace(minute=0, second=0) - DAY
        owed |= half_hours([Window((bookmark - 40 * DAY).replace(hour=0), bookmark)])
        shares = allocate_quota({"only": find_due(scope, progress, now)}, limit)
        slot = current_slot(scope, progress, now)
        requested = (*shares["only"].incremental, *shares["only"].lookback)
        for window in requested:
            slot = slot.without(window)
        owed -= half_hours(requested)
        progress = progress._replace(covered=progress.covered + requested, slot=slot)
        assert len(requested) == limit
        assert max(window.end for window in progress.covered) == now.replace(minute=0, second=0)
        assert half_hours(slot.reread) == owed


def some_days(first: int, last: int) -> st.SearchStrategy[tuple[Window, ...]]:
    return st.sets(st.integers(first, last), max_size=6).map(lambda n: days_of(*sorted(n)))


dues = st.builds(Due, some_days(21, 27), some_days(14, 20), some_days(7, 13), some_days(0, 6))


@SOME_EXAMPLES
@given(st.dictionaries(st.sampled_from("abc"), dues), st.integers(0, 60))
def test_quota_is_used_completely_and_never_exceeded(dues: dict[str, Due], left: int) -> None:
    shares = allocate_quota(dues, left)
    assert shares.keys() == dues.keys()
    total = sum(due.total for due in dues.values())
    assert sum(each.total for each in shares.values()) == min(left, total)
    for stream, due in dues.items():
        for granted, wanted in zip(shares[stream], due, strict=True):
            assert granted == wanted[: len(granted)]
    for kind in range(1, len(Due._fields)):
        if any(each[kind] for each in shares.values()):
            assert all(shares[stream][:kind] == due[:kind] for stream, due in dues.items())
