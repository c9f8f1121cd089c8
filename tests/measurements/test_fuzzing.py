"""Whatever comes, it is read or refused: no other error, and never another truth."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tap_clarity.frequencies import FREQUENCIES
from tap_clarity.instants import Window
from tap_clarity.measurements.decode import read_measurements
from tap_clarity.measurements.model import Expected, Measurement, UnreadableError
from tap_clarity.measurements.records import LongLayout
from tests.measurements.files import DAY_OF_FILE, as_csv, as_json, at, tables

thoroughly = settings(deadline=None, max_examples=300, print_blob=True)
expectations = st.builds(
    Expected,
    st.sampled_from(["datasource_id", "node_id"]),
    st.sampled_from(list(FREQUENCIES.values())),
    st.none() | st.just(DAY_OF_FILE) | st.just(Window(at(5), at(6))),
)


def lines_or_refusal(content: bytes, expected: Expected) -> list[str] | None:
    """Read to records as they are written, or None if the content is refused."""
    try:
        measurements = list(read_measurements(io.BytesIO(content), expected))
    except UnreadableError as error:
        refusal = str(error)
    else:
        return lines_of(measurements, expected)
    assert "\n" not in refusal
    assert len(refusal) < 500
    return None


def lines_of(measurements: list[Measurement], expected: Expected) -> list[str]:
    for measurement in measurements:
        assert measurement.id
        assert expected.window is None or measurement.time in expected.window
    records = LongLayout("exampleAB12", expected).records(measurements)
    return [json.dumps(record, allow_nan=False, ensure_ascii=False) for record in records]


@thoroughly
@given(st.binary(max_size=200), expectations)
@example(b"\xef\xbb\xbf", Expected("datasource_id", FREQUENCIES["hour"]))
@example(b" " * 100 + b"{", Expected("datasource_id", FREQUENCIES["hour"]))
def test_random_bytes_are_refused(content: bytes, expected: Expected) -> None:
    assert lines_or_refusal(content, expected) is None


HEADERS = [
    "datasourceId,time,a.raw,a.status,a.qcFlags",
    "nodeId,startOfPeriod,endOfPeriod,a.value",
    f'datasourceId,time,"{"long" * 1000}\n name.raw","a\nb.value"',
]
PIECES = [
    *("DAAAA0001", "2026-03-10T05:00:00.000Z", "2026-03-10T05:00:00.000Z", "9999-12-31T23:59"),
    *("1", "-2.5", "NaN", "1e400", "", "[]", '"[""A""]"', "[[[[", r'"[""\ud800""]"', "null"),
    *(",", ",", ",", ",", "\n", "\n", "\r\n", '"', "\0", "\ufeff", "\ud7ff", "ü"),
]


@thoroughly
@given(
    st.sampled_from(HEADERS),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join),
    expectations,
)
def test_random_rows_are_read_or_refused(header: str, rows: str, expected: Expected) -> None:
    content = f"{header}\n{rows}".encode(errors="surrogatepass")
    for line in lines_or_refusal(content, expected) or ():
        line.encode()


def mutated(content: bytes, draw: st.DrawFn) -> bytes:
    """Cut, double, drop or replace a few bytes."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 20)))
        put = draw(
            st.sampled_from([b"", content[start:end] * 2])
            | st.binary(max_size=4)
            | st.sampled_from([piece.encode() for piece in PIECES])
        )
        content = content[:start] + put + content[end:]
    return content


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    measurements: list[Measurement] = draw(tables())
    content = as_csv(measurements) if draw(st.booleans()) else as_json(measurements)
    return mutated(content, draw)


@thoroughly
@given(mutants(), expectations)
def test_damaged_files_are_read_or_refused(content: bytes, expected: Expected) -> None:
    for line in lines_or_refusal(content, expected) or ():
        line.encode()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["DAAAA0001", "2026-03-10T05:00:00.000Z", "9999-12-31T23:59Z", "[" * 5000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)
FIELDS = (
    *("datasourceId", "time", "startOfPeriod", "endOfPeriod", "sourceId", "sourceType"),
    *("outputFrequency", "metric", "raw", "value", "status", "qcAssessment", "qcFlags", "other"),
)
KEY = {"datasourceId": "DAAAA0001", "time": "2026-03-10T05:00:00.000Z", "metric": "a"}
objects = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5)


@thoroughly
@given(
    st.lists(objects.map(lambda change: KEY | change) | objects, max_size=3),
    st.none() | st.lists(st.dictionaries(st.sampled_from(["datasourceId", "lat"]), json_values)),
    expectations,
)
def test_random_objects_are_read_or_refused(
    data: list[dict[str, Any]], locations: list[dict[str, Any]] | None, expected: Expected
) -> None:
    content = json.dumps({"data": data, "locations": locations}).encode()
    for line in lines_or_refusal(content, expected) or ():
        line.encode()
