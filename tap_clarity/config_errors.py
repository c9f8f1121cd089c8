"""What is wrong with a configuration, in sentences that repeat no value: it may be a secret."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

from tap_clarity.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from jsonschema import ValidationError

ENV_PREFIX = "TAP_CLARITY_"
_TRUTH_VALUES = {"true", "1", "yes", "on", "false", "0", "no", "off"}
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def missing_settings(config: Mapping[str, Any], required: Iterable[str]) -> Iterator[str]:
    """Name the required settings that are not given."""
    for name in required:
        if config.get(name) is None:
            yield (
                f"setting {name} is missing: give it in the config file, "
                f"or as {ENV_PREFIX}{name.upper()} with --config=ENV"
            )


def unknown_settings(config: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    """Name the settings that do not exist: a typo must not pass in silence."""
    names = sorted(known)
    for name in sorted(set(config) - set(names)):
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "tap-clarity --about lists the settings"
        yield f"setting {name} is unknown: {hint}"


def ill_typed_settings(errors: Iterable[ValidationError]) -> Iterator[str]:
    """Put JSON Schema's errors into words; its own would repeat the value."""
    for error in errors:
        if error.path:
            yield f"setting {error.path[0]} {_expectation(error)}"


def impossible_settings(config: Mapping[str, Any]) -> Iterator[str]:
    """Name what a JSON Schema cannot say of a well-typed configuration."""
    ends: list[datetime] = []
    for name in ("start_date", "end_date"):
        try:
            ends += [parse_instant(config[name])] if config.get(name) else []
        except ValueError as error:
            yield f"setting {name} is {error}: write 2026-01-31 or 2026-01-31T12:00:00Z"
    if len(ends) > 1 and ends[0] >= ends[1]:
        yield "setting end_date must be later than start_date"
    for name in ("datasource_ids", "node_ids", "reference_site_ids"):
        if config.get(name) == []:
            yield f"setting {name} must not be empty: leave it out to read all"
    if not _is_positive(config.get("report_poll_interval", 1)):
        yield "setting report_poll_interval must be a number of seconds above 0"


def misread_variables(
    environment: Mapping[str, str], properties: Mapping[str, Any]
) -> Iterator[str]:
    """Name the variables on which the SDK would fail with a traceback, or guess."""
    for name, spec in properties.items():
        variable = ENV_PREFIX + name.upper()
        text = environment.get(variable, "").strip()
        if not text:
            continue
        if "integer" in spec["type"] and not text.lstrip("+-").isdecimal():
            yield f"environment variable {variable} must be a whole number"
        if "boolean" in spec["type"] and text.lower() not in _TRUTH_VALUES:
            yield f"environment variable {variable} must be true or false"


def _is_positive(seconds: float | str) -> bool:
    try:
        return 0 < float(seconds) < math.inf
    except ValueError:
        return False


def _expectation(error: ValidationError) -> str:
    expected: Any = error.validator_value
    if error.validator == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        return "must be " + " or ".join(_KINDS[kind] for kind in kinds if kind != "null")
    if error.validator == "enum":
        return "must be one of " + ", ".join(str(value) for value in expected if value is not None)
    if error.validator in {"minimum", "maximum"}:
        return f"must be at {'least' if error.validator == 'minimum' else 'most'} {expected}"
    if error.validator == "minLength":
        return "must not be empty: leave it out instead"
    if error.validator == "pattern":
        return "has a character, perhaps a stray blank or line break, that cannot belong there"
    return "is not of the form that tap-clarity --about shows"
