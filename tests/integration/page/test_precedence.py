"""Which value the page shows where both tables have one: the same cases as for the dbt models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.duckdb_fixture import RECENT, REPORT, load, page_of, wide_rows
from tests.support.precedence_cases import CASES, RECENT_ROWS, REPORT_ROWS

if TYPE_CHECKING:
    from tests.support.duckdb_fixture import Page
    from tests.support.precedence_cases import Case


@pytest.fixture(scope="module", params=["long", "wide"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    tables = {REPORT: REPORT_ROWS, RECENT: RECENT_ROWS}
    if request.param == "wide":
        tables = {name: wide_rows(rows) for name, rows in tables.items()}
    return page_of(load(tmp_path_factory.mktemp("page") / "w.duckdb", tables))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_page_shows_the_row_that_counts(case: Case, page: Page) -> None:
    line: dict[str, list[float | None]] = {"value": [None], "raw": [], "invalid": []}
    value, raw, _, qc_assessment = case.expected
    if qc_assessment == "invalid":
        text = f"{value:.1f} invalid"
        line["invalid"] = [value]
    elif value is None:
        text = f"{raw:.1f} as sensed"
        line["raw"] = [raw]
    else:
        text = f"{value:.1f}"
        line["value"] = [value]
    assert page.stations[case.name][0] == text
    assert page.line(case.name) == line["value"]
    assert page.line(case.name, "raw")[1] == line["raw"]
    assert page.line(case.name, "invalid")[1] == line["invalid"]
