"""The command line in the process of the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_clarity.sandbox import Sandbox

Json = Any
CANARY = "cAnArY7731"
"""A value that must turn up in no message."""
NOWHERE = {"api_key": CANARY, "org": "invented", "api_url": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: str
    errors: list[str]
    warnings: list[str]

    @property
    def messages(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]


def config_for(sandbox: Sandbox, **given: Json) -> Json:
    return {"api_url": sandbox.url, "api_key": sandbox.api_key, "org": sandbox.org} | given
