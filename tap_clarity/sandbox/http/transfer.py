"""How a response is sent: whole and at once, slowly, truncated, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["whole", "shortened", "closed", "reset"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """How a response is sent; times in seconds.

    `ending` says what happens to the part after `stop_at` (a share of the body): it is sent, it is
    not announced, the connection closes before it, or the connection is reset before it.
    """

    wait: float = 0
    pieces: int = 1
    pause: float = 0
    stop_at: float = 1
    ending: Ending = "whole"
    no_response: bool = False


IMMEDIATE = Transfer()
