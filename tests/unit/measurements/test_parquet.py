"""The wide Parquet: its types are not documented, so that many have to do."""

from __future__ import annotations

import re
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tap_clarity.measurements.model import Reading, UnreadableError
from tests.support.measurement_files import (
    DAY_OF_FILE,
    DUPLICATES,
    PM,
    at,
    expect,
    only,
    parquet_of,
    read,
)

REPORT = expect(window=DAY_OF_FILE)
TIME = "2026-03-10T05:00:00.000Z"
AT_5 = 1773118800000
"""The same, in epoch milliseconds."""


def file_of(**columns: Any) -> bytes:  # noqa: ANN401
    """Make a file of one row; each column is a value, or an Arrow array of one."""
    row = {"datasourceId": "DAAAA0001", "startOfPeriod": TIME, f"{PM}.raw": 1.5} | {
        name.replace("__", "."): value for name, value in columns.items()
    }
    arrays = {
        name: value if isinstance(value, pa.Array) else pa.array([value])
        for name, value in row.items()
    }
    return parquet_of(pa.table(arrays))


def named(value: Any) -> str:  # noqa: ANN401
    return f"{value.type} of {value}" if isinstance(value, pa.Array) else repr(value)


@pytest.mark.parametrize(
    "time",
    [
        TIME,
        "2026-03-10T06:00:00+01:00",
        pa.array([datetime(2026, 3, 10, 5)], pa.timestamp("ms")),  # noqa: DTZ001
        pa.array([at(5)], pa.timestamp("us", tz="UTC")),
        pa.array([at(5)], pa.timestamp("ms", tz="America/St_Johns")),
        pa.array([at(5)], pa.timestamp("ns", tz="UTC")),
        pa.array([TIME.encode()], pa.binary()),
        pa.array([TIME]).dictionary_encode(),
        pa.array([TIME], pa.large_string()),
        AT_5,
        float(AT_5),
        pa.array([AT_5 * 10**6 + 1], pa.timestamp("ns", tz="UTC")),
        pa.array([AT_5 * 10**6 + 1], pa.timestamp("ns")),
        pa.array([AT_5 // 1000], pa.timestamp("s")),
    ],
    ids=named,
)
def test_times_of_any_type_are_read(time: Any) -> None:  # noqa: ANN401
    (found,) = read(file_of(startOfPeriod=time), REPORT)
    assert found.time == at(5)


def test_the_end_of_a_period_may_be_a_number_or_missing() -> None:
    for end, hour in ((AT_5 + 3600_000, 6), (float("nan"), 6), (None, 6), (AT_5 + 7200_000, 7)):
        (found,) = read(file_of(endOfPeriod=end), REPORT)
        assert found.period_end == at(hour)


def test_a_date_is_the_start_of_its_day() -> None:
    (found,) = read(file_of(startOfPeriod=date(2026, 3, 10)), expect("day", DAY_OF_FILE))
    assert found.time == at(0)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (13.9, 13.9),
        (3, 3),
        ("13.90", 13.9),
        (None, None),
        (Decimal("13.90"), 13.9),
        (Decimal(0), 0),
        (pa.array([2.5], pa.float32()), 2.5),
        (pa.array([2.1], pa.float32()), 2.1),
        (pa.array([-0.1], pa.float32()), -0.1),
        (pa.array([3], pa.float32()), 3),
        (pa.array([1e-7], pa.float32()), 1e-7),
        (pa.array([1e20], pa.float32()), 1e20),
        (pa.array([2.1], pa.float32()).dictionary_encode(), 2.1),
        (pa.array([2.5], pa.float16()), 2.5),
        (pa.array([float("nan")], pa.float32()), None),
        (float("nan"), None),
        (pa.array([7], pa.uint8()), 7),
        (pa.array([1e-7]), 1e-7),
        (pa.array([None]), None),
    ],
    ids=named,
)
def test_numbers_of_any_type_are_read(raw: Any, number: float | None) -> None:  # noqa: ANN401
    columns = {f"{PM}__raw": raw, f"{PM}__status": "sensor-ready"}
    assert only(read(file_of(**columns), REPORT)).raw == number


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["A", "B"], ["A", "B"]),
        (pa.array([[]], pa.list_(pa.string())), []),
        ('["A"]', ["A"]),
        ("A", ["A"]),
        ("[]", []),
        ("", None),
        (None, None),
        ([b"A"], ["b'A'"]),
    ],
    ids=named,
)
def test_flags_are_a_list_or_json(flags: Any, expected: list[str] | None) -> None:  # noqa: ANN401
    assert only(read(file_of(**{f"{PM}__qcFlags": flags}), REPORT)).qc_flags == expected


