"""The measurement streams' schemas, and that every record keeps to them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.core.timestamps import format_timestamp
from tap_clarity.measurements.dictionary import metrics_at
from tap_clarity.measurements.records import OTHER_METRICS, LongLayout, Record, WideLayout
from tap_clarity.measurements.schema import measurement_keys, measurement_schema, wide_columns
from tests.support.measurement_files import at, csv_of, expect, many_examples, read_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.measurements.model import Measurement

LAYOUTS = ("long", "wide")
ID_FIELDS = ("datasource_id", "node_id", "reference_site_id")
SHARED = ("source_id", "source_type", "period_end", "latitude", "longitude")
every_stream = pytest.mark.parametrize("id_field", ID_FIELDS)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)
every_frequency = pytest.mark.parametrize("frequency", FREQUENCIES)

# ASCII letters, digits and underscores, as every target takes them.
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def properties_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all properties at every depth."""
    for name, spec in schema.get("properties", {}).items():
        yield name, spec
        yield from properties_of(spec)
        yield from properties_of(spec.get("items", {}))


@every_stream
@every_layout
@every_frequency
def test_every_property_is_named_described_and_typed(
    id_field: str, layout: str, frequency: str
) -> None:
    schema = measurement_schema(id_field, layout, frequency)
    Draft202012Validator.check_schema(schema)
    assert "anyOf" not in json.dumps(schema)
    for name, spec in properties_of(schema):
        assert SNAKE_CASE.fullmatch(name), name
        assert len(name) <= 63, name  # PostgreSQL cuts longer ones
        assert spec["description"].endswith("."), name
        assert spec["type"], name
        if "array" in spec["type"]:
            assert spec["items"]["type"], name
    names = [name.lower() for name in schema["properties"]]
    assert len(set(names)) == len(names)


@every_stream
@every_layout
@every_frequency
def test_the_keys_are_required_and_never_null(id_field: str, layout: str, frequency: str) -> None:
    metric = ["metric"] if layout == "long" else []
    keys = ["org", id_field, "output_frequency", *metric, "time"]
    schema = measurement_schema(id_field, layout, frequency)
    assert list(measurement_keys(id_field, layout)) == keys
    assert sorted(schema["required"]) == sorted(keys)
    for name, spec in schema["properties"].items():
        assert ("null" in spec["type"]) is (name not in keys), name


@every_frequency
def test_long_columns_are_those_promised(frequency: str) -> None:
    schema = measurement_schema("datasource_id", "long", frequency)
    kinds = {
        name: (spec["type"], spec.get("format")) for name, spec in schema["properties"].items()
    }
    text, number = (["string", "null"], None), (["number", "null"], None)
    assert kinds == {
        "org": (["string"], None),
        "datasource_id": (["string"], None),
        "source_id": text,
        "source_type": text,
        "output_frequency": (["string"], None),
        "metric": (["string"], None),
        "time": (["string"], "date-time"),
        "period_end": (["string", "null"], "date-time"),
        "raw": number,
        "value": number,
        "status": text,
        "qc_assessment": text,
        "qc_flags": (["array", "null"], None),
        "latitude": number,
        "longitude": number,
    }


@every_frequency
def test_wide_columns_are_those_of_the_dictionary(frequency: str) -> None:
    properties = measurement_schema("datasource_id", "wide", frequency)["properties"]
    attributes = {
        "raw": ["number", "null"],
        "value": ["number", "null"],
        "status": ["string", "null"],
        "qc_assessment": ["string", "null"],
        "qc_flags": ["array", "null"],
    }
    expected = {
        f"{metric.column}_{name}": kind
        for metric in metrics_at(frequency)
        for name, kind in attributes.items()
    }
    own = {
        name: spec["type"]
        for name, spec in properties.items()
        if name not in (*measurement_keys("datasource_id", "wide"), *SHARED)
    }
    assert own == expected | {OTHER_METRICS: ["object", "null"]}


def test_each_wide_column_has_its_unit() -> None:
    properties = measurement_schema("datasource_id", "wide", "hour")["properties"]
    assert "ug/m3" in properties["pm2_5_conc_mass_1_hour_mean_raw"]["description"]
    assert "ppb" in properties["no2_conc_1_hour_mean_value"]["description"]
    assert "not documented" in properties["o3_conc_1_hour_mean_raw"]["description"]
    aqi = properties["pm2_5_conc_mass_nowcast_us_epa_aqi_raw"]["description"]
    assert "US EPA AQI" in aqi
    assert "index" in aqi


def records_of(
    layout: str, frequency: str, found: list[Measurement], id_field: str
) -> list[Record]:
    expected = expect(frequency, id_field=id_field)
    if layout == "long":
        return list(LongLayout("exampleAB12", expected).records(found))
    return list(WideLayout("exampleAB12", expected, wide_columns(frequency)).records(found))


