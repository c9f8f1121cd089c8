"""Fixtures of the tests of the dbt models."""

from __future__ import annotations

import pytest

from tests.support.gap_fixture import LoadedNetwork, three_days


@pytest.fixture(scope="session")
def network() -> LoadedNetwork:
    return three_days()
