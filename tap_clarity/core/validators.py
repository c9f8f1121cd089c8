"""What a text from elsewhere may hold, before it is passed on."""

from __future__ import annotations

from typing import Any, TypeGuard

MAX_ID_LENGTH = 200
"""Characters; Clarity's own ids have up to thirty."""


def is_storable_text(text: str) -> bool:
    """Whether any database holds it: it has no NUL, and no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_valid_id(value: Any) -> TypeGuard[str]:  # noqa: ANN401
    """Whether it can name a thing, in an address, a log and a state as well.

    In an address `.` and `..` would lead elsewhere, however they are quoted.
    """
    is_short = isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH
    return is_short and value.isprintable() and value not in {".", ".."}
