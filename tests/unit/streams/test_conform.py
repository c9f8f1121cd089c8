"""What the API answers fits the schema, and whatever does not is kept beside: nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tap_clarity.core.timestamps import format_timestamp, parse_timestamp
from tap_clarity.streams import datasources, devices
from tap_clarity.streams.conform import ADDITIONAL, conform_record, snake_case
from tap_clarity.streams.object_streams import ChildObjectStream, ObjectStream

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any
Schema = dict[str, Json]

TEXT: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": ["number", "null"]}
INSTANT: Schema = {"type": ["string", "null"], "format": "date-time"}
TEXTS: Schema = {"type": ["array", "null"], "items": {"type": ["string"]}}
NUMBERS: Schema = {"type": ["array", "null"], "items": {"type": ["number"]}}
PERSON: Schema = {"type": ["object", "null"], "properties": {"full_name": TEXT, "age": NUMBER}}
PEOPLE: Schema = {"type": ["array", "null"], "items": PERSON | {"type": "object"}}
UNSEEN: Schema = {"type": ["object", "null"], "properties": {}}


def conformed(item: dict[str, Json], **properties: Schema) -> tuple[dict[str, Json], Json]:
    """Give the record without its additional fields, and those."""
    record = conform_record(item, {"type": "object", "properties": properties})
    return record, record.pop(ADDITIONAL)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lastReadingReceivedAt", "last_reading_received_at"),
        ("nodeId", "node_id"),
        ("node_id", "node_id"),
        ("sku", "sku"),
        ("Source Id", "source_id"),
        ("reference-site", "reference_site"),
        ("$ref.", "ref"),
        ("pm25Value", "pm25_value"),
        ("", ""),
        ("北京", ""),
    ],
)
def test_names_become_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    ("value", "schema", "kept"),
    [
        ("a", TEXT, "a"),
        ("", TEXT, ""),
        (None, TEXT, None),
        (3, NUMBER, 3),
        (2.5, NUMBER, 2.5),
        (3, {"type": ["integer", "null"]}, 3),
        (False, {"type": ["boolean", "null"]}, False),
        ("2026-03-10T05:00:00Z", INSTANT, "2026-03-10T05:00:00.000Z"),
        ("2026-03-10T06:00:00.1234+01:00", INSTANT, "2026-03-10T05:00:00.123Z"),
        ("2026-03-10", INSTANT, "2026-03-10T00:00:00.000Z"),
        (["a", "b"], TEXTS, ["a", "b"]),
        ([], TEXTS, []),
        ("a", TEXTS, ["a"]),
        ({"fullName": "Ada", "age": 3}, PERSON, {"full_name": "Ada", "age": 3}),
        ({}, PERSON, {}),
        # One page draws as a list of one what another draws as an object, and the other way round.
        ([{"fullName": "Ada"}], PERSON, {"full_name": "Ada"}),
        ({"fullName": "Ada"}, PEOPLE, [{"full_name": "Ada"}]),
        ([{"fullName": "Ada"}, {"age": 3}], PEOPLE, [{"full_name": "Ada"}, {"age": 3}]),
        ({"aB": {"cD": [{"eF": 1}]}}, UNSEEN, {"a_b": {"c_d": [{"e_f": 1}]}}),
        ({"aB": 1, "a_b": 2, "AB": 3}, UNSEEN, {"a_b": 1, "a_b_": 2, "ab": 3}),
    ],
)
def test_a_value_of_the_documented_type_is_kept(value: Json, schema: Schema, kept: Json) -> None:
    assert conformed({"theField": value}, the_field=schema) == ({"the_field": kept}, None)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (5, TEXT),
        (True, TEXT),
        ({"a": 1}, TEXT),
        (["a"], TEXT),
        ("5", NUMBER),
        (True, NUMBER),
        (2.5, {"type": ["integer", "null"]}),
        (1, {"type": ["boolean", "null"]}),
        ("yesterday", INSTANT),
        ("", INSTANT),
        (1773119229, INSTANT),
        ("0001-01-01T00:00+09:00", INSTANT),
        ([1, "a", None], TEXTS),
        # In a list of numbers the places may count.
        ([None, 47.7], NUMBERS),
        ("Ada", PERSON),
        ([{"fullName": "Ada"}, {"fullName": "Bob"}], PERSON),
        ([], PERSON),
        (5, UNSEEN),
    ],
)
def test_a_value_of_another_type_is_kept_beside_and_null_in_its_place(
    value: Json, schema: Schema
) -> None:
    assert conformed({"theField": value}, the_field=schema) == (
        {"the_field": None},
        {"the_field": value},
    )


def test_unknown_fields_are_kept_at_every_depth() -> None:
    item = {
        "theField": {"fullName": "Ada", "shoeSize": {"eu": 39}},
        "people": [{"age": "three", "hat": None}, "Bob", {"age": 4}],
        "newField": [1, {"deepName": 2}],
        "additionalFields": "a name that is taken",
    }
    assert conformed(item, the_field=PERSON, people=PEOPLE, **{ADDITIONAL: UNSEEN}) == (
        {"the_field": {"full_name": "Ada"}, "people": [{"age": None}, {"age": 4}]},
        {
            "the_field": {"shoe_size": {"eu": 39}},
            "people": [{"age": "three", "hat": None}, "Bob"],
            "new_field": [1, {"deepName": 2}],
            "additional_fields": "a name that is taken",
        },
    )


@pytest.mark.parametrize(
    ("item", "record", "rest"),
    [
        ({"nodeId": "a", "node_id": "b"}, {"node_id": "a"}, {"node_id": "b"}),
        ({"nodeId": 5, "node_id": "b"}, {"node_id": None}, {"node_id": 5, "node_id_": "b"}),
        ({"node_id": "b", "nodeId": "a"}, {"node_id": "a"}, {"node_id": "b"}),
        ({"NodeId": "b", "nodeId": None}, {"node_id": None}, {"node_id": "b"}),
        ({"node_id": "b", "NodeId": "a"}, {"node_id": "b"}, {"node_id": "a"}),
        (
            {"nodeId": "a", "newField": 1, "new_field": 2},
            {"node_id": "a"},
            {"new_field": 1, "new_field_": 2},
        ),
        ({"nodeId": "a", "北京": 1, "": 2}, {"node_id": "a"}, {"北京": 1, "": 2}),
    ],
)
def test_names_that_are_one_in_snake_case_do_not_displace_each_other(
    item: dict[str, Json], record: dict[str, Json], rest: dict[str, Json]
) -> None:
    assert conformed(item, node_id=TEXT) == (record, rest)


def test_what_was_not_sent_is_null() -> None:
    assert conformed({"a": 1}, a=NUMBER, b=TEXT) == ({"a": 1, "b": None}, None)


SCHEMAS: dict[str, Schema] = {
    vars(stream)["name"]: vars(stream)["schema"]
    for module in (datasources, devices)
    for stream in vars(module).values()
    if isinstance(stream, type)
    and issubclass(stream, ObjectStream | ChildObjectStream)
    and "schema" in vars(stream)
}


def test_all_streams_of_resources_are_held_to_this() -> None:
    assert set(SCHEMAS) == {
        *("datasources", "datasource_details", "subscriptions", "accessory_modules"),
        *("nodes", "node_status_summaries", "node_statuses", "node_alarms"),
    }


def leaves(value: Json) -> Iterator[Json]:
    """Give what is said at any depth, instants in one writing; null says nothing."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str):
        try:
            yield format_timestamp(parse_timestamp(value))
        except ValueError:
            yield value
    elif value is not None:
        yield type(value), value


