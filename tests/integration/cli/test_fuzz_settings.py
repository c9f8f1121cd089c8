"""Whatever a setting holds, in a file or a variable: it means that, or is refused by name."""

from __future__ import annotations

import copy
import math
import os
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st
from singer_sdk.configuration._dict_config import parse_environment_config

from tap_clarity.cli.validation import ENV_PREFIX, misread_variables, validate_config
from tap_clarity.core.timestamps import parse_instant
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
    likely = {
        "string": texts | st.text(max_size=9) | st.dates().map(str) | st.datetimes().map(str),
        "integer": st.integers(-3, 50) | st.integers(),
        "number": st.floats() | st.integers() | st.floats().map(str),
        "boolean": st.booleans(),
        "array": st.lists(texts | st.text(min_size=1, max_size=9), max_size=3),
    }
    (kind, *_) = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    choices = [value for value in spec.get("enum", []) if value is not None]
    return draw(likely[kind] | documents | st.sampled_from([*choices, *choices, None, "hour"]))


def meaning(name: str, value: Json) -> Json:
    """Tell what a value means, where it is sound."""
    match value:
        case list():
            return tuple(sorted(set(value)))
        case str() if name in {"start_date", "end_date"}:
            return parse_instant(value)
        case str() if name == "api_url":
            return value.rstrip("/")
    return float(value) if name == "report_poll_interval" else value


@fuzz(names.flatmap(lambda name: st.tuples(st.just(name), values(name))))
def test_a_setting_means_what_it_says_or_is_refused_by_name(setting: tuple[str, Json]) -> None:
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
        found = getattr(settings, name)
        assert found == meaning(name, value)
        assert not isinstance(found, float) or math.isfinite(found)


@fuzz(st.dictionaries(texts | names, documents, max_size=3))
def test_whatever_a_file_holds_each_line_names_what_is_wrong(config: dict[str, Json]) -> None:
    given = {name: value for name, value in config.items() if value is not None}
    for line in validate_config(given, copy.deepcopy(SCHEMA), complete=True):
        assert line.startswith("setting ")
        assert line.isprintable()
        assert len(line) < 400


variables = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12) | (
    st.sampled_from(["1", "1.5", "true", "[]", "[1]", '["a"]', "{}", "[", "9" * 400, "NaN"])
)


@fuzz(st.dictionaries(names, variables, max_size=2))
def test_a_variable_is_read_or_refused_by_name(given: dict[str, str]) -> None:
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
