"""What the tests of several warehouses share."""

from __future__ import annotations

import pytest

from tests.support.load_fixture import Days, two_days


@pytest.fixture(scope="session")
def days() -> Days:
    return two_days()