def strict_validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Refuse any property that the schema does not have, and check formats."""
    checker = FormatChecker()
    assert not checker.conforms("2026-03-10", "date-time")
    return Draft202012Validator(schema | {"additionalProperties": False}, format_checker=checker)


ID_NAMES = {"datasource_id": "datasourceId", "node_id": "nodeId", "reference_site_id": "refSiteId"}
cells = st.tuples(
    *(st.sampled_from(choice) for choice in (("", "1", "-2.5"), ("", "3", "1e300"))),
    st.sampled_from(["", "sensor-ready", "ü"]),
    st.sampled_from(["", "valid"]),
    st.sampled_from(["", "[]", '["A", 1]', "B"]),
)


@many_examples
@given(
    st.sampled_from(ID_FIELDS),
    st.sampled_from(LAYOUTS),
    st.sampled_from(list(FREQUENCIES)),
    st.lists(st.lists(cells, min_size=3, max_size=3), max_size=3),
)
def test_every_record_keeps_to_its_schema(
    id_field: str, layout: str, frequency: str, rows: list[list[tuple[str, ...]]]
) -> None:
    metrics = [*(metric.metric for metric in metrics_at(frequency)[:2]), "Something.new"]
    names = ("raw", "value", "status", "qcAssessment", "qcFlags")
    header = [ID_NAMES[id_field], "time", *(f"{m}.{name}" for m in metrics for name in names)]
    times = [format_timestamp(at(hour)) for hour in range(len(rows))]
    table = [["X0000001", time, *sum(row, ())] for time, row in zip(times, rows, strict=True)]
    found = read_whole(csv_of([header, *table]), expect(frequency, id_field=id_field))

    validator = strict_validator(measurement_schema(id_field, layout, frequency))
    records = records_of(layout, frequency, found, id_field)
    for record in records:
        validator.validate(json.loads(json.dumps(record, allow_nan=False)))
    is_something = [any(cell[:3] != ("", "", "") for cell in row) for row in rows]
    if layout == "wide":
        assert [record["time"] for record in records] == times
    else:
        expected = {time for time, has in zip(times, is_something, strict=True) if has}
        assert {record["time"] for record in records} == expected


def test_a_long_record_has_all_its_columns() -> None:
    content = (
        b"datasourceId,time,locationLatitude,locationLongitude,new.raw\n"
        b"DAAAA0001,2026-03-10T05:00:00.000Z,47.7,-96.8,1.5"
    )
    assert records_of("long", "hour", read_whole(content), "datasource_id") == [
        {
            "org": "exampleAB12",
            "datasource_id": "DAAAA0001",
            "source_id": None,
            "source_type": None,
            "output_frequency": "hour",
            "metric": "new",
            "time": "2026-03-10T05:00:00.000Z",
            "period_end": "2026-03-10T06:00:00.000Z",
            "raw": 1.5,
            "value": None,
            "status": None,
            "qc_assessment": None,
            "qc_flags": None,
            "latitude": 47.7,
            "longitude": -96.8,
        }
    ]


def test_a_wide_record_keeps_unknown_metrics_whole() -> None:
    content = (
        b"datasourceId,time,no2Conc1HourMean.raw,no2Conc1HourMean.status,new.raw,new.qcFlags\n"
        b'DAAAA0001,2026-03-10T05:00:00.000Z,1.5,sensor-ready,2,"[""A""]"'
    )
    (record,) = records_of("wide", "hour", read_whole(content), "datasource_id")
    assert record["no2_conc_1_hour_mean_raw"] == 1.5
    assert record["no2_conc_1_hour_mean_status"] == "sensor-ready"
    assert record[OTHER_METRICS] == {
        "new": {"raw": 2, "value": None, "status": None, "qc_assessment": None, "qc_flags": ["A"]}
    }


@every_layout
def test_a_revoked_value_makes_a_record_and_nothing_at_all_makes_none(layout: str) -> None:
    content = (
        b"datasourceId,time,no2Conc1HourMean.value,no2Conc1HourMean.status,new.raw,new.qc\n"
        b"DAAAA0001,2026-03-10T05:00:00.000Z,,calibration-error,,valid"
    )
    (record,) = records_of(layout, "hour", read_whole(content), "datasource_id")
    if layout == "long":
        assert (record["metric"], record["value"]) == ("no2Conc1HourMean", None)
        assert record["status"] == "calibration-error"
    else:
        assert record["no2_conc_1_hour_mean_status"] == "calibration-error"
        assert record[OTHER_METRICS] is None
