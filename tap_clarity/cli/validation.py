"""What is wrong with a configuration, in sentences that repeat no value: it may be a secret."""

from __future__ import annotations

import difflib
import json
import math
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_clarity.api.errors import one_line
from tap_clarity.core.timestamps import EPOCH, parse_timestamp
from tap_clarity.core.validators import is_storable_text, is_valid_id
from tap_clarity.output.batch import batch_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from jsonschema import ValidationError

ENV_PREFIX = "TAP_CLARITY_"
_ALIKE = 0.75
"""How much a variable must resemble a setting to be taken for a misspelt one: other programs may
have variables that begin like the tap's."""
_MAX_NAME_LENGTH = 100
"""Characters of a misspelt setting that are compared with the others."""
_ID_LISTS = ("datasource_ids", "node_ids", "reference_site_ids")
_MAX_VALUES = {
    "report_window_days": 36_500,
    "lookback_days": 36_500,
    "report_interval_hours": 876_000,
    "report_wait_timeout": 31_536_000,
    "request_timeout": 86_400,
}
"""Where clocks, calendars and sockets would overflow, or soon after."""
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def validate_config(
    config: Mapping[str, Any], schema: dict[str, Any], *, complete: bool
) -> list[str]:
    """Name all that is wrong with a configuration; fills in the schema's defaults.

    Args:
        config: The settings as given.
        schema: The JSON schema of the settings, the SDK's own included.
        complete: Whether the required settings must be there.
    """
    errors = JSONSchemaValidator(_without_slips(schema)).iter_errors(config)
    problems = [*unknown_settings(config, schema["properties"]), *ill_typed_settings(errors)]
    problems += [] if problems else impossible_settings(config)
    problems += missing_settings(config, schema["required"]) if complete else []
    return list(dict.fromkeys(problems))


def missing_settings(config: Mapping[str, Any], required: Iterable[str]) -> Iterator[str]:
    """Name the required settings that are not given."""
    for name in required:
        if config.get(name) is None:
            yield (
                f"setting {name} is missing: give it in the config file, "
                f"or as {_variable(name)} with --config=ENV"
            )


def unknown_settings(config: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    """Name the settings that do not exist: a typo must not pass in silence."""
    names = sorted(known)
    for name in sorted(set(config) - set(names)):
        close = difflib.get_close_matches(name[:_MAX_NAME_LENGTH], names, n=1)
        hint = f"did you mean {close[0]}?" if close else "tap-clarity --about lists the settings"
        yield f"setting {one_line(name)} is unknown: {hint}"


def ill_typed_settings(errors: Iterable[ValidationError]) -> Iterator[str]:
    """Put JSON Schema's errors into words; its own would repeat the value."""
    for error in errors:
        schema: Any = error.schema
        if error.path and not (error.validator == "type" and "enum" in schema):
            yield f"setting {error.path[0]} {_expectation(error)}"


def impossible_settings(config: Mapping[str, Any]) -> Iterator[str]:
    """Name what a JSON Schema cannot say of a well-typed configuration."""
    yield from _impossible_dates(config)
    yield from _impossible_texts(config)
    for name in _ID_LISTS:
        if config.get(name) == []:
            yield f"setting {name} must not be empty: leave it out to read all"
    for name, most in _MAX_VALUES.items():
        if config.get(name, 0) > most:
            yield f"setting {name} must be at most {most}"
    if not _is_positive(config.get("report_poll_interval", 1)):
        yield "setting report_poll_interval must be a number of seconds above 0"
    if config.get("report_file_format") == "parquet" and not find_spec("pyarrow"):
        yield "setting report_file_format: parquet needs pip install 'tap-clarity[parquet]'"
    yield from batch_problems(config)


def _impossible_dates(config: Mapping[str, Any]) -> Iterator[str]:
    dates: dict[str, datetime] = {}
    for name in ("start_date", "end_date"):
        try:
            dates |= {} if config.get(name) is None else {name: parse_timestamp(config[name])}
        except ValueError as error:
            yield f"setting {name} is {error}: write 2026-01-31 or 2026-01-31T12:00:00Z"
    for name, date in dates.items():
        if date < EPOCH:
            yield f"setting {name} must not lie before 1970"
    if len(dates) > 1 and dates["start_date"] >= dates["end_date"]:
        yield "setting end_date must be later than start_date"


def _impossible_texts(config: Mapping[str, Any]) -> Iterator[str]:
    for name in ("org", *_ID_LISTS):
        given = config.get(name) or []
        if not all(map(is_valid_id, [given] if isinstance(given, str) else given)):
            yield f"setting {name} is no id, or has one that is none: too long, or no plain text"
    if not is_storable_text(config.get("metric_select") or ""):
        yield "setting metric_select has a character that cannot belong there"


def misread_variables(
    environment: Mapping[str, str], properties: Mapping[str, Any]
) -> Iterator[str]:
    """Name the variables on which the SDK would fail with a traceback, or guess."""
    given = {
        variable.removeprefix(ENV_PREFIX).lower(): text
        for variable, text in sorted(environment.items())
        if variable.startswith(ENV_PREFIX)
    }
    for name, text in given.items():
        for kind, (can_read, expected) in _TEXTS.items():
            if name in properties and kind in properties[name]["type"] and not can_read(text):
                yield f"environment variable {_variable(name)} must be {expected}"
        close = difflib.get_close_matches(name, properties, n=1, cutoff=_ALIKE)
        hint = _variable(close[0]) if close else ""
        if hint and name not in properties:
            yield f"environment variable {_variable(name)} is no setting: did you mean {hint}?"


def _variable(setting: str) -> str:
    return ENV_PREFIX + setting.upper()


def _is_integer(text: str) -> bool:
    return bool(re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text))


