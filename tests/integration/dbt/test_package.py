"""The package describes columns as the tap does, is formatted, and tests all cases of its rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.dbt_project import TRANSFORM, run
from tests.support.expected_models import Expected
from tests.support.precedence_cases import EXPECTED_ROWS, RECENT_ROWS, REPORT_ROWS
from tests.support.stream_schemas import schema
from tests.support.warehouses.installed_programs import installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gap_fixture import LoadedNetwork

STAGING = TRANSFORM / "models" / "staging"
SQLFMT = ("shandy-sqlfmt[jinjafmt]==0.32.0",)


def _yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((TRANSFORM / name).read_text("utf-8"))
    return found


def _columns(table: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["description"] for column in table["columns"]}


(SOURCE,) = _yaml("models/staging/sources.yml")["sources"]
TABLES = {table["name"]: _columns(table) for table in SOURCE["tables"]}
MODELS = {each["name"]: _columns(each) for each in _yaml("models/models.yml")["models"]}


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_are_described_as_the_tap_describes_its_streams(table: str) -> None:
    properties = schema(table)["properties"]
    assert TABLES[table] == {name: properties[name]["description"] for name in TABLES[table]}


@pytest.mark.parametrize("table", TABLES)
def test_a_staging_view_reads_the_columns_that_are_described_and_no_others(table: str) -> None:
    sql = (STAGING / f"stg_clarity__{table}.sql").read_text("utf-8")
    assert f'source("clarity", "{table}")' in sql
    known = schema(table)["properties"].keys()
    read = set(re.findall(r"\w+", sql.partition("renamed as (")[2]))
    assert known & read == TABLES[table].keys()


def _descriptions(column: str) -> Iterator[str]:
    wide = schema("datasource_measurements", "wide", "hour")["properties"]
    for properties in (*TABLES.values(), {name: it["description"] for name, it in wide.items()}):
        if column in properties:
            yield properties[column]


@pytest.mark.parametrize("model", MODELS)
def test_columns_of_streams_keep_their_descriptions(model: str) -> None:
    """A model describes a column of the tap's streams in the same words."""
    for column, described in MODELS[model].items():
        descriptions = [*_descriptions(column)]
        assert not descriptions or any(
            described.startswith(each.rstrip(".")) for each in descriptions
        ), column


def test_the_unit_test_of_which_value_counts_has_all_cases_of_the_rule() -> None:
    unit_test = next(
        each
        for each in _yaml("models/unit_tests.yml")["unit_tests"]
        if each["name"] == "which_value_counts"
    )
    given = {each["input"]: each["rows"] for each in unit_test["given"]}
    assert given["ref('stg_clarity__recent_measurements')"] == RECENT_ROWS
    assert given["ref('stg_clarity__datasource_measurements')"] == REPORT_ROWS
    assert unit_test["expect"]["rows"] == EXPECTED_ROWS


def test_all_columns_are_described(network: LoadedNetwork) -> None:
    built = {name: {*rows[0]} for name, rows in Expected(network).models().items()}
    assert {name: {*columns} for name, columns in MODELS.items()} == built


@pytest.mark.warehouse
def test_all_sql_is_formatted(tmp_path: Path) -> None:
    sqlfmt = installed("sqlfmt", SQLFMT).parent / "sqlfmt"
    run([sqlfmt, "--check", "--no-progressbar", TRANSFORM], tmp_path)
