"""Words for a missing cell are read as empty cells are, on both paths."""

from __future__ import annotations

from itertools import product
from unittest.mock import Mock

import pytest

from tap_clarity.measurements import csv_wide
from tap_clarity.measurements.fast import record_writer
from tests.unit.measurements.fast.test_record_writer import (
    EXPECTED,
    METRICS,
    among,
    assert_same,
    body_of,
    by_fast_path,
    header,
    row,
)

MISSING = ("NaN", "nan", "null", "None", "NA", "n/a", "-", " - ")


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("word", MISSING)
def test_a_word_for_missing_is_an_empty_cell_to_both_paths(word: str, layout: str) -> None:
    names = header("raw", "status", "value", "qcAssessment", "qcFlags")
    plain = ["1.5", "ok", "2.5", "valid", "[]"] * len(METRICS)
    for choice in product([False, True], repeat=5):
        first = [
            word if is_missing else cell for is_missing, cell in zip(choice, plain, strict=False)
        ]
        empty = [
            "" if is_missing else cell for is_missing, cell in zip(choice, plain, strict=False)
        ]
        found = assert_same(body_of(names, *among(plain, first + plain[5:])), layout)
        assert found == assert_same(body_of(names, *among(plain, empty + plain[5:])), layout)
        assert found[1] is None


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("word", MISSING)
def test_a_word_for_missing_alone_is_no_measurement(word: str, layout: str) -> None:
    names = header("raw", "status", "value")
    rows = [row(f"{hour:02}", "", word, "", *["1", "ok", "2"] * 2) for hour in range(3)]
    records, error = assert_same(body_of(names, *rows), layout)
    assert error is None
    assert len(records) == (6 if layout == "long" else 3)
    assert not [record for record in records if METRICS[0] in str(record)]
    assert not [record for record in records if "pm2_5_status" in record]


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("word", MISSING)
def test_a_word_for_missing_is_no_measurement_without_a_status(word: str, layout: str) -> None:
    names = header("raw", "value")
    rows = [row(f"{hour:02}", *[word] * 6) for hour in range(2)]
    rows += [row("02", *["1", "2"] * 3), row("03", *[word] * 6)]
    records, error = assert_same(body_of(names, *rows), layout)
    assert error is None
    assert len(records) == (3 if layout == "long" else 4)


@pytest.mark.parametrize("word", MISSING)
def test_ids_places_and_ends_of_periods_may_be_missing_words(word: str) -> None:
    cells = row("00", "1", "ok", "2", *[""] * 6)
    with_words = [cells[0], word, word, "hour", cells[4], word, word, word, *cells[8:]]
    names = header("raw", "status", "value")
    (record,), error = assert_same(body_of(names, with_words), "long")
    assert error is None
    assert record["period_end"] == "2026-03-01T01:00:00.000Z"
    for field in ("source_id", "source_type", "latitude", "longitude"):
        assert record[field] is None


def test_a_word_for_missing_does_not_make_other_rows_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(wraps=csv_wide.read_row)
    monkeypatch.setattr(record_writer, "read_row", read)
    for names, plain, odd in (
        (header("raw", "value"), ["1", "2"] * 3, ["NaN", "NaN"] * 3),
        (header("raw", "status", "value"), ["1", "ok", "2"] * 3, ["1", "ok", "NaN"] * 3),
    ):
        read.reset_mock()
        rows = [row("00", *odd), *(row(f"{hour:02}", *plain) for hour in range(1, 20))]
        by_fast_path(body_of(names, *rows), "long", EXPECTED)
        assert read.call_count == 1
