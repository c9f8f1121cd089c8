"""Fields of request bodies, read as strictly as the API does: 400 for a wrong value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.api.errors import bad_request
from tap_clarity.sandbox.core import timestamps

if TYPE_CHECKING:
    from collections.abc import Sequence


def flag(body: dict[str, Any], name: str) -> bool:
    """Read a boolean; like the real service, accept the string "true"."""
    value = body.get(name, False)
    if value not in (True, False, "true", "false"):
        raise bad_request(f"{name} must be a boolean")
    return value in (True, "true")


def id_list(body: dict[str, Any], name: str) -> list[str] | None:
    """Read a list of ids; a single id that is not in a list is rejected."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise bad_request(f"{name} must be an array of strings")
    return value


def choice(body: dict[str, Any], name: str, choices: Sequence[str]) -> str:
    """Read one of some words; the first is the default."""
    value = body.get(name, choices[0])
    if value not in choices:
        raise bad_request(f"{name} must be one of {', '.join(choices)}")
    return str(value)


def timestamp(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    try:
        return timestamps.parse(value)
    except (TypeError, ValueError):
        raise bad_request(f"{name} must be an ISO 8601 time") from None


def required_timestamp(body: dict[str, Any], name: str) -> int:
    found = timestamp(body, name)
    if found is None:
        raise bad_request(f"{name} is required")
    return found
