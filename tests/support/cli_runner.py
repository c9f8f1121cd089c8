"""The result of a command that runs in the process of the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Json = Any
CANARY = "cAnArY7731"
"""A value that must turn up in no message."""
UNREACHABLE_SETTINGS = {"api_key": CANARY, "org": "invented", "api_url": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class CommandResult:
    """How a command ended."""

    status: int
    out: str
    errors: list[str]
    warnings: list[str]

    @property
    def messages(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]
