"""The fast path gives the records of the reference path, and fails where it fails."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.core.timestamps import Window
from tap_clarity.measurements import csv_wide, row_anomalies
from tap_clarity.measurements.csv_wide import Header, Table
from tap_clarity.measurements.fast import record_writer
from tap_clarity.measurements.fast.record_writer import Envelope, record_lines
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.measurements.model import Expected, UnreadableError
from tap_clarity.measurements.records import Layout, LongLayout, WideLayout

Outcome = tuple[list[dict[str, Any]], str | None]

EXPECTED = Expected("datasource_id", FREQUENCIES["hour"])
WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
IDS = "datasourceId,sourceId,sourceType,outputFrequency,startOfPeriod,endOfPeriod"
PLACE = "locationLatitude,locationLongitude"
METRICS = ("pm2_5ConcMass1HourMean", "no2Conc1HourMean", "uvIndex1HourMean")
COLUMNS = {"pm2_5ConcMass1HourMean": "pm2_5", "no2Conc1HourMean": "no2"}
AWKWARD = (
    *("", "13.90", "-0", "0", "-0.5", "3", "12345678.1", "0.123456789012345678", "1" * 40),
    *(
        "123456789012345",
        "1234567890123456",
        "999999999.99999999",
        "9999999.999999999",
        "-1234567.12345678",
        "0.12345678",
        "0.123456789",
    ),
    *(".5", "5.", "007", "-007", "1e5", "1E-3", "+7", "-.5", "00", "0.0"),
    *("NaN", "nan", "inf", "-inf", "1e400", "abc", "1.2.3", "1-2", "--1", "-", ".", "1_000", " 1"),
    *("1,5", '"', "\N{ARABIC-INDIC DIGIT ONE}", "\n"),
)
TEXTS = (
    "",
    "calibrated-ready",
    "a,b",
    'say "hi"',
    "line\nbreak",
    "Zürich ✓",
    "50 %",
    "%s",
    "\\u0001",
    "\x01raw",  # the mark of a placeholder
)


def header(*attributes: str) -> list[str]:
    return f"{IDS},{PLACE}".split(",") + [f"{m}.{a}" for m in METRICS for a in attributes]


def row(time: str, *cells: str, id_: str = "DABCD0001") -> list[str]:
    ids = [id_, "A0000001", "CLARITY_NODE", "hour", f"2026-03-01T{time}:00:00.000Z", ""]
    return [*ids, "47.1", "-8.25", *cells]


def body_of(names: list[str], *rows: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows])
    return text.getvalue().encode()


def layout_called(name: str) -> Layout:
    if name == "long":
        return LongLayout("org", EXPECTED)
    return WideLayout("org", EXPECTED, COLUMNS)


def among(plain: list[str], other: list[str]) -> list[list[str]]:
    """Put a row among others so that its device, time and pattern are known when it comes."""
    times = [("00", "D1"), ("00", "D2"), ("01", "D1"), ("01", "D2"), ("01", "D1"), ("02", "D2")]
    return [
        row(time, *(other if place == 3 else plain), id_=id_)
        for place, (time, id_) in enumerate(times)
    ]


def written(line: str) -> Any:  # noqa: ANN401
    """Read JSON to the last digit: other digits of the same double are another number to some."""
    return json.loads(line, parse_float=Decimal)


def by_reference_path(body: bytes, layout: str, expected: Expected) -> Outcome:
    records = []
    measurements = read_measurements(io.BytesIO(body), expected)
    try:
        for record in layout_called(layout).records(measurements):
            records.append(written(json.dumps(record)))  # noqa: PERF401 - an error keeps the others
    except UnreadableError as error:
        return records, str(error)
    return records, None


def by_fast_path(body: bytes, layout: str, expected: Expected) -> Outcome:
    records: list[dict[str, Any]] = []
    envelope = Envelope.of_message("stream", "2026-03-02")
    table = read_measurements(io.BytesIO(body), expected)
    assert isinstance(table, Table)
    try:
        for some in record_lines(table, layout_called(layout), envelope):
            messages = [written(line) for line in some.text.splitlines()]
            assert len(messages) == some.records
            for message in messages:
                records.append(message.pop("record"))
                assert message == {
                    "type": "RECORD",
                    "stream": "stream",
                    "time_extracted": "2026-03-02",
                }
    except UnreadableError as error:
        return records, str(error)
    return records, None


def assert_same(body: bytes, layout: str, expected: Expected = EXPECTED) -> Outcome:
    reference = by_reference_path(body, layout, expected)
    fast = by_fast_path(body, layout, expected)
    assert fast == reference
    return fast


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("number", AWKWARD)
def test_an_awkward_number_is_read_or_refused_alike(number: str, layout: str) -> None:
    plain = ["1.5", "calibrated-ready", "2.5"] * len(METRICS)
    awkward = ["1.5", "calibrated-ready", number, *plain[3:]]
    assert_same(body_of(header("raw", "status", "value"), *among(plain, awkward)), layout)


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_a_number_without_a_status_is_not_lost(layout: str) -> None:
    plain = ["1.5", "ok", "2.5", "", "", "", "", "", ""]
    more = ["1.5", "ok", "2.5", "", "", "", "", "", "7"]
    assert_same(body_of(header("raw", "status", "value"), *among(plain, more)), layout)


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_a_measurement_without_statuses_is_there_if_a_number_is(layout: str) -> None:
    plain = ["1.5", "2.5", "3", "4", "", ""]
    for other in (["1.5", "2.5", "", "", "", ""], ["", "2.5", "3", "4", "5", ""], [""] * 6):
        assert_same(body_of(header("raw", "value"), *among(plain, other)), layout)


def test_numbers_are_numbers_on_the_fast_path() -> None:
    cells = ["1.5", "ok", "2.5", "", "ok", "-0.5", "", "", ""]
    odd = [".5", "ok", "007", "1e2", "ok", "5.", "", "", ""]
    names = header("raw", "status", "value")
    records, error = by_fast_path(body_of(names, *among(cells, odd)), "long", EXPECTED)
    assert error is None
    assert [(r["raw"], r["value"]) for r in records[4:8]] == [
        (1.5, 2.5),
        (None, -0.5),
        (0.5, 7),
        (100, 5),
    ]


def test_a_known_pattern_never_takes_the_reference_path(monkeypatch: pytest.MonkeyPatch) -> None:
    learn, read = Mock(wraps=csv_wide.read_without_readings), Mock(wraps=csv_wide.read_row)
    monkeypatch.setattr(record_writer, "read_without_readings", learn)
    monkeypatch.setattr(record_writer, "read_row", read)
    cells = ["1.5", "ok", "2.5", "", "ok", "-0.5", "", "", ""]
    body = body_of(
        header("raw", "status", "value"),
        *(row(f"{hour:02}", *cells, id_=id_) for hour in range(2) for id_ in ("D1", "D2", "D3")),
    )
    records, _ = by_fast_path(body, "long", EXPECTED)
    assert len(records) == 12
    assert learn.call_count == 4  # three devices, and one new time
    assert read.call_count == 0


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_through_alike(text: str, layout: str) -> None:
    names = header("raw", "status", "value", "qcAssessment", "qcFlags")
    cells = ["1", text, "2", "valid", "[]"] * 2 + ["1", "ok", "2", text, '["QC.I.1"]']
    rows = [row(time, *cells, id_=f"{id_}{text}") for time in ("00", "01") for id_ in ("D1", "D2")]
    assert_same(body_of(names, *rows), layout)


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize(
    "names",
    [
        header("value", "raw", "status"),
        header("status", "value"),
        header("raw", "value"),
        header("raw", "status", "value")[::-1],
        [*header("raw", "status", "value"), "somethingNew"],
        header(),
    ],
)
def test_columns_may_stand_anywhere_or_be_missing(names: list[str], layout: str) -> None:
    cells = dict(zip(f"{IDS},{PLACE}".split(","), row("00"), strict=True))
    attributes = {"raw": "1.25", "value": "2", "status": "ok"}

    def cell(name: str, hour: int) -> str:
        if name == "startOfPeriod":
            return f"2026-03-01T{hour:02}:00Z"
        return cells.get(name, attributes.get(name.rpartition(".")[2], ""))

    rows = [[cell(name, hour) for name in names] for hour in range(3)]
    assert_same(body_of(names, *rows), layout)


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("attribute", ["qcAssessment", "qcFlags"])
@pytest.mark.parametrize("text", ["o" * 20_000, '["\\u0000"]'])
def test_attributes_without_a_measurement_are_validated_as_well(
    text: str, attribute: str, layout: str
) -> None:
    names = [*header("raw", "value", "status"), f"{METRICS[0]}.{attribute}"]
    rows = [row(f"{hour:02}", *[""] * 9, *flags) for hour, flags in enumerate([[""], [text]])]
    _, error = assert_same(body_of(names, *rows), layout)
    assert (error is None) == (attribute == "qcAssessment" and len(text) < 200)


@pytest.mark.parametrize(
    "bad",
    [
        row("02", "1", "ok"),
        row("02", *["1", "ok", "2"] * 4),
        row("02", *["1", "ok", "2"] * 3, id_=""),
        [*row("02")[:4], "yesterday", *row("02")[5:], *["1", "ok", "2"] * 3],
        [*row("02")[:3], "day", *row("02")[4:], *["1", "ok", "2"] * 3],
        [*row("02")[:6], "north", *row("02")[7:], *["1", "ok", "2"] * 3],
        row("02", *["1", "o" * 1000, "2"] * 3),
    ],
    ids=[
        "short",
        "long",
        "no id",
        "no time",
        "day",
        "place",
        "status",
    ],
)
def test_a_bad_row_ends_both_paths_after_the_same_records(bad: list[str]) -> None:
    good = [row(f"{hour:02}", *["1", "ok", "2"] * 3) for hour in range(2)]
    body = body_of(header("raw", "status", "value"), *good, bad)
    expected = Expected("datasource_id", FREQUENCIES["hour"], WINDOW)
    records, error = assert_same(body, "long", expected)
    assert len(records) == 2 * len(METRICS)
    assert error is not None
    assert error.startswith("row 4: ")


CELLS = st.tuples(
    st.sampled_from(AWKWARD[:24]), st.sampled_from(TEXTS), st.sampled_from(AWKWARD[:24])
)
ROWS = st.lists(
    st.tuples(st.sampled_from(["D1", "D2,", "D3"]), st.lists(CELLS, min_size=3, max_size=3)),
    max_size=12,
)


@settings(deadline=None, print_blob=True)
@given(rows=ROWS, layout=st.sampled_from(["long", "wide"]))
def test_any_rows_come_out_alike(
    rows: list[tuple[str, list[tuple[str, str, str]]]], layout: str
) -> None:
    names = header("raw", "status", "value")
    cells = [row("00", *sum(metrics, ()), id_=id_) for id_, metrics in rows]
    assert_same(body_of(names, *cells), layout)


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_a_cleared_cache_is_filled_again(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_writer, "MAX_CACHE_BYTES", 1 << 11)
    cells = ["1.5", "ok", "2.5", "", "ok", "-0.5", "", "", ""]
    rows = [row(f"{hour:02}", *cells, id_=id_) for hour in range(3) for id_ in ("D1", "D2")]
    assert_same(body_of(header("raw", "status", "value"), *rows), layout)


def endless(what: str, place: int) -> list[str]:
    """Give a row that is new in one way."""
    statuses = ["ok"] * 3
    if what == "statuses":
        statuses = [f"{place:0190}"] * 3
    elif what == "patterns":
        statuses = [str(place % 18), str(place // 18 % 18), str(place // 324)]
    cells = row("00", *(cell for status in statuses for cell in ("1", status, "2")))
    if what == "devices":
        cells[0] = f"D{place}"
    elif what == "times":
        cells[4] = (WINDOW.start + timedelta(hours=place)).isoformat()
    return cells


def peak_of(table: Table, layout: str) -> int:
    """Measure the memory that all the lines of a table take."""
    lines = record_lines(table, layout_called(layout), Envelope())
    tracemalloc.start()
    try:
        assert sum(some.records for some in lines) > 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", ["statuses", "patterns", "devices", "times"])
def test_endless_new_values_do_not_fill_the_memory(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "MAX_CACHE_BYTES", 1 << 18)
    monkeypatch.setattr(row_anomalies, "MAX_REMEMBERED_BYTES", 1 << 17)
    rows = (endless(what, place) for place in range(5800))
    names = Header(header("raw", "status", "value"), EXPECTED)
    assert peak_of(Table(names, rows, EXPECTED), "long") < 1 << 20


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_long_names_are_not_kept_for_each_pattern(layout: str) -> None:
    names = [*header(), *(f"{place}{'n' * 190}.status" for place in range(8 * 10))]
    patterns = product(("ok", "no"), repeat=8)
    rows = (row("00", *pattern * 10, id_=f"D{place}") for place, pattern in enumerate(patterns))
    assert peak_of(Table(Header(names, EXPECTED), rows, EXPECTED), layout) < 1 << 22


@pytest.mark.parametrize("number", ["1.5", ".5"], ids=["fast", "reference"])
@pytest.mark.parametrize(
    ("layout", "name", "word"), [("long", 190, 9), ("wide", 190, 9), ("long", 4, 190)]
)
def test_large_rows_do_not_wait_for_others(layout: str, name: int, word: int, number: str) -> None:
    names = [*header(), *(f"{place:0{name}}.value" for place in range(300))]
    body = body_of(
        names, *(row(f"{hour:02}", *[number] * 300, id_="D" * word) for hour in range(9))
    )
    table = read_measurements(io.BytesIO(body.replace(b"CLARITY_NODE", b"N" * word)), EXPECTED)
    assert isinstance(table, Table)
    some = [each.records for each in record_lines(table, layout_called(layout), Envelope())]
    assert some == [*[300 if layout == "long" else 1] * 9, 0]
