"""A sandbox, a clock that never makes anybody wait, and connections between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from unittest.mock import patch

import pytest

from tap_clarity.api.connection import Connection
from tap_clarity.sandbox import Sandbox
from tests.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Waits:
    """A clock that only sleeping moves; it remembers for how long."""

    at: datetime
    pauses: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += timedelta(seconds=seconds)


class Connect(Protocol):
    def __call__(self, url: str, read_timeout: float = ..., key: str = ...) -> Connection:
        """Connect to an address."""


@pytest.fixture
def clock() -> Waits:
    return Waits(datetime.fromisoformat(NOW))


@pytest.fixture
def connect(clock: Waits) -> Connect:
    def to(url: str, read_timeout: float = 5.0, key: str = "sandbox-key") -> Connection:
        return Connection(
            api_url=url, api_key=key, user_agent="test/1", read_timeout=read_timeout, clock=clock
        )

    return to


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True, report_seconds=0) as running:
        yield running


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    """A sandbox without faults and memories."""
    shared.faults.clear()
    shared.requests.clear()
    return shared


@pytest.fixture
def connection(sandbox: Sandbox, connect: Connect) -> Connection:
    return connect(sandbox.url)


@pytest.fixture
def without_jitter() -> Iterator[None]:
    """The longest pauses that there may be."""
    with patch("random.uniform", lambda _, most: most):
        yield