def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


names = st.sampled_from(["newField", "new_field", "NewField", "", "北京", "a b"]) | st.text(
    max_size=4
)
instants = st.sampled_from(["2026-03-10T05:00:00.123456Z", "2026-03-10", "2026-03-10T06:00+01:00"])
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | instants,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)


def values_of(schema: Schema) -> st.SearchStrategy[Json]:
    """Give values that fit, mostly; of any type, sometimes."""
    kinds = schema["type"]
    if "object" in kinds:
        fitting: st.SearchStrategy[Json] = objects_of(schema)
    elif "array" in kinds:
        fitting = st.lists(values_of(schema["items"]), max_size=3)
    elif schema.get("format") == "date-time":
        fitting = instants
    else:
        fitting = {
            "number": st.floats(-9, 9),
            "integer": st.integers(),
            "boolean": st.booleans(),
        }.get(kinds[0], st.text(max_size=4))
    return fitting | anything


def objects_of(schema: Schema) -> st.SearchStrategy[dict[str, Json]]:
    known = {camel_case(name): values_of(spec) for name, spec in schema["properties"].items()}
    extra = st.dictionaries(
        names | st.sampled_from([*schema["properties"], "x"]), anything, max_size=2
    )
    return st.tuples(st.fixed_dictionaries({}, optional=known), extra).map(
        lambda parts: parts[0] | parts[1]
    )


@st.composite
def answers(draw: st.DrawFn) -> tuple[Schema, dict[str, Json]]:
    """Give a stream's schema, and an object that Clarity might send."""
    schema = draw(st.sampled_from(list(SCHEMAS.values())))
    required = {camel_case(name): "2026-03-10T05:00Z" for name in schema["required"]}
    return schema, required | (draw(objects_of(schema)) | required)


@settings(deadline=None, max_examples=300, print_blob=True)
@given(answers())
def test_nothing_is_lost_and_every_record_keeps_to_its_schema(
    answer: tuple[Schema, dict[str, Json]],
) -> None:
    schema, item = answer
    before = json.dumps(item)
    record = conform_record(item, schema)

    Draft202012Validator(
        schema | {"additionalProperties": False}, format_checker=FormatChecker()
    ).validate(record)
    assert Counter(leaves(record)) == Counter(leaves(item))
    assert json.dumps(item) == before
