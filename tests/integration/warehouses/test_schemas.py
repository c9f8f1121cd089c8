"""All warehouses can take every name and type, of every stream and at every depth."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.settings import SCHEMA
from tests.support.paths import DATA
from tests.support.warehouses.schemas import Property, Schema, entries, properties

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: dict[str, dict[str, Any]] = tomllib.loads(
    (DATA / "sql_names.toml").read_text(encoding="utf-8")
)
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
OF_TARGETS = "_sdc_"
TYPES = {"string", "number", "integer", "boolean", "object", "array"}


def every() -> Iterator[tuple[str, Property]]:
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


def test_all_streams_are_looked_at_in_both_layouts_at_all_frequencies() -> None:
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
def test_names_are_valid_without_quotes_in_any_case(warehouse: str) -> None:
    rule = RULES[warehouse]
    names = {found.name for _, found in every() if found.name != "[]"}
    names |= {entry.split()[0] for entry in entries()}
    assert [name for name in names if not NAME.fullmatch(name)] == []
    assert max(map(len, names)) <= rule.get("longest_name", 63)
    prefixes = (*rule.get("prefixes", ()), OF_TARGETS)
    assert [name for name in names if name.startswith(prefixes)] == []


def test_no_two_names_of_an_object_differ_in_case_only() -> None:
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
def test_one_column_needs_quotes_which_the_targets_give_it(
    warehouse: str, quoted: set[str]
) -> None:
    """All four tables of the dictionary are loaded in other tests."""
    words = {*RULES[warehouse]["words"].split()}
    reserved = {
        f"{entry.split()[0]}.{found.name}"
        for entry, found in every()
        if len(found.path) == 1 and found.name in words
    }
    assert reserved == quoted


def test_two_fields_inside_of_records_are_reserved_words_which_harms_none() -> None:
    """There, they stand after a dot or in a string, as `life_stage.when`."""
    words = {word for rule in RULES.values() for word in rule["words"].split()}
    inner = {found.name for _, found in every() if len(found.path) > 1}
    assert inner & words == {"group", "when"}


def test_every_property_and_item_has_one_type() -> None:
    wrong = [
        (entry, found.path)
        for entry, found in every()
        if len(kinds(found.spec)) != 1 or not kinds(found.spec) <= TYPES
    ]
    assert wrong == []


@pytest.mark.parametrize("word", ["anyOf", "oneOf", "allOf", "$ref", "patternProperties"])
def test_no_schema_leaves_a_choice(word: str) -> None:
    assert [entry for entry, spec in objects() if word in spec] == []


def test_arrays_say_what_is_in_them_and_hold_no_arrays_and_no_nulls() -> None:
    arrays = [(entry, found) for entry, found in every() if "array" in kinds(found.spec)]
    assert arrays
    for entry, found in arrays:
        assert not {"array", "null"} & {*found.spec["items"]["type"]}, (entry, found.path)


def test_no_limit_of_length_and_no_format_but_that_of_times() -> None:
    """Targets make columns of them that a longer text would not fit."""
    formats = {found.spec.get("format") for _, found in every()}
    assert formats == {None, "date-time"}
    assert [found.path for _, found in every() if "maxLength" in found.spec] == []


def test_keys_are_there_and_never_null() -> None:
    for entry, described in entries().items():
        schema = described["schema"]
        for key in described["key_properties"]:
            assert "null" not in schema["properties"][key]["type"], (entry, key)
            assert key in schema["required"], (entry, key)
            assert not {"object", "array", "number"} & kinds(schema["properties"][key]), entry


TIME = re.compile(r"(?:^|_)(?:at|time|when|date|start|end|bucket)$|^last_.*_at$")


def test_what_is_named_like_a_time_is_one_with_a_zone() -> None:
    told = [(entry, found) for entry, found in every() if found.name != "[]"]
    times = {(entry, each.path) for entry, each in told if each.spec.get("format") == "date-time"}
    named = {(entry, each.path) for entry, each in told if TIME.search(each.name)}
    assert times == named
