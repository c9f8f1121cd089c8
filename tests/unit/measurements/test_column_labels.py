"""Columns are found by their canonical names, English labels and variants; doubt is an error."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

import pytest

from tap_clarity.measurements.column_labels import canonical_metric, fold, parse_column
from tap_clarity.measurements.csv_wide import MAX_COLUMNS, MAX_ROW_LENGTH
from tap_clarity.measurements.dictionary import load_dictionary
from tap_clarity.measurements.fast.record_writer import Envelope, record_lines
from tap_clarity.measurements.model import Reading, UnreadableError
from tap_clarity.measurements.records import LongLayout
from tests.support.measurement_files import (
    DAY_OF_FILE,
    PM,
    UNKNOWN,
    csv_of,
    expect,
    only,
    read,
    table_in,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT = expect(window=DAY_OF_FILE)
FIELD_LIMIT = csv.field_size_limit()
AQI = "pm2_5ConcMassNowcastUsEpaAqi"
ENGLISH = "PM 2.5 mass concentration, 1-hour mean"
CELLS = {"raw": "1.5", "status": "ok", "value": "2.5", "qc": "valid", "qcFlags": "[]"}
WHOLE = Reading(PM, 1.5, 2.5, "ok", "valid", [])


def file_of(*columns: str, cells: Sequence[str] = ()) -> bytes:
    return csv_of(
        [
            ["datasourceId", "startOfPeriod", *columns],
            ["DAAAA0001", "2026-03-10T05:00:00.000Z", *cells],
        ]
    )


@pytest.mark.parametrize(
    "columns",
    [
        [f"{PM}.{name}" for name in ("raw", "status", "value", "qcAssessment", "qcFlags")],
        [f"{PM}.{name}" for name in ("Raw", "STATUS", "Value", "QcAssessment", "qcflags")],
        [f"{PM}.{name}" for name in ("raw", "status", "value", "qc_assessment", "qc_flags")],
        [f"{PM}_{name}" for name in ("raw", "status", "value", "qcAssessment", "qcFlags")],
        [f"{PM}_{name}" for name in ("raw", "status", "value", "qc", "qc_flags")],
        [f"{PM.upper()}.{name}" for name in ("RAW", "STATUS", "VALUE", "QC", "QCFLAGS")],
        [f"{PM.lower()}.{name}" for name in ("raw", "status", "value", "qc", "qcflags")],
        [f"{ENGLISH} {name}" for name in ("raw", "status", "value", "qcAssessment", "qcFlags")],
        [f"{ENGLISH} {name}" for name in ("raw", "status", "value", "qc assessment", "qc flags")],
        [f"{ENGLISH} {name}" for name in ("Raw", "Status", "Value", "QC", "QC Flags")],
        [
            f"PM2.5 mass concentration, 1-hour mean {name}"
            for name in ("raw", "status", "value", "qc", "qcFlags")
        ],
        [
            f"pm 2.5 Mass Concentration,  1 hour Mean {name}"
            for name in ("raw", "status", "value", "qc", "qcFlags")
        ],
    ],
    ids=str,
)
def test_a_metrics_columns_are_known_by_any_of_their_spellings(columns: list[str]) -> None:
    assert only(read(file_of(*columns, cells=[*CELLS.values()]), REPORT)) == WHOLE


@pytest.mark.parametrize(
    ("column", "metric"),
    [
        (f"{UNKNOWN}.raw", UNKNOWN),
        (f"{UNKNOWN}.RAW", UNKNOWN),
        (f"{UNKNOWN.upper()}.raw", UNKNOWN.upper()),
        ("温度.raw", "温度"),
        ("a b.c.raw", "a b.c"),
        ("pm2_5ConcMassNowCast.raw", "pm2_5ConcMassNowcast"),
        ("PM 2.5 mass concentration, Nowcast, UsEpaAqi raw", AQI),
        ("PM 2.5 mass concentration, NowCast, UsEpaAqi raw", AQI),
        ("Ozone, 1-hour mean raw", "o3Conc1HourMean"),
        ("PM 1 mass concentration, 1-hour mean raw", "pm1ConcMass1HourMean"),
        ("PM 10 mass concentration, 1-hour mean raw", "pm10ConcMass1HourMean"),
    ],
)
def test_a_record_carries_the_canonical_name(column: str, metric: str) -> None:
    assert only(read(file_of(column, cells=["1"]), REPORT)).metric == metric


@pytest.mark.parametrize(
    "column",
    [
        *(f"{UNKNOWN}_raw", f"{UNKNOWN} raw", f"{UNKNOWN}.colour", UNKNOWN, PM, ENGLISH),
        *(".raw", "raw", "_value", f"{PM}.", f"{PM}raws", f"{PM}_colour", ""),
        *("Pollen concentration, 1-hour mean raw", "sourceId", "time", "endOfPeriod"),
    ],
)
def test_other_columns_are_of_no_metric(column: str) -> None:
    assert parse_column(column) is None


def test_columns_that_are_not_known_are_left_out_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    content = file_of(f"{PM}.raw", f"{UNKNOWN}_raw", "Pollen raw", cells=["1", "2", "3"])
    assert only(read(content, REPORT)).metric == PM
    assert caplog.messages == [
        f"Columns that the tap does not know are left out (2): ['{UNKNOWN}_raw', 'Pollen raw']"
    ]


@pytest.mark.parametrize(
    "columns",
    [
        (f"{PM}.raw", f"{PM}.Raw"),
        (f"{PM}.raw", f"{PM}_raw"),
        (f"{PM}.raw", f"{PM.upper()}.raw"),
        (f"{PM}.raw", f"{ENGLISH} raw"),
        (f"{ENGLISH} raw", "PM2.5 mass concentration, 1-hour mean raw"),
        (f"{UNKNOWN}.raw", f"{UNKNOWN}.RAW"),
        (f"{PM}.qc", f"{PM}.QC"),
        (f"{PM}.qcAssessment", f"{PM}.qc assessment"),
        ("sourceId", "Source Id"),
    ],
)
def test_two_columns_of_one_meaning_are_refused(columns: tuple[str, str]) -> None:
    with pytest.raises(UnreadableError, match=f"names a column twice: '{columns[1]}'"):
        read(file_of(*columns), REPORT)


@pytest.mark.parametrize(
    "columns", [[], ["comment"], [f"{UNKNOWN}_raw", "Pollen raw"], [f"{PM}.colour"], ["c" * 500]]
)
def test_rows_without_a_metric_are_refused(columns: list[str]) -> None:
    with pytest.raises(UnreadableError) as caught:
        read(file_of(*columns, cells=["1"] * len(columns)), REPORT)
    first = [name[:100] for name in ("datasourceId", "startOfPeriod", *columns)]
    assert str(caught.value) == f"row 2: no column holds a metric; the first are {first}"
    assert read(file_of(*columns).splitlines()[0], REPORT) == []


def test_the_name_of_a_metric_has_a_limit() -> None:
    assert only(read(file_of(f"{'m' * 200}.raw", cells=["1"]), REPORT)).metric == "m" * 200
    with pytest.raises(UnreadableError, match="name of a metric exceeds the limit of 200"):
        read(file_of(f"{'m' * 201}.raw", cells=["1"]), REPORT)


def test_no_two_metrics_have_a_name_or_label_in_common() -> None:
    metrics = load_dictionary().values()
    assert len({fold(each.metric) for each in metrics}) == len(metrics)
    for each in metrics:
        assert canonical_metric(each.metric) == each.metric
        if each.english_label:
            assert canonical_metric(each.english_label) == each.metric


@pytest.mark.parametrize(
    "names",
    [
        [f"{ENGLISH}, {number} raw" for number in range(MAX_COLUMNS - 2)],
        [f"{number} {'x' * (MAX_ROW_LENGTH // 2000 - 9)} raw" for number in range(MAX_COLUMNS - 2)],
        ["PM 2.5 " * (FIELD_LIMIT // 8) + "raw"],
        ["-" * (FIELD_LIMIT - 100) + "qcAssessment"],
        ["raw" * (FIELD_LIMIT // 4)],
    ],
    ids=["2,000 labels", "2,000 long labels", "a long label", "dashes", "attributes"],
)
def test_hostile_headers_are_read_at_once_and_named_briefly(
    names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    began = time.process_time()
    content = file_of(*names, cells=["1"] * len(names))
    table = table_in(content, REPORT)
    with pytest.raises(UnreadableError, match="no column holds a metric") as caught:
        list(record_lines(table, LongLayout("exampleAB12", REPORT), Envelope()))
    assert time.process_time() - began < 3
    assert len(str(caught.value)) < 1500
    assert all(len(message) < 1500 for message in caplog.messages)


def test_a_label_of_1_mb_is_refused() -> None:
    with pytest.raises(UnreadableError, match="not a CSV file of measurements"):
        read(file_of("PM 2.5 " * (MAX_ROW_LENGTH // 8) + "raw", cells=["1"]), REPORT)
