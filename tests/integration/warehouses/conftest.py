"""Fixtures of the tests with warehouses."""

from __future__ import annotations

import pytest

from tests.support.warehouses.two_day_load import TwoDayLoad, load_two_days


@pytest.fixture(scope="session")
def two_day_load() -> TwoDayLoad:
    return load_two_days()
