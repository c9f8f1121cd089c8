"""The package says what the tap says, is written in one way, and can be used by others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.dbt_project import TRANSFORM, run
from tests.support.expected_models import Expected
from tests.support.warehouses.programs import installed
from tests.support.warehouses.schemas import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gap_fixture import Town

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
    told = schema(table)["properties"]
    assert TABLES[table] == {name: told[name]["description"] for name in TABLES[table]}


@pytest.mark.parametrize("table", TABLES)
def test_a_staging_view_reads_the_columns_that_are_described_and_no_others(table: str) -> None:
    sql = (STAGING / f"stg_clarity__{table}.sql").read_text("utf-8")
    assert f'source("clarity", "{table}")' in sql
    known = schema(table)["properties"].keys()
    read = set(re.findall(r"\w+", sql.partition("from {{")[0]))
    assert known & read == TABLES[table].keys()


def _told(column: str) -> Iterator[str]:
    wide = schema("datasource_measurements", "wide", "hour")["properties"]
    for properties in (*TABLES.values(), {name: it["description"] for name, it in wide.items()}):
        if column in properties:
            yield properties[column]


@pytest.mark.parametrize("model", MODELS)
def test_one_word_means_one_thing(model: str) -> None:
    """What a model takes over from the tap's streams it describes in the same words."""
    for column, described in MODELS[model].items():
        told = [*_told(column)]
        assert not told or any(described.startswith(each.rstrip(".")) for each in told), column


def test_all_columns_are_described(town: Town) -> None:
    built = {name: {*rows[0]} for name, rows in Expected(town).models().items()}
    assert {name: {*columns} for name, columns in MODELS.items()} == built


@pytest.mark.warehouse
def test_all_sql_is_written_in_one_way(tmp_path: Path) -> None:
    sqlfmt = installed("sqlfmt", SQLFMT).parent / "sqlfmt"
    run([sqlfmt, "--check", "--no-progressbar", TRANSFORM], tmp_path)
