"""A sandbox, a clock that never makes anybody wait, and a transport and client between them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.transport import Transport
from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api_types import Connect


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.fromisoformat(NOW))


@pytest.fixture
def connect(clock: FakeClock) -> Connect:
    def to(url: str, read_timeout: float = 5.0, key: str = "sandbox-key") -> Transport:
        return Transport(
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
def transport(sandbox: Sandbox, connect: Connect) -> Transport:
    return connect(sandbox.url)


@pytest.fixture
def client(sandbox: Sandbox, transport: Transport) -> ClarityClient:
    return ClarityClient(transport, sandbox.org)


@pytest.fixture
def without_jitter() -> Iterator[None]:
    """The longest pauses that there may be."""
    with patch("random.uniform", lambda _, most: most):
        yield