def test_ids_may_be_bytes_or_numbers() -> None:
    (found,) = read(file_of(datasourceId=b"DAAAA0001", sourceId=17), REPORT)
    assert (found.id, found.source_id) == ("DAAAA0001", "17")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (f"{PM}__raw", float("inf"), f"'{PM}': not a number"),
        (f"{PM}__raw", pa.array([float("inf")], pa.float32()), f"'{PM}': not a number"),
        (f"{PM}__raw", True, f"'{PM}': not a number"),
        (f"{PM}__raw", b"\xff", "'utf-8' codec"),
        ("datasourceId", None, "no datasource_id"),
        ("datasourceId", "D\0", "not a text"),
        ("startOfPeriod", None, "not an ISO 8601"),
        *(
            ("startOfPeriod", number, "a time that is a number, but not epoch milliseconds")
            for number in (5, AT_5 // 1000, AT_5 * 1000, -AT_5, 1388534399999, 4133980800000)
        ),
        ("startOfPeriod", True, "not an ISO 8601"),
        ("startOfPeriod", 0.5, "not an ISO 8601"),
        ("startOfPeriod", float("nan"), "not an ISO 8601"),
        ("startOfPeriod", pa.array([2**62], pa.timestamp("ms")), ""),
        ("startOfPeriod", pa.array([0], pa.timestamp("ms", tz="No/Where")), ""),
        ("outputFrequency", "day", "not of the frequency hour"),
    ],
    ids=named,
)
def test_a_wrong_row_is_refused_with_its_fault(
    column: str,
    value: Any,  # noqa: ANN401
    reason: str,
) -> None:
    with pytest.raises(UnreadableError, match=rf"^row 2: .*{re.escape(reason)}"):
        read(file_of(**{column: value}), REPORT)


def test_duplicate_rows_are_read_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    table = pa.table({"datasourceId": ["D1"] * 2, "startOfPeriod": [TIME] * 2, "a.raw": [1, 2]})
    assert [only([found]).raw for found in read(parquet_of(table), REPORT)] == [1, 2]
    assert caplog.messages == [DUPLICATES.format("1")]


def test_a_file_of_another_report_is_refused() -> None:
    with pytest.raises(UnreadableError, match="no column nodeid"):
        read(file_of(), expect(id_field="node_id", window=DAY_OF_FILE))


def test_rows_are_read_across_batches() -> None:
    ids = [f"D{number:04}" for number in range(2500)]
    table = pa.table(
        {"datasourceId": ids, "startOfPeriod": [TIME] * 2500, f"{PM}.raw": range(2500)}
    )
    found = read(parquet_of(table), REPORT)
    assert [(m.id, *m.readings) for m in found] == [
        (id_, Reading(PM, number, None, None, None, None)) for number, id_ in enumerate(ids)
    ]


def test_a_file_without_rows_is_empty() -> None:
    table = pa.table({"datasourceId": pa.array([], pa.string()), "time": pa.array([], pa.string())})
    assert read(parquet_of(table), REPORT) == []


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="cut or damaged"):
        read(content, REPORT)


def test_damaged_pages_are_refused() -> None:
    ids = [f"D{number:04}" for number in range(500)]
    content = bytearray(parquet_of(pa.table({"datasourceId": ids, "time": [TIME] * 500})))
    content[4:200] = bytes(196)
    with pytest.raises(UnreadableError, match="cut or damaged"):
        read(bytes(content), REPORT)


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnreadableError, match=r"install tap-clarity\[parquet\]"):
        read(b"PAR1", REPORT)