def _is_boolean(text: str) -> bool:
    return text.lower() in {"true", "1", "yes", "on", "false", "0", "no", "off"}


def _is_array(text: str) -> bool:
    """Whether it is JSON, or the SDK's older form: `a,b`."""
    return not text.lstrip().startswith(("[", "{", '"')) or _is_json(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


_TEXTS: dict[str, tuple[Callable[[str], bool], str]] = {
    "integer": (_is_integer, "a whole number"),
    "boolean": (_is_boolean, "true or false"),
    "array": (_is_array, 'a list in JSON, such as ["DA", "DB"]'),
    "object": (_is_json, "an object in JSON"),
}
"""What the SDK makes of a variable, by the setting's type."""


def _is_positive(seconds: float | str) -> bool:
    try:
        return 0 < float(seconds) < math.inf
    except (ValueError, OverflowError):
        return False


def _expectation(error: ValidationError) -> str:
    expected: Any = error.validator_value
    schema: Any = error.schema
    if isinstance(error.path[-1], int):
        return "must be a list of texts, none of them empty"
    match error.validator:
        case "type":
            kinds = [expected] if isinstance(expected, str) else expected
            words = "must be " + " or ".join(_KINDS[kind] for kind in kinds if kind != "null")
        case "enum":
            words = "must be one of " + ", ".join(value for value in expected if value is not None)
        case "minimum" | "maximum":
            words = f"must be at {'least' if error.validator == 'minimum' else 'most'} {expected}"
        case "minLength":
            words = "must not be empty: leave it out instead"
        case "pattern" if "default" in schema:
            words = f"must be of the form {schema['default']}"
        case "pattern":
            words = "has a character, perhaps a stray blank or line break, that cannot belong there"
        case _:
            words = "is not of the form that tap-clarity --about shows"
    return words


def _without_slips(schema: Any) -> Any:  # noqa: ANN401
    """Leave out the bare "null"s among the SDK's schemas: jsonschema fails on them."""
    if isinstance(schema, dict):
        return {
            name: [_without_slips(each) for each in part if each != "null"]
            if name == "anyOf"
            else _without_slips(part)
            for name, part in schema.items()
        }
    return schema
