"""Types of the fixtures for tests of `tap_clarity.api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tap_clarity.api.transport import Transport


class Connect(Protocol):
    """The fixture `connect`."""

    def __call__(self, url: str, read_timeout: float = ..., key: str = ...) -> Transport:
        """Connect to an address."""
