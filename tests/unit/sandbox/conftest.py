"""A small frozen sandbox and a client for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import SANDBOX_NOW
from tests.support.sandbox_client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=7, datasources=8, now=SANDBOX_NOW, frozen=True, report_seconds=0) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return Client(sandbox)
