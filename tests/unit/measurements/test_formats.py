"""The same data as CSV, JSON and Parquet is the same; long and wide records say the same."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.core.timestamps import format_timestamp
from tap_clarity.measurements.model import Measurement, UnreadableError
from tap_clarity.measurements.records import OTHER_METRICS, LongLayout, WideLayout
from tap_clarity.measurements.schema import wide_columns
from tests.support.measurement_files import (
    DAY_OF_FILE,
    as_csv,
    as_json,
    as_parquet,
    expect,
    many_examples,
    read,
    tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Record = dict[str, Any]
Fact = tuple[str, str, str, str, Any]

ATTRIBUTES = ("raw", "value", "status", "qc_assessment", "qc_flags")
COLUMNS = wide_columns("hour")


@many_examples
@given(tables(), st.sampled_from(["\n", "\r\n"]), st.integers(0, 1), st.booleans())
def test_csv_is_read_as_it_was_meant(
    measurements: list[Measurement],
    line_end: str,
    quoting: int,
    with_bom: bool,  # noqa: FBT001
) -> None:
    content = as_csv(measurements, lineterminator=line_end, quoting=quoting)
    content = b"\xef\xbb\xbf" * with_bom + content
    assert read(content) == measurements
    assert read(content, expect(window=DAY_OF_FILE)) == measurements


@many_examples
@given(tables())
def test_json_and_parquet_are_read_as_they_were_meant(measurements: list[Measurement]) -> None:
    assert read(as_json(measurements)) == measurements
    assert read(as_parquet(measurements), expect(window=DAY_OF_FILE)) == measurements


@many_examples
@given(tables())
def test_long_and_wide_records_hold_the_same_facts(measurements: list[Measurement]) -> None:
    long = list(LongLayout("exampleAB12", expect()).records(measurements))
    wide = list(WideLayout("exampleAB12", expect(), COLUMNS).records(measurements))
    assert len(wide) == len(measurements)
    assert [shared_by(record) for record in wide] == unique(shared_by(record) for record in long)
    assert facts_of_wide(wide) == facts_of_long(long) == facts_of(measurements)


def shared_by(record: Record) -> Record:
    names = "org datasource_id source_id source_type output_frequency time period_end"
    return {name: record[name] for name in [*names.split(), "latitude", "longitude"]}


def unique(records: Iterable[Record]) -> list[Record]:
    result: list[Record] = []
    for record in records:
        if record not in result:
            result.append(record)
    return result


def facts_of(measurements: list[Measurement]) -> list[Fact]:
    return [
        (m.id, format_timestamp(m.time), reading[0], name, value)
        for m in measurements
        for reading in m.readings
        for name, value in zip(ATTRIBUTES, reading[1:], strict=True)
    ]


def facts_of_long(records: list[Record]) -> list[Fact]:
    return [
        (record["datasource_id"], record["time"], record["metric"], name, record[name])
        for record in records
        for name in ATTRIBUTES
    ]


def facts_of_wide(records: list[Record]) -> list[Fact]:
    return [
        (record["datasource_id"], record["time"], metric, name, attributes[name])
        for record in records
        for metric, attributes in metrics_of_wide(record).items()
        for name in ATTRIBUTES
    ]


def metrics_of_wide(record: Record) -> dict[str, Record]:
    """Put the metrics of a wide record together again from its columns."""
    known = {
        metric: {name: record[f"{column}_{name}"] for name in ATTRIBUTES}
        for metric, column in COLUMNS.items()
        if f"{column}_raw" in record
    }
    # In the order of the files: PM2.5 before NO2, the unknown metric last.
    return dict(sorted(known.items(), reverse=True)) | (record[OTHER_METRICS] or {})


@many_examples
@given(tables(), st.data())
def test_a_parquet_file_cut_anywhere_is_refused(
    measurements: list[Measurement], data: st.DataObject
) -> None:
    content = as_parquet(measurements)
    cut = data.draw(st.integers(0, len(content) - 1))
    try:
        read(content[:cut])
    except UnreadableError:
        return
    raise AssertionError(io.BytesIO(content[:cut]))
