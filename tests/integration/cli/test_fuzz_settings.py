"""Fuzzing of settings and environment variables: each value is read exactly or rejected."""

from __future__ import annotations

import copy
import math
import os
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from singer_sdk.configuration._dict_config import parse_environment_config

from tap_clarity.cli.validation import ENV_PREFIX, misread_variables, validate_config
from tap_clarity.core.timestamps import parse_timestamp
from tap_clarity.settings import SCHEMA, Settings
from tests.support.fuzzing import documents, fuzz, texts

Json = Any
REQUIRED: dict[str, Json] = {"api_key": "key", "org": "exampleAB12"}
PROPERTIES: dict[str, Json] = SCHEMA["properties"]
names = st.sampled_from(sorted(PROPERTIES))


@st.composite
def values(draw: st.DrawFn, name: str) -> Json:
    """Give any JSON, or what may well be right."""
    spec = PROPERTIES[name]
    strategies_by_type = {
        "string": texts | st.text(max_size=9) | st.dates().map(str) | st.datetimes().map(str),
        "integer": st.integers(-3, 50) | st.integers(),
        "number": st.floats() | st.integers() | st.floats().map(str),
        "boolean": st.booleans(),
        "array": st.lists(texts | st.text(min_size=1, max_size=9), max_size=3),
    }
    (kind, *_) = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    enum_values = [value for value in spec.get("enum", []) if value is not None]
    return draw(
        strategies_by_type[kind]
        | documents
        | st.sampled_from([*enum_values, *enum_values, None, "hour"])
    )


def expected_value(name: str, value: Json) -> Json:
    """Tell what a value means, where it is sound."""
    match value:
        case list():
            return tuple(sorted(set(value)))
        case str() if name in {"start_date", "end_date"}:
            return parse_timestamp(value)
        case str() if name == "api_url":
            return value.rstrip("/")
    return float(value) if name == "report_poll_interval" else value


@fuzz(names.flatmap(lambda name: st.tuples(st.just(name), values(name))))
def test_setting_is_read_exactly_or_rejected_with_its_name(setting: tuple[str, Json]) -> None:
    name, value = setting
    config = REQUIRED | {name: value}
    given = {key: each for key, each in config.items() if each is not None}
    problems = validate_config(given, copy.deepcopy(SCHEMA), complete=True)
    if problems:
        for line in problems:
            assert line.startswith(f"setting {name} ")
            assert line.isprintable()
        return
    settings = Settings.from_config(given)
    if name == "output_frequency" and value is not None:
        assert settings.frequency.name == value
    elif value is not None:
        value_read = getattr(settings, name)
        assert value_read == expected_value(name, value)
        assert not isinstance(value_read, float) or math.isfinite(value_read)


@fuzz(st.dictionaries(texts | names, documents, max_size=3))
def test_each_error_for_arbitrary_config_names_a_setting(config: dict[str, Json]) -> None:
    given = {name: value for name, value in config.items() if value is not None}
    for line in validate_config(given, copy.deepcopy(SCHEMA), complete=True):
        assert line.startswith("setting ")
        assert line.isprintable()
        assert len(line) < 400


variables = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12) | (
    st.sampled_from(["1", "1.5", "true", "[]", "[1]", '["a"]', "{}", "[", "9" * 400, "NaN"])
)


@fuzz(st.dictionaries(names, variables, max_size=2))
def test_environment_variable_is_read_or_rejected_with_its_name(given: dict[str, str]) -> None:
    environment = {ENV_PREFIX + name.upper(): text for name, text in given.items()}
    problems = [*misread_variables(environment, PROPERTIES)]
    for line in problems:
        assert any(f"environment variable {name} " in line for name in environment)
        assert line.isprintable()
    if problems:
        return
    with patch.dict(os.environ, environment):
        config = parse_environment_config(SCHEMA, ENV_PREFIX)
    assert config.keys() == given.keys()
    for line in validate_config(REQUIRED | config, copy.deepcopy(SCHEMA), complete=True):
        assert any(line.startswith(f"setting {name} ") for name in given)
