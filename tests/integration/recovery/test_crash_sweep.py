"""Crashes and faults at any place of a run: no data is lost or duplicated, the next run finishes.

`pytest tests/integration/recovery/test_crash_sweep.py --thorough` tries every line and every
request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.recovery.bug_mutations import BUGS
from tests.support.recovery.crash_injection import (
    FOUND_BY,
    Outcome,
    faults_at_requests,
    find_bug,
    kills_at_lines,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.recovery.crash_injection import InjectedFault

PARTS = 3


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("faults", [kills_at_lines, faults_at_requests])
def test_no_crash_or_fault_loses_or_duplicates_data(
    faults: Callable[..., list[InjectedFault]], part: int, pytestconfig: pytest.Config
) -> None:
    tried = faults(thorough=pytestconfig.getoption("thorough"))[part::PARTS]
    assert sweep(tried) == Outcome(tried=len(tried))


@pytest.mark.parametrize(("bug", "count"), FOUND_BY.items())
def test_injected_bug_is_found(bug: str, count: str) -> None:
    assert getattr(find_bug(bug), count) > 0


def test_sweep_covers_enough_places() -> None:
    assert len(kills_at_lines(thorough=False)) > 50
    assert len(faults_at_requests(thorough=False)) > 30


def test_each_bug_has_an_expected_symptom() -> None:
    assert FOUND_BY.keys() == BUGS.keys()
