"""What many tests need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tap_clarity.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is no failure; and what was found must be found again elsewhere.
settings.register_profile("tap-clarity", deadline=None, print_blob=True)
settings.load_profile("tap-clarity")

NOW = "2026-03-10T09:20:00Z"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small world whose clock stands still, save for what the tap waits."""
    with Sandbox(seed=1, datasources=8, now=NOW, frozen=True) as running:
        yield running
