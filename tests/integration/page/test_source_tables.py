"""Files as loaders write them: layouts, missing tables, several organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.duckdb_fixture import (
    PM25,
    RECENT,
    REPORT,
    hour,
    load,
    page_of,
    row,
    rows,
    station,
    wide_rows,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("layout", ["long", "wide", "mixed"])
def test_the_page_is_the_same_in_both_layouts(layout: str, tmp_path: Path) -> None:
    recent = [row("D1", hour(each), each / 2) for each in range(6, 9)]
    report = [
        *(row("D1", hour(each), each * 1.0) for each in (0, 1, 4, 7)),
        row("D1", hour(5), None),
        row("D1", hour(8), 50.0, qc_assessment="invalid"),
    ]
    tables = {
        REPORT: report if layout == "long" else wide_rows(report),
        RECENT: wide_rows(recent) if layout == "wide" else recent,
    }
    page = page_of(load(tmp_path / "w.duckdb", tables))
    assert page.line("D1") == [0.0, 1.0, None, None, 4.0, None, 3.0, 7.0, None]
    assert page.line("D1", "raw")[1] == [4.0]
    assert page.line("D1", "invalid")[1] == [50.0]
    assert page.calendar() == {"D1": [(7, 9)]}


def test_a_wide_row_without_any_metric_is_no_measurement(tmp_path: Path) -> None:
    empty = row("D1", hour(1), None, raw=None, status=None, qc_assessment=None)
    other = {**wide_rows([{**empty, "time": hour(2)}])[0], "other_metrics": '{"new": 1}'}
    records = [*wide_rows([row("D1", hour(0)), empty, row("D1", hour(3))]), other]
    assert page_of(load(tmp_path / "w.duckdb", {REPORT: records})).calendar() == {"D1": [(3, 4)]}


@pytest.mark.parametrize("table", [REPORT, RECENT])
def test_one_table_is_enough(table: str, tmp_path: Path) -> None:
    page = page_of(load(tmp_path / "w.duckdb", {table: rows("D1", range(3))}))
    assert page.line("D1") == [5.0, 5.0, 5.0]


def test_columns_that_were_not_selected_are_optional(tmp_path: Path) -> None:
    kept = ("org", "datasource_id", "output_frequency", "metric", "time", "value")
    records = [{name: each[name] for name in kept} for each in rows("D1", range(3))]
    stations = [{"org": "org1", "datasource_id": "D1"}]
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: records, "datasources": stations}))
    assert page.line("D1") == [5.0, 5.0, 5.0]
    assert list(page.stations) == ["D1"]


def test_names_are_also_found_where_the_tap_has_flattened_them(tmp_path: Path) -> None:
    stations = [{"org": "org1", "datasource_id": "D1", "org_annotations__name": "Pier"}]
    file = load(tmp_path / "w.duckdb", {REPORT: rows("D1", [0]), "datasources": stations})
    assert page_of(file).line("Pier") == [5.0]


def test_organizations_are_separate(tmp_path: Path) -> None:
    other = {"org": "org2", "value": 7.0}
    page = page_of(
        load(
            tmp_path / "w.duckdb",
            {
                REPORT: [*rows("D1", range(5)), *rows("D1", [1, 2], **other)],
                RECENT: rows("D2", [3], **other),
                "datasources": [station("D1", "Alder"), station("D1", "Birch", org="org2")],
            },
        )
    )
    assert page.texts_in("title") == [
        "Air quality of 2 organisations, 1 Mar 2026 to 1 Mar 2026, made 2026-03-03 00:00 UTC"
    ]
    assert page.calendar(0) == {"Alder": [(5, 5)]}
    assert page.calendar(1) == {"Any station": [(3, 3)], "Birch": [(2, 3)], "D2": [(1, 1)]}
    assert page.line("Birch", network=1) == [7.0, 7.0, None]
    assert [text for text in page.texts_in("h2") if text.startswith("org")] == ["org1", "org2"]


def test_each_schema_is_a_network_of_its_own(tmp_path: Path) -> None:
    """As where each organisation is loaded into a schema of its own, whatever its name."""
    file = load(tmp_path / "clarity.duckdb", {REPORT: rows("D1", [0])}, "clarity")
    load(file, {REPORT: rows("D1", [0, 1], value=6.0)}, 'odd "name"')
    page = page_of(file)
    assert page.line("D1", network=0) == [5.0]
    assert page.line("D1", network=1) == [6.0, 6.0]
    assert 'schema odd "name"' in page.text


def test_the_title_has_the_organization_the_range_and_the_time(tmp_path: Path) -> None:
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: rows("D1", [0, 40])}), hour(41.5))
    title = "Air quality of org1, 1 Mar 2026 to 2 Mar 2026"
    assert page.texts_in("title") == [f"{title}, made 2026-03-02 17:30 UTC"]
    assert page.texts_in("h1") == [title]
    assert "from w.duckdb" in page.text


def test_metrics_that_no_station_measures_have_no_column(tmp_path: Path) -> None:
    others = ("o3Conc1HourMean", "temperatureAmbient1HourMean", f"{PM25}WaDwerAqi")
    records = [*rows("D1", [0]), *(row("D1", hour(0), metric=each) for each in others)]
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: records}))
    heads = [" ".join(cell.split()) for cell in page.table[0]]
    assert heads == [
        *("Station", "PM2.5 µg/m³", "O3 unit unknown", "Temperature °C"),
        *("Time UTC, and age", "Complete"),
    ]
