"""How an answer travels: whole and at once, or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["whole", "shortened", "closed", "reset"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A plan for the wire.

    `ending` says what becomes of the part after `stop_at`: it is sent, it was never announced,
    the connection closes before it, or the connection is reset before it.
    """

    wait: float = 0
    pieces: int = 1
    pause: float = 0
    stop_at: float = 1
    ending: Ending = "whole"
    no_answer: bool = False


PROMPT = Delivery()
