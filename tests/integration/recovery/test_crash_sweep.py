"""Struck anywhere, the tap loses nothing, doubles nothing, and the next run finishes the work.

`pytest tests/integration/recovery/test_crash_sweep.py --thorough` strikes at every line and every
exchange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.bug_mutations import BUGS
from tests.support.crash_injection import (
    FOUND_BY,
    Outcome,
    blows_at_exchanges,
    find,
    kills_at_lines,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.crash_injection import Blow

PARTS = 3


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("blows", [kills_at_lines, blows_at_exchanges])
def test_no_blow_costs_anything(
    blows: Callable[..., list[Blow]], part: int, pytestconfig: pytest.Config
) -> None:
    tried = blows(thorough=pytestconfig.getoption("thorough"))[part::PARTS]
    assert sweep(tried) == Outcome(tried=len(tried))


@pytest.mark.parametrize(("bug", "count"), FOUND_BY.items())
def test_a_planted_bug_is_found(bug: str, count: str) -> None:
    assert getattr(find(bug), count) > 0


def test_there_is_enough_to_strike_at() -> None:
    assert len(kills_at_lines(thorough=False)) > 50
    assert len(blows_at_exchanges(thorough=False)) > 30


def test_each_bug_is_looked_for() -> None:
    assert FOUND_BY.keys() == BUGS.keys()
