"""Names and types of all streams, at every depth, are valid in all warehouses."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.settings import SCHEMA
from tests.support.paths import DATA
from tests.support.stream_schemas import Property, Schema, entries, properties

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: dict[str, dict[str, Any]] = tomllib.loads(
    (DATA / "sql_names.toml").read_text(encoding="utf-8")
)
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
TARGET_PREFIX = "_sdc_"
TYPES = {"string", "number", "integer", "boolean", "object", "array"}


def all_properties() -> Iterator[tuple[str, Property]]:
    for entry, described in entries().items():
        for found in properties(described["schema"]):
            yield entry, found


def objects() -> Iterator[tuple[str, Schema]]:
    for entry, described in entries().items():
        yield entry, described["schema"]
        yield from ((entry, found.spec) for found in properties(described["schema"]))


def kinds(spec: Schema) -> set[str]:
    return (
        {spec["type"]} - {"null"} if isinstance(spec["type"], str) else {*spec["type"]} - {"null"}
    )


def test_schemas_cover_all_streams_layouts_and_frequencies() -> None:
    seen = [entry.split() for entry in entries()]
    assert {layout for _, layout, _ in seen} == {
        *SCHEMA["properties"]["measurement_layout"]["enum"]
    }
    assert {frequency for *_, frequency in seen} == {
        *SCHEMA["properties"]["output_frequency"]["enum"]
    }
    assert Counter(stream for stream, *_ in seen) == Counter({stream: 6 for stream, *_ in seen})
    assert len({stream for stream, *_ in seen}) == 13


@pytest.mark.parametrize("warehouse", RULES)
def test_column_names_are_valid_without_quotes_in_any_case(warehouse: str) -> None:
    rule = RULES[warehouse]
    names = {found.name for _, found in all_properties() if found.name != "[]"}
    names |= {entry.split()[0] for entry in entries()}
    assert [name for name in names if not NAME.fullmatch(name)] == []
    assert max(map(len, names)) <= rule.get("longest_name", 63)
    prefixes = (*rule.get("prefixes", ()), TARGET_PREFIX)
    assert [name for name in names if name.startswith(prefixes)] == []


def test_no_two_names_of_an_object_differ_only_in_case() -> None:
    for entry, spec in objects():
        folded = Counter(name.casefold() for name in spec.get("properties", {}))
        assert [*folded.values()] == [1] * len(folded), entry


@pytest.mark.parametrize(
    ("warehouse", "quoted"),
    [
        ("duckdb", {"metrics.column"}),
        ("postgresql", {"metrics.column"}),
        ("snowflake", {"metrics.column"}),
        ("bigquery", set()),
    ],
)
def test_only_one_column_is_a_reserved_word_and_targets_quote_it(
    warehouse: str, quoted: set[str]
) -> None:
    """All four tables of the dictionary are loaded in other tests."""
    words = {*RULES[warehouse]["words"].split()}
    reserved = {
        f"{entry.split()[0]}.{found.name}"
        for entry, found in all_properties()
        if len(found.path) == 1 and found.name in words
    }
    assert reserved == quoted


def test_only_two_nested_fields_are_reserved_words() -> None:
    """There, they stand after a dot or in a string, as `life_stage.when`."""
    words = {word for rule in RULES.values() for word in rule["words"].split()}
    inner = {found.name for _, found in all_properties() if len(found.path) > 1}
    assert inner & words == {"group", "when"}


def test_every_property_and_item_has_one_type() -> None:
    wrong = [
        (entry, found.path)
        for entry, found in all_properties()
        if len(kinds(found.spec)) != 1 or not kinds(found.spec) <= TYPES
    ]
    assert wrong == []


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf", "$ref", "patternProperties"])
def test_no_schema_has_alternatives(word: str) -> None:
    assert [entry for entry, spec in objects() if word in spec] == []


def test_arrays_declare_items_and_contain_neither_arrays_nor_nulls() -> None:
    arrays = [(entry, found) for entry, found in all_properties() if "array" in kinds(found.spec)]
    assert arrays
    for entry, found in arrays:
        assert not {"array", "null"} & {*found.spec["items"]["type"]}, (entry, found.path)


def test_schemas_have_no_length_limits_and_no_formats_other_than_date_time() -> None:
    """Targets make columns of them that a longer text would not fit."""
    formats = {found.spec.get("format") for _, found in all_properties()}
    assert formats == {None, "date-time"}
    assert [found.path for _, found in all_properties() if "maxLength" in found.spec] == []


def test_key_columns_exist_and_are_never_null() -> None:
    for entry, described in entries().items():
        schema = described["schema"]
        for key in described["key_properties"]:
            assert "null" not in schema["properties"][key]["type"], (entry, key)
            assert key in schema["required"], (entry, key)
            assert not {"object", "array", "number"} & kinds(schema["properties"][key]), entry


TIME = re.compile(r"(?:^|_)(?:at|time|when|date|start|end|bucket)$|^last_.*_at$")


def test_properties_named_like_times_are_date_times() -> None:
    documented = [(entry, found) for entry, found in all_properties() if found.name != "[]"]
    times = {
        (entry, each.path) for entry, each in documented if each.spec.get("format") == "date-time"
    }
    named = {(entry, each.path) for entry, each in documented if TIME.search(each.name)}
    assert times == named
