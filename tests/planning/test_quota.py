"""The ledger of report requests."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tap_clarity.planning.quota import Spent, left_today, used_up

if TYPE_CHECKING:
    from collections.abc import Sequence

TODAY, YESTERDAY = date(2026, 3, 10), date(2026, 3, 9)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Spent(), Spent(TODAY, 1)),
        (Spent(TODAY, 4), Spent(TODAY, 5)),
        (Spent(YESTERDAY, 25), Spent(TODAY, 1)),
        (Spent(date(2026, 3, 11), 25), Spent(TODAY, 1)),  # the clock was put back
    ],
)
def test_a_request_is_counted_on_its_day(before: Spent, after: Spent) -> None:
    assert before.plus_one(TODAY) == after


@pytest.mark.parametrize(
    ("ledger", "limit", "left"),
    [
        ([], 25, 25),
        ([], 0, 0),
        ([Spent()], 25, 25),
        ([Spent(TODAY, 3), Spent(TODAY, 4)], 25, 18),
        ([Spent(TODAY, 3), Spent(YESTERDAY, 25)], 25, 22),
        ([Spent(TODAY, 20), Spent(TODAY, 5)], 25, 0),
        ([Spent(TODAY, 26)], 25, 0),  # the limit was higher this morning
        ([used_up(TODAY)], 30, 0),
        ([used_up(YESTERDAY)], 30, 30),
    ],
)
def test_what_all_streams_have_sent_today_is_gone(
    ledger: Sequence[Spent], limit: int, left: int
) -> None:
    assert left_today(ledger, limit, TODAY) == left
