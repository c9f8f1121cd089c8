"""What the tests of the models share."""

from __future__ import annotations

import pytest

from tests.support.gap_fixture import Town, three_days


@pytest.fixture(scope="session")
def town() -> Town:
    return three_days()
