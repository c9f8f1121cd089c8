"""Values on the page: the latest of each station, and the PM2.5 series."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.duckdb_fixture import (
    LOCATION,
    PM25,
    RECENT,
    REPORT,
    hour,
    load,
    page_of,
    row,
    rows,
    station,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tap_clarity.sandbox import Measurement
    from tests.support.duckdb_fixture import Page

NOW = datetime(2026, 11, 20, 13, 7, tzinfo=UTC)
DAYS = 4


@pytest.fixture(scope="module")
def expected_data() -> list[Measurement]:
    """Four days over which a device is swapped: its values are not calibrated yet."""
    expected = Sandbox(now=NOW, datasources=8, anchor="2026-11-17").expected
    return list(expected.measurements("hour", NOW - timedelta(days=DAYS), NOW, NOW))


@pytest.fixture(scope="module")
def page(expected_data: list[Measurement], tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The expected data as loaded: the past from a report, the rest, with an overlap, recent."""
    cut = NOW - timedelta(days=1)
    overlap = cut - timedelta(hours=5)
    return page_of(
        load(
            tmp_path_factory.mktemp("page") / "w.duckdb",
            {
                REPORT: _records(each for each in expected_data if each.time < cut),
                RECENT: _records(each for each in expected_data if each.time >= overlap),
            },
        ),
        NOW,
    )


