"""What the tests of several warehouses share."""

from __future__ import annotations

import pytest

from tests.warehouses.days import Days, two_days


@pytest.fixture(scope="session")
def days() -> Days:
    return two_days()
