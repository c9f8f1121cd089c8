"""The data of a world depends only on its seed, and contains every special case."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.sandbox import Measurement, Sandbox
from tap_clarity.sandbox.core.timestamps import parse, to_datetime

if TYPE_CHECKING:
    from tap_clarity.sandbox.testing.expected_data import ExpectedData

NOW = datetime(2026, 11, 20, 13, 7, tzinfo=UTC)
MONTH = NOW - timedelta(days=30)
STATUSES = {
    "sensor-ready",
    "calibrated-ready",
    "calibration-missing",
    "calibration-processing",
    "calibrated-reprocessing",
    "calibration-error",
    "calibration-mixed",
    "calibration-unknown",
}


@pytest.fixture(scope="module")
def data() -> ExpectedData:
    return Sandbox(datasources=8, now=NOW, frozen=True).expected


def test_the_same_seed_gives_the_same_data() -> None:
    one, same, other = (Sandbox(seed=seed, now=NOW).expected for seed in (3, 3, 4))
    found = [list(each.measurements("hour", "2026-11-19", NOW, NOW)) for each in (one, same, other)]
    assert found[0] == found[1]
    assert not {each.datasource_id for each in found[0]} & {each.datasource_id for each in found[2]}


@given(hours=st.integers(0, 700), length=st.integers(1, 30))
def test_parts_of_a_range_add_up_to_the_whole(hours: int, length: int) -> None:
    data = Sandbox(datasources=3, now=NOW).expected
    start = MONTH + timedelta(hours=hours)
    end = start + timedelta(hours=length)
    middle = start + (end - start) / 2
    whole = list(data.measurements("hour", start, end, NOW))
    halves = [
        *data.measurements("hour", start, middle, NOW),
        *data.measurements("hour", middle, end, NOW),
    ]
    assert whole == halves


@pytest.mark.parametrize("frequency", ["minute", "hour", "day"])
def test_measurements_are_ordered_and_keys_unique(data: ExpectedData, frequency: str) -> None:
    start = "2026-11-19" if frequency == "minute" else MONTH
    found = list(data.measurements(frequency, start, NOW, NOW))  # type: ignore[arg-type]
    keys = [(each.time, each.datasource_id, each.metric) for each in found]
    assert keys == sorted(set(keys))
    assert {each.output_frequency for each in found} == {frequency}


def test_history_does_not_depend_on_when_the_sandbox_starts() -> None:
    today, tomorrow = (
        Sandbox(datasources=8, now=start).expected for start in (NOW, NOW + timedelta(days=1))
    )
    found = [list(each.measurements("hour", MONTH, NOW, NOW)) for each in (today, tomorrow)]
    assert found[0] == found[1]


@pytest.mark.parametrize("day", range(0, 60, 7))
def test_thirty_days_before_any_start_contain_all_special_events(day: int) -> None:
    now = NOW + timedelta(days=day)
    data = Sandbox(datasources=8, now=now).expected
    start = now - timedelta(days=30)
    for each in data.world.datasources:
        times = [access.time_range.start for access in each.access[1:]]
        times += [access.time_range.end for access in each.access if access.time_range.end]
        times += [each.access[0].time_range.start] if each.role == "halfway" else []
        assert bool(times) == (each.role in {"swapped", "stopped", "lapsed", "halfway"})
        assert all(start < to_datetime(time) < now for time in times)


def test_three_datasources_include_a_swapped_and_a_halfway_one() -> None:
    data = Sandbox(datasources=3, now=NOW).expected
    assert {each.role for each in data.world.datasources} == {"swapped", "reference", "halfway"}


def test_a_swap_changes_the_source(data: ExpectedData) -> None:
    swapped = next(each for each in data.world.datasources if each.role == "swapped")
    found = data.measurements("hour", MONTH, NOW, NOW, [swapped.datasource_id])
    sources = [source for source, _ in groupby(each.source_id for each in found)]
    assert sources == [source.source_id for source in swapped.source_history]


def test_measurements_before_the_subscription_are_withheld(data: ExpectedData) -> None:
    halfway = next(each for each in data.world.datasources if each.role == "halfway")
    found = data.measurements("hour", "2024-01-01", NOW, NOW, [halfway.datasource_id])
    assert next(found).time >= to_datetime(halfway.subscriptions[0].attached.start)
    assert halfway.source_history[0].time_range.start < halfway.subscriptions[0].attached.start


def test_a_month_contains_every_status_and_special_case(data: ExpectedData) -> None:
    found = list(data.measurements("hour", MONTH, NOW, NOW))
    assert {each.status for each in found} == STATUSES
    assert any(each.raw is None and each.value is not None for each in found)
    assert any(each.metric.startswith("no2") and (each.raw or 0) < 0 for each in found)
    assert {each.qc_assessment for each in found} == {"valid", "invalid"}
    assert any(each.metric == "uvIndex1HourMean" for each in found)
    smoke = max(each.raw or 0 for each in found if each.metric == "pm2_5ConcMass1HourMean")
    assert smoke > 80


def test_some_hours_are_missing_and_some_have_only_rolling_means(data: ExpectedData) -> None:
    plain = next(each for each in data.world.datasources if each.role == "shared")
    found = list(data.measurements("hour", MONTH, NOW, NOW, [plain.datasource_id]))
    by_hour = Counter(each.time for each in found)
    means = {each.time for each in found if each.metric == "pm2_5ConcMass1HourMean"}
    assert len(by_hour) < 30 * 24 - 1
    assert set(by_hour) - means


def test_rows_arrive_late_and_values_are_recalculated() -> None:
    data = Sandbox(datasources=40, now=NOW).expected
    start, end = NOW - timedelta(hours=60), NOW - timedelta(hours=1)
    later = NOW + timedelta(days=12)
    then, after = (
        {_key(each): each for each in data.measurements("hour", start, end, as_of)}
        for as_of in (NOW, later)
    )
    late = after.keys() - then.keys()
    assert any(NOW - timedelta(hours=4) < key[1] for key in late)
    assert any(key[1] < NOW - timedelta(hours=20) for key in late)
    assert then.keys() <= after.keys()
    changed = [(then[key], after[key]) for key in then if then[key] != after[key]]
    assert any(old.value is not None and new.value is None for old, new in changed)
    assert any(old.value is None and new.value is not None for old, new in changed)
    assert any(new.value not in (None, old.value) for old, new in changed)
    assert all(old.raw == new.raw for old, new in changed)


def _key(each: Measurement) -> tuple[str, datetime, str]:
    return each.datasource_id, each.time, each.metric


def test_samples_are_as_frequent_as_those_of_real_nodes(data: ExpectedData) -> None:
    node = next(each for each in data.world.datasources if each.role == "swapped")
    found = data.measurements("minute", "2026-11-20", NOW, NOW, [node.datasource_id])
    times = sorted({each.time for each in found})
    steps = Counter(round((later - time).total_seconds()) for time, later in pairwise(times))
    assert 210 < steps.most_common(1)[0][0] < 236
    assert any(time.microsecond for time in times)


def test_names_contain_characters_that_need_quoting(data: ExpectedData) -> None:
    names = "".join(each.name for each in data.world.datasources)
    assert "," in names
    assert '"' in names
    assert not names.isascii()


def test_ids_are_unique_in_a_large_world() -> None:
    data = Sandbox(datasources=12_000, now=NOW).expected
    assert len({each.datasource_id for each in data.world.datasources}) == 12_000
    assert parse("2026-01-01") == parse("2026-01-01T00:00:00.000Z")
