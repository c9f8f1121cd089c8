"""What many tests need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tap_clarity.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = "2026-03-10T09:20:00Z"

# A busy machine is no failure; and what was found must be found again elsewhere.
settings.register_profile("tap-clarity", deadline=None, print_blob=True)
settings.register_profile("thorough", settings.get_profile("tap-clarity"), max_examples=10_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="try every point at which to kill the tap, and 10,000 examples of garbage: hours",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("thorough") else "tap-clarity")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small world whose clock stands still, save for what the tap waits."""
    with Sandbox(seed=1, datasources=8, now=NOW, frozen=True) as running:
        yield running
