"""Numbers and flags as files write them."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.measurements.csv_wide import read_flags
from tap_clarity.measurements.model import MISSING, read_number, read_word
from tests.support.measurement_files import many_examples


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", None),
        ("0", 0),
        ("-0", 0),
        ("3", 3),
        ("007", 7),
        ("+7", 7),
        ("13.90", 13.9),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e5", 100000),
        ("1.5E-3", 0.0015),
        ("-28.33", -28.33),
        ("37.71933910", 37.7193391),
        ("9007199254740993", 9007199254740992.0),
        ("1e-400", 0.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_a_number_is_read_however_it_is_written(text: str, number: float | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize("word", ["", "NaN", "null", "None", "NA", "N/A", "-"])
@pytest.mark.parametrize("around", ["{}", " {} ", "\t{}"])
def test_a_missing_number_may_be_a_word_in_any_case(word: str, around: str) -> None:
    for text in (word, word.lower(), word.upper()):
        assert read_number(around.format(text)) is None
        assert read_word(around.format(text)) is None
        assert read_flags(around.format(text)) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [("3", "3"), ("007", "7"), ("3.0", "3.0"), ("-0", "0"), ("1e5", "100000"), ("5.", "5.0")],
)
def test_a_whole_number_stays_whole(text: str, written: str) -> None:
    assert json.dumps(read_number(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        *("inf", "-Infinity", "1e400", "-1e400", "9" * 400, "- -", "n.a.", "nane", "nulls"),
        *("abc", "1,5", "1.2.3", "--1", "+", ".", "e5", "1e", "0x10", "1_000", "1 000"),
        *(
            " 1",
            "1 ",
            "1\n",
            "true",
            "True",
            "½",
            "\N{ARABIC-INDIC DIGIT ONE}",
            "1\0",
        ),
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read_number(text)


def test_a_cell_of_digits_without_end_is_refused_at_once() -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match="number"):
        read_number("1" * 20_000 + "x")
    assert time.process_time() - begin < 1


@many_examples
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300))
def test_every_number_that_json_can_say_is_read(number: float) -> None:
    assert read_number(json.dumps(number)) == float(number)


@many_examples
@given(st.text("0123456789.eE+-") | st.text())
def test_any_text_is_a_number_as_python_reads_it_or_refused(text: str) -> None:
    try:
        number = read_number(text)
    except ValueError:
        return
    if number is None:
        assert text.strip().lower() in MISSING
    else:
        assert math.isfinite(number)
        assert number == float(text)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("", None),
        ("null", None),
        ("[]", []),
        ('["QC.I.OOB.001"]', ["QC.I.OOB.001"]),
        ('["QC.I.OOB.001", "QC.I.OOB.002"]', ["QC.I.OOB.001", "QC.I.OOB.002"]),
        ('"QC.I.OOB.001"', ["QC.I.OOB.001"]),
        ("QC.I.OOB.001", ["QC.I.OOB.001"]),
        ("[QC.I.OOB.001]", ["[QC.I.OOB.001]"]),
        ("[1, null]", ["1", "null"]),
        ('[{"id": "QC.I.OOB.001"}]', ['{"id": "QC.I.OOB.001"}']),
        ('{"id": 1}', ['{"id": 1}']),
        ('["Zürich"]', ["Zürich"]),
    ],
)
def test_flags_are_read_whatever_their_shape(text: str, flags: list[str] | None) -> None:
    assert read_flags(text) == flags


@pytest.mark.parametrize("opening", ["[", '{"a": '])
def test_flags_nested_without_end_are_a_text(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    for depth in (101, 900, 1100):
        text = f"{opening * depth}1{closing * depth}"
        assert read_flags(text) == [text]
    assert read_flags("[" * 10_000) == ["[" * 10_000]
    assert read_flags(f"[{opening * 99}1{closing * 99}]") == [f"{opening * 99}1{closing * 99}"]


@pytest.mark.parametrize("text", [r'["\u0000"]', r'["\ud800"]', r'"\udfff"'])
def test_a_flag_that_no_database_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a text"):
        read_flags(text)
