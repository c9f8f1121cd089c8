"""Rows in any order: all are read, and duplicates and rows outside the window are counted."""

from __future__ import annotations

import logging
import random
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_clarity.measurements import row_anomalies
from tap_clarity.measurements.fast.record_writer import Envelope, record_lines
from tap_clarity.measurements.records import LongLayout
from tap_clarity.measurements.row_anomalies import RowCheck
from tests.support.measurement_files import (
    DAY_OF_FILE,
    DUPLICATES,
    OUTSIDE,
    PM,
    at,
    csv_of,
    expect,
    many_examples,
    read,
    table_in,
    table_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

REPORT = expect(window=DAY_OF_FILE)
RAW = f"datasourceId,startOfPeriod,{PM}.raw"
Key = tuple[str, int]


def file_of(*keys: Key) -> bytes:
    return csv_of([[*RAW.split(",")], *([id_, at(hour).isoformat(), 1] for id_, hour in keys)])


def duplicates(keys: Iterable[tuple[int, str]]) -> RowCheck:
    check = RowCheck(None)
    for key in keys:
        check.add(*key)
    return check


def repeated(keys: Sequence[object]) -> int:
    """Count the keys that an earlier row has."""
    return len(keys) - len(set(keys))


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ([("A", 1), ("A", 1)], 1),
        ([("A", 1), ("B", 1), ("A", 1)], 1),
        ([("A", 1), ("A", 2), ("B", 2), ("A", 2)], 1),
        ([("A", 2), ("A", 1), ("A", 1)], 1),
        ([("A", 1), ("A", 2), ("A", 1)], 1),
        ([("A", 1), ("A", 1), ("A", 1)], 2),
        ([("A", 2), ("A", 1), ("A", 3)], 0),
        ([("A", 1), ("A", 2), ("B", 1), ("B", 2)], 0),
    ],
)
def test_duplicates_are_read_and_counted(
    keys: Sequence[Key], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert [(m.id, m.time.hour) for m in read(file_of(*keys), REPORT)] == keys
    assert caplog.messages == ([DUPLICATES.format(count)] if count else [])


def test_the_same_time_in_two_zones_is_the_same_key(caplog: pytest.LogCaptureFixture) -> None:
    content = table_of(f"""
        {RAW}
        DAAAA0001,2026-03-10T05:00:00.000Z,1
        DAAAA0001,2026-03-10T06:00:00.000+01:00,2
    """)
    assert [m.readings[0].raw for m in read(content, REPORT)] == [1, 2]
    assert caplog.messages == [DUPLICATES.format(1)]


@settings(many_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 23)), max_size=30))
def test_rows_in_any_order_are_read_and_counted_on_both_paths(
    caplog: pytest.LogCaptureFixture, keys: list[Key]
) -> None:
    caplog.clear()
    assert [(m.id, m.time.hour) for m in read(file_of(*keys), REPORT)] == keys
    layout = LongLayout("exampleAB12", REPORT)
    table = table_in(file_of(*keys), REPORT)
    lines = record_lines(table, layout, Envelope())
    assert sum(each.records for each in lines) == len(keys)
    count = repeated(keys)
    assert caplog.messages == ([DUPLICATES.format(count)] * 2 if count else [])


@pytest.mark.parametrize(
    ("time", "count"),
    [
        ("2026-03-09T23:59:59.999Z", 1),
        ("2026-03-10T00:00:00.000Z", 0),
        ("2026-03-10T23:59:59.999Z", 0),
        ("2026-03-11T00:00:00.000Z", 1),
    ],
)
def test_rows_outside_the_window_are_read_and_counted(
    time: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    content = f"{RAW}\nD1,2026-03-10T05:00Z,1\nD1,{time},2\n".encode()
    assert [m.readings[0].raw for m in read(content, REPORT)] == [1, 2]
    assert caplog.messages == ([OUTSIDE.format(count)] if count else [])


def test_a_response_without_a_window_has_no_rows_outside(caplog: pytest.LogCaptureFixture) -> None:
    keys = [("A", 2), ("A", 1), ("A", 3)]
    assert [(m.id, m.time.hour) for m in read(file_of(*keys))] == keys
    assert caplog.messages == []


def test_a_rejected_file_is_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    content = f"{RAW}\nD1,2026-03-10T05:00Z,1\nD1,2026-03-10T05:00Z,x\n".encode()
    with pytest.raises(ValueError, match="row 3"):
        read(content, REPORT)
    assert caplog.messages == []


ORDERS = {
    "by time": lambda key: (key[0], key[1]),
    "newest first": lambda key: (-key[0], key[1]),
    "by datasource": lambda key: (key[1], key[0]),
    "by datasource, newest first": lambda key: (key[1], -key[0]),
}
KEYS = [(hour, f"D{number}") for hour in range(500) for number in range(40)]
FULL = 8 * len(KEYS) + 500 * 40
"""Bytes for all of the keys above."""


@pytest.mark.parametrize("room", [FULL, FULL // 4], ids=["all fit", "a quarter fits"])
@pytest.mark.parametrize("order", ORDERS)
def test_ordered_rows_are_never_taken_for_duplicates(
    order: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_anomalies, "MAX_REMEMBERED_BYTES", room)
    keys = sorted(KEYS, key=ORDERS[order])
    check = duplicates(keys)
    assert (check.duplicates, check.is_exact) == (0, room == FULL)
    check.add(*keys[-1])
    assert check.duplicates == 1


def test_shuffled_rows_are_counted_exactly_below_the_memory_limit() -> None:
    keys = [*KEYS, *random.Random(1).sample(KEYS, 777)]  # noqa: S311 - a fixed order
    random.Random(2).shuffle(keys)  # noqa: S311
    check = duplicates(keys)
    assert (check.duplicates, check.is_exact) == (777, True)


def test_rows_above_the_memory_limit_are_counted_as_at_least(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(row_anomalies, "MAX_TIMES_PER_ID", 5)
    keys = [("A", hour) for hour in (1, 2, 3, 4, 5, 6, 3, 4, 6)]
    assert [(m.id, m.time.hour) for m in read(file_of(*keys), REPORT)] == keys
    # That 3 and 4 are duplicates has been forgotten.
    assert caplog.messages == [DUPLICATES.format("at least 1")]


ROWS = 50_000


@pytest.mark.parametrize(
    "what",
    ["ids", "times", "times of one id, newest first", "times of one id, in disorder", "duplicates"],
)
def test_rows_without_end_fill_neither_memory_nor_time(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless: dict[str, Callable[[int], tuple[int, str]]] = {
        "ids": lambda number: (0, f"{number:0200}"),
        "times": lambda number: (number, f"D{number % 7}"),
        "times of one id, newest first": lambda number: (-number, "D"),
        "times of one id, in disorder": lambda number: (number * 7919 % 50_021, "D"),
        "duplicates": lambda number: (number % 5, "D"),
    }
    began = time.process_time()
    monkeypatch.setattr(row_anomalies, "MAX_REMEMBERED_BYTES", 1 << 18)
    tracemalloc.start()
    try:
        check = duplicates(endless[what](number) for number in range(ROWS))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert check.duplicates == (ROWS - 5 if what == "duplicates" else 0)
    assert peak < 2.5 * row_anomalies.MAX_REMEMBERED_BYTES
    assert time.process_time() - began < 10


def test_the_warnings_are_those_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    read(file_of(("A", 1), ("A", 1)), REPORT)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