def _records(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    return [
        {
            "org": each.org,
            "datasource_id": each.datasource_id,
            "output_frequency": each.output_frequency,
            "metric": each.metric,
            "time": each.time.replace(tzinfo=None),
            "raw": each.raw,
            "value": each.value,
            "status": each.status,
            "qc_assessment": each.qc_assessment,
            "latitude": each.latitude,
            "longitude": each.longitude,
        }
        for each in measurements
    ]


def _by_station(expected_data: Iterable[Measurement], metric: str) -> dict[str, list[Measurement]]:
    found = defaultdict(list)
    for each in expected_data:
        if each.metric == metric:
            found[each.datasource_id].append(each)
    return found


def _shown(each: Measurement, newest: datetime) -> str:
    number = each.raw if each.value is None else each.value
    assert number is not None
    notes = [
        "as sensed" if each.value is None else "",
        "invalid" if each.qc_assessment == "invalid" else "",
        f"{each.time:%Y-%m-%d %H:%M}" if each.time != newest else "",
    ]
    return " ".join(filter(None, [f"{number:.1f}".replace("-", "\N{MINUS SIGN}"), *notes]))


def test_the_table_has_the_latest_of_the_expected_data(
    expected_data: list[Measurement], page: Page
) -> None:
    metrics = [PM25, "pm10ConcMass1HourMean", "no2Conc1HourMean", "o3Conc1HourMean"]
    by_metric = [_by_station(expected_data, metric) for metric in metrics]
    assert len(page.stations) == len(by_metric[0]) == 8
    for id_, cells in ((name.split()[0], cells) for name, cells in page.stations.items()):
        last = [max(each[id_], key=lambda m: m.time, default=None) for each in by_metric]
        at = max(each.time for each in last if each)
        expected = ["-" if each is None else _shown(each, at) for each in last]
        assert cells[: len(metrics)] == expected
        assert cells[-2].startswith(f"{at:%Y-%m-%d %H:%M} ")


def test_the_lines_are_the_expected_data_hour_by_hour(
    expected_data: list[Measurement], page: Page
) -> None:
    first = min(each.time for each in expected_data)
    kinds = {"value": 0, "raw": 0, "invalid": 0}
    for id_, measured in _by_station(expected_data, PM25).items():
        line = page.line(id_)
        marks = {kind: dict(zip(*page.line(id_, kind), strict=True)) for kind in ("raw", "invalid")}
        line_values = dict(enumerate(line))
        for each in measured:
            at, millis = (each.time - first) // timedelta(hours=1), each.time.timestamp() * 1000
            kind = "invalid" if each.qc_assessment == "invalid" else "raw"
            if each.value is not None and kind == "raw":
                assert line_values.pop(at) == pytest.approx(each.value, abs=0.006)
                kinds["value"] += 1
            else:
                best = each.raw if each.value is None else each.value
                assert marks[kind].pop(millis) == pytest.approx(best, abs=0.006)
                kinds[kind] += 1
        assert set(line_values.values()) <= {None}
        assert marks == {"raw": {}, "invalid": {}}
    assert kinds["value"] > 500
    assert kinds["raw"] > 5


def test_the_dotted_line_is_the_median_of_the_calibrated(
    expected_data: list[Measurement], page: Page
) -> None:
    at: dict[datetime, list[float]] = defaultdict(list)
    for each in expected_data:
        if each.metric == PM25 and each.value is not None and each.qc_assessment == "valid":
            at[each.time].append(each.value)
    traces = {each["name"]: each for each in page.data[0]["series"]["figure"]["data"]}
    median_trace = traces["median of stations"]
    first = min(each.time for each in expected_data)
    assert median_trace["x0"] == first.timestamp() * 1000
    assert median_trace["dx"] == 3_600_000
    for number, shown in enumerate(median_trace["y"]):
        values = at.get(first + timedelta(hours=number))
        assert shown == (pytest.approx(median(values), abs=0.006) if values else None)


def test_completeness_is_that_of_the_expected_data(
    expected_data: list[Measurement], page: Page
) -> None:
    hours = defaultdict(set)
    for each in expected_data:
        hours[each.datasource_id].add(each.time)
    newest = max(each.time for each in expected_data)
    days = [newest.replace(hour=0) - timedelta(days=back) for back in range(DAYS, -1, -1)]
    for id_, present in hours.items():
        expected = {
            min(present) + timedelta(hours=each)
            for each in range((newest - min(present)) // timedelta(hours=1) + 1)
        }
        assert page.calendar()[id_] == [
            tuple(sum(each.date() == day.date() for each in of) for of in (present, expected))
            for day in days
        ]


def _page_of_tables(tmp_path: Path, **tables: list[dict[str, Any]]) -> Page:
    return page_of(load(tmp_path / "w.duckdb", dict(tables)), hour(3))


def test_where_both_tables_have_a_row_the_reports_is_shown(tmp_path: Path) -> None:
    page = _page_of_tables(
        tmp_path,
        recent_measurements=rows("D1", range(3), value=9.0),
        datasource_measurements=[row("D1", hour(0), 7.0), row("D1", hour(1), None, raw=2.5)],
    )
    assert page.line("D1") == [7.0, None, 9.0]
    assert page.line("D1", "raw")[1] == [2.5]


def test_a_raw_value_is_shown_where_there_is_no_calibrated_one_with_a_note(tmp_path: Path) -> None:
    page = _page_of_tables(tmp_path, recent_measurements=[row("D1", hour(2), None, raw=-3.25)])
    assert page.stations[f"D1 {LOCATION}"][0] == "\N{MINUS SIGN}3.2 as sensed"
    assert page.line("D1", "raw")[1] == [-3.25]
    assert "PM2.5, median of stations none nothing is calibrated" in page.text


def test_a_value_older_than_the_newest_of_its_station_has_its_time(tmp_path: Path) -> None:
    newer = row("D1", hour(2), 8.0, metric="pm10ConcMass1HourMean")
    page = _page_of_tables(tmp_path, recent_measurements=[row("D1", hour(0)), newer])
    figures = ["5.0 2026-03-01 00:00", "8.0", "2026-03-01 02:00 0 min"]
    assert page.stations[f"D1 {LOCATION}"][:3] == figures


def test_a_value_that_quality_control_rejects_is_shown_with_a_note(tmp_path: Path) -> None:
    page = _page_of_tables(
        tmp_path, recent_measurements=[row("D1", hour(2), 99.0, qc_assessment="invalid")]
    )
    assert page.stations[f"D1 {LOCATION}"][0] == "99.0 invalid"
    assert page.line("D1") == [None]
    assert page.line("D1", "invalid")[1] == [99.0]


def test_a_value_between_two_gaps_has_a_marker(tmp_path: Path) -> None:
    page = _page_of_tables(tmp_path, datasource_measurements=rows("D1", [0, 2, 3, 5]))
    day = 1_772_323_200_000  # 2026-03-01
    assert page.line("D1", "isolated") == [[day, day + 5 * 3_600_000], [5.0, 5.0]]


def test_ages_are_counted_from_the_end_of_the_hour(tmp_path: Path) -> None:
    file = load(tmp_path / "w.duckdb", {RECENT: rows("D1", range(3))})
    for now, age in ((hour(3.75), "45 min"), (hour(6), "3 h"), (hour(75), "3 days")):
        assert [cells[-2] for cells in page_of(file, now).stations.values()] == [
            f"2026-03-01 02:00 {age}"
        ]


def test_a_station_has_its_name_its_group_and_its_location(tmp_path: Path) -> None:
    page = _page_of_tables(
        tmp_path,
        recent_measurements=[*rows("D1", range(3)), *rows("D2", range(3)), *rows("D3", range(3))],
        datasources=[
            station("D1", "Pier", "harbour"),
            station("D2", "Pier"),
            station("D3", "Alder"),
        ],
    )
    assert list(page.stations) == [
        f"Alder {LOCATION}",
        f"Pier (D1) harbour · {LOCATION}",
        f"Pier (D2) {LOCATION}",
    ]


def test_three_stations_have_a_band_of_their_middle_and_two_have_none(tmp_path: Path) -> None:
    values = {"D1": 0.0, "D2": 10.0, "D3": 30.0}
    measured = [row(id_, hour(h), value) for id_, value in values.items() for h in (0, 1, 3)]
    three = _page_of_tables(tmp_path, datasource_measurements=measured)
    band = three.data[0]["series"]["figure"]["data"][0]
    first = 1_772_323_200_000
    times = [first, first + 3_600_000, first + 3 * 3_600_000]
    # A tenth of the way from 0 to 10 is 2, and from 10 to 30 from the other side 26.
    assert band["x"] == [times[0], times[1], times[1], times[0], None, times[2], times[2], None]
    assert band["y"] == [26.0, 26.0, 2.0, 2.0, None, 26.0, 2.0, None]
    assert "10.0 µg/m³" in three.text
    assert "2.0 to 26.0 in the middle 80 %" in three.text
    (tmp_path / "w.duckdb").unlink()
    two = _page_of_tables(tmp_path, datasource_measurements=measured[:6])
    assert "middle 80 % of stations" not in two.html.split('id="data"')[1]


def test_of_minute_data_the_series_is_the_mean_of_each_hour(tmp_path: Path) -> None:
    samples = {"output_frequency": "minute", "metric": "pm2_5ConcMassIndividual"}
    values = {0.1: 4.0, 0.5: 6.0, 0.9: None, 2.2: 8.0}
    page = _page_of_tables(
        tmp_path,
        recent_measurements=[row("D1", hour(at), value, **samples) for at, value in values.items()],
    )
    assert page.line("D1") == [5.0, None, 8.0]
    assert page.calendar() == {"D1": [(2, 3)]}
    assert "single samples; the PM2.5 series shows their mean of each hour" in page.text
    assert page.stations[f"D1 {LOCATION}"][-2] == "2026-03-01 02:12 48 min"
    assert "Newest hour 0 min ago it began 2026-03-01 02:00" in page.text
    running = page_of(tmp_path / "w.duckdb", hour(2.5))
    assert "Newest hour running it began 2026-03-01 02:00" in running.text


def test_hours_are_shown_where_there_are_several_frequencies(tmp_path: Path) -> None:
    samples = {"output_frequency": "minute", "metric": "pm2_5ConcMassIndividual"}
    page = _page_of_tables(
        tmp_path,
        recent_measurements=[row("D1", hour(9.5), 1.0, **samples), *rows("D1", range(2))],
    )
    assert page.line("D1") == [5.0, 5.0]
    assert "Hourly means, as Clarity gives them." in page.text
