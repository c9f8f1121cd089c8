"""Whatever comes, it is read or refused: no other error, and never another truth."""

from __future__ import annotations

import csv
import io
import json
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import example
from hypothesis import strategies as st
from pyarrow import parquet

from tap_clarity.core.frequencies import FREQUENCIES
from tap_clarity.core.timestamps import Window
from tap_clarity.measurements.fast.record_writer import Envelope, record_lines
from tap_clarity.measurements.format_detection import read_measurements
from tap_clarity.measurements.model import Expected, Measurement, UnreadableError
from tap_clarity.measurements.records import LongLayout
from tests.support.fuzzing import fuzz, mutants
from tests.support.measurement_files import (
    DAY_OF_FILE,
    METRICS,
    as_csv,
    as_json,
    at,
    table_in,
    tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    records = LongLayout("exampleAB12", expected).records(measurements)
    return [json.dumps(record, allow_nan=False, ensure_ascii=False) for record in records]


@example(b"\xef\xbb\xbf", Expected("datasource_id", FREQUENCIES["hour"]))
@example(b" " * 100 + b"{", Expected("datasource_id", FREQUENCIES["hour"]))
@fuzz(st.binary(max_size=200), expectations)
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


@fuzz(
    st.sampled_from(HEADERS),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join),
    expectations,
)
def test_random_rows_are_read_or_refused(header: str, rows: str, expected: Expected) -> None:
    content = f"{header}\n{rows}".encode(errors="surrogatepass")
    for line in lines_or_refusal(content, expected) or ():
        line.encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    measurements: list[Measurement] = draw(tables())
    content = as_csv(measurements) if draw(st.booleans()) else as_json(measurements)
    return draw(mutants(content, tuple(piece.encode() for piece in PIECES)))


@fuzz(damaged(), expectations)
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


@fuzz(
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


@st.composite
def damaged_rows(draw: st.DrawFn) -> bytes:
    header, _, rows = as_csv(draw(tables())).partition(b"\n")
    return header + b"\n" + draw(mutants(rows, tuple(piece.encode() for piece in PIECES)))


@fuzz(damaged_rows(), st.none() | st.just(DAY_OF_FILE))
def test_what_is_made_of_damaged_rows_is_what_stands_there(
    content: bytes, window: Window | None
) -> None:
    expected = Expected("datasource_id", FREQUENCIES["hour"], window)
    layout = LongLayout("exampleAB12", expected)
    try:
        lines = [*record_lines(table_in(content, expected), layout, Envelope())]
    except UnreadableError:
        return
    records = [json.loads(line) for text, _ in lines for line in text.splitlines()]
    assert [fact_of(record) for record in records] == [*read_simply(content)]


Fact = tuple[str, datetime, str, float | None, float | None, str | None]


def fact_of(record: dict[str, Any]) -> Fact:
    time = datetime.fromisoformat(record["time"])
    numbers = record["raw"], record["value"]
    return record["datasource_id"], time, record["metric"], *numbers, record["status"]


def read_simply(content: bytes) -> Iterator[Fact]:
    """Read a file in the simplest way, without validation."""
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    for row in filter(None, rows):
        cells = dict(zip(header, row, strict=True))
        time = datetime.fromisoformat(cells["startOfPeriod"])
        time = time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=time.tzinfo or UTC)
        for metric in METRICS:
            raw, value, status = (cells[f"{metric}.{name}"] for name in ("raw", "value", "status"))
            if raw or value or status:
                yield (
                    cells["datasourceId"],
                    time,
                    metric,
                    number(raw),
                    number(value),
                    status or None,
                )


def number(text: str) -> float | None:
    return float(text) if text else None


TELLING = 1234.5678


def test_a_changed_number_of_a_parquet_file_is_found_where_its_writer_summed_it_up() -> None:
    rows = {"datasourceId": ["D"], "startOfPeriod": ["2026-03-10T05:00Z"], "a.raw": [TELLING]}
    file = io.BytesIO()
    table = pa.table(rows)
    parquet.write_table(
        table, file, write_page_checksum=True, compression="none", use_dictionary=False
    )
    content = file.getvalue()
    expected = Expected("datasource_id", FREQUENCIES["hour"])
    assert lines_or_refusal(content, expected)
    packed = struct.pack("<d", TELLING)
    changed = content.replace(packed, packed[::-1])
    assert changed != content
    assert lines_or_refusal(changed, expected) is None
