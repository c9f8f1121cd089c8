"""Gaps on the page: how long they are, and whether they are those of one station or of all."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.duckdb_fixture import REPORT, hour, load, page_of, row, rows, station

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.duckdb_fixture import Page


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """Two days of three stations, which all lack the hours from 30 to 33."""
    measured = [
        *rows("D1", [h for h in range(48) if not 30 <= h < 34]),
        *rows("D2", [h for h in range(48) if not 30 <= h < 34 and not 5 <= h < 7 and h != 40]),
        *rows("D3", [h for h in range(26, 48) if not 28 <= h < 36 and h != 40]),
    ]
    stations = [station("D1", "Alder"), station("D2", "Birch"), station("D3", "Cedar")]
    return page_of(load(tmp_path / "w.duckdb", {REPORT: measured, "datasources": stations}))


def test_the_calendar_counts_present_and_expected_hours(page: Page) -> None:
    assert page.calendar() == {
        "Any station": [(24, 24), (20, 24)],
        "Alder": [(24, 24), (20, 24)],
        "Birch": [(22, 24), (19, 24)],
        "Cedar": [(0, 0), (13, 22)],
    }


def test_the_completeness_of_a_station_counts_from_its_own_first_hour(page: Page) -> None:
    shares = {name.split()[0]: cells[-1] for name, cells in page.stations.items()}
    assert shares == {"Alder": "91.7 %", "Birch": "85.4 %", "Cedar": "59.1 %"}
    assert "Complete 83.1 % of the hours expected" in page.text


def test_gaps_of_all_stations_come_first_and_then_the_longest(page: Page) -> None:
    assert page.gaps == [
        "4 hours all stations at once 2026-03-02 06:00 to 2026-03-02 10:00",
        "8 hours Cedar 2026-03-02 04:00 to 2026-03-02 12:00",
        "2 hours Birch 2026-03-01 05:00 to 2026-03-01 07:00",
        "1 hour 2 of 3 stations at once: Birch and Cedar 2026-03-02 16:00 to 2026-03-02 17:00",
    ]


def test_colors_follow_the_completeness_and_nothing_differs_from_not_expected(
    tmp_path: Path,
) -> None:
    counts = [24, 23, 18, 17, 12, 11, 1, 0, 24]
    hours = [day * 24 + hour for day, count in enumerate(counts) for hour in range(count)]
    file = load(tmp_path / "w.duckdb", {REPORT: [*rows("D1", hours), *rows("D2", range(192, 216))]})
    chart = page_of(file).data[0]["calendar"]["figure"]["data"][0]
    assert chart["z"][1:] == [[0, 1, 1, 2, 2, 3, 3, 4, 0], [None] * 8 + [0]]
    assert chart["text"][1] == ["", "1", "6", "7", "12", "13", "23", "24", ""]
    edges, colors = zip(*chart["colorscale"], strict=True)
    assert edges == (0, 0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8, 1)
    assert colors[::2] == tuple(f"var(--level-{number})" for number in range(5))
    assert (chart["zmin"], chart["zmax"]) == (-0.5, 4.5)


def test_the_gap_of_a_stopped_station_is_still_open(tmp_path: Path) -> None:
    measured = [*rows("D1", range(60)), *rows("D2", range(10))]
    stopped = station("D2", "Birch", current_source_id=None)
    stations = [station("D1", "Alder"), stopped, station("D3", "Cedar")]
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: measured, "datasources": stations}))
    assert page.gaps == ["2 days 2 hours Birch from 2026-03-01 10:00, still open"]
    assert "Stations measuring 1 of 3 in the newest 24 hours" in page.text
    rows_ = page.stations
    assert any(name.startswith("Birch") and "no device there now" in name for name in rows_)
    assert rows_["Cedar"] == ["no measurement in this file"]


def test_the_page_warns_of_a_file_that_ends_long_before(tmp_path: Path) -> None:
    file = load(tmp_path / "w.duckdb", {REPORT: rows("D1", range(10))})
    warning = "After 2026-03-01 10:00 this file has nothing of any station: 5 h by the time"
    assert warning in page_of(file, hour(15)).text
    assert "Newest hour 5 h ago" in page_of(file, hour(15)).text
    assert "this file has nothing" not in page_of(file, hour(12)).text


def test_the_gap_of_a_single_station_is_not_shared(tmp_path: Path) -> None:
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: rows("D1", [0, 1, 4])}))
    assert page.gaps == ["2 hours D1 2026-03-01 02:00 to 2026-03-01 04:00"]
    assert list(page.calendar()) == ["D1"]
    assert "nothing tells its own gaps from the pipeline's" in page.text


def test_of_many_stations_with_the_same_gap_two_are_named(tmp_path: Path) -> None:
    measured = rows("D0", range(5))
    for number in range(1, 6):
        measured += rows(f"D{number}", [0, 3, 4])
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: measured}))
    times = "2026-03-01 01:00 to 2026-03-01 03:00"
    assert page.gaps == [f"2 hours 5 of 6 stations at once: D1, D2 and 3 other stations {times}"]


def test_without_gaps_there_is_a_note(tmp_path: Path) -> None:
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: rows("D1", range(5))}))
    assert "None: every station has every hour since its first." in page.text


def test_ten_gaps_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    hours = [each for each in range(100) if each % 7]  # 1, 2, ... 6, 8, ...: 14 gaps of an hour
    several = [*rows("D1", [0, *hours, 99]), *rows("D2", range(50, 100))]
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: several}))
    assert len(page.gaps) == 10
    assert "And 4 shorter gaps, 4 hours in all." in page.text


def test_an_hour_is_present_if_any_metric_has_it(tmp_path: Path) -> None:
    """The line is interrupted there, because the hour's mean is missing."""
    other = {"metric": "pm2_5ConcMassNowcast"}
    measured = [*rows("D1", [0, 2]), row("D1", hour(1), 5.0, **other)]
    page = page_of(load(tmp_path / "w.duckdb", {REPORT: measured}))
    assert page.calendar() == {"D1": [(3, 3)]}
    assert page.line("D1") == [5.0, None, 5.0]


def test_daily_data_is_counted_in_days(tmp_path: Path) -> None:
    times = [datetime(2026, 3, day) for day in (1, 2, 5)]  # noqa: DTZ001 - see START
    daily = {"output_frequency": "day", "metric": "pm2_5ConcMass24HourMean"}
    page = page_of(
        load(tmp_path / "w.duckdb", {REPORT: [row("D1", at, 5.0, **daily) for at in times]})
    )
    assert page.calendar() == {"D1": [(1, 1), (1, 1), (0, 1), (0, 1), (1, 1)]}
    assert page.gaps == ["2 days D1 2026-03-03 00:00 to 2026-03-05 00:00"]
    assert page.line("D1") == [5.0, 5.0, None, None, 5.0]
    assert "The file has daily means only." in page.text
