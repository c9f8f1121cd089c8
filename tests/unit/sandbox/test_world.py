"""The world is a pure function of its key, and shows every special case."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_clarity.sandbox import Measurement, Sandbox, World
from tap_clarity.sandbox.core.timestamps import parse, to_datetime

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
def world() -> World:
    return Sandbox(datasources=8, now=NOW, frozen=True).world


def test_same_seed_same_world_and_another_seed_another() -> None:
    one, same, other = (Sandbox(seed=seed, now=NOW).world for seed in (3, 3, 4))
    told = [list(each.truth("hour", "2026-11-19", NOW, NOW)) for each in (one, same, other)]
    assert told[0] == told[1]
    assert not {each.datasource_id for each in told[0]} & {each.datasource_id for each in told[2]}


@given(hours=st.integers(0, 700), length=st.integers(1, 30))
def test_a_part_of_the_range_tells_the_same_as_the_whole(hours: int, length: int) -> None:
    world = Sandbox(datasources=3, now=NOW).world
    start = MONTH + timedelta(hours=hours)
    end = start + timedelta(hours=length)
    middle = start + (end - start) / 2
    whole = list(world.truth("hour", start, end, NOW))
    halves = [*world.truth("hour", start, middle, NOW), *world.truth("hour", middle, end, NOW)]
    assert whole == halves


@pytest.mark.parametrize("frequency", ["minute", "hour", "day"])
def test_truth_is_ordered_and_no_key_comes_twice(world: World, frequency: str) -> None:
    start = "2026-11-19" if frequency == "minute" else MONTH
    told = list(world.truth(frequency, start, NOW, NOW))  # type: ignore[arg-type]
    keys = [(each.time, each.datasource_id, each.metric) for each in told]
    assert keys == sorted(set(keys))
    assert {each.output_frequency for each in told} == {frequency}


def test_history_does_not_depend_on_when_the_sandbox_starts() -> None:
    today, tomorrow = (
        Sandbox(datasources=8, now=start).world for start in (NOW, NOW + timedelta(days=1))
    )
    told = [list(each.truth("hour", MONTH, NOW, NOW)) for each in (today, tomorrow)]
    assert told[0] == told[1]


@pytest.mark.parametrize("day", range(0, 60, 7))
def test_thirty_days_before_any_start_show_all_special_days(day: int) -> None:
    now = NOW + timedelta(days=day)
    world = Sandbox(datasources=8, now=now).world
    start = now - timedelta(days=30)
    for each in world.datasources:
        times = [access.span.start for access in each.access[1:]]
        times += [access.span.end for access in each.access if access.span.end]
        times += [each.access[0].span.start] if each.role == "halfway" else []
        assert bool(times) == (each.role in {"swapped", "stopped", "lapsed", "halfway"})
        assert all(start < to_datetime(time) < now for time in times)


def test_three_datasources_already_swap_and_begin_half_way() -> None:
    world = Sandbox(datasources=3, now=NOW).world
    assert {each.role for each in world.datasources} == {"swapped", "reference", "halfway"}


def test_a_swap_changes_the_source_and_leaves_a_hole(world: World) -> None:
    swapped = next(each for each in world.datasources if each.role == "swapped")
    told = world.truth("hour", MONTH, NOW, NOW, [swapped.datasource_id])
    sources = [source for source, _ in groupby(each.source_id for each in told)]
    assert sources == [stay.source_id for stay in swapped.stays]


def test_nothing_is_told_from_before_the_subscription(world: World) -> None:
    halfway = next(each for each in world.datasources if each.role == "halfway")
    told = world.truth("hour", "2024-01-01", NOW, NOW, [halfway.datasource_id])
    assert next(told).time >= to_datetime(halfway.subscriptions[0].attached.start)
    assert halfway.stays[0].span.start < halfway.subscriptions[0].attached.start


def test_a_month_shows_every_status_and_oddity(world: World) -> None:
    told = list(world.truth("hour", MONTH, NOW, NOW))
    assert {each.status for each in told} == STATUSES
    assert any(each.raw is None and each.value is not None for each in told)
    assert any(each.metric.startswith("no2") and (each.raw or 0) < 0 for each in told)
    assert {each.qc_assessment for each in told} == {"valid", "invalid"}
    assert any(each.metric == "uvIndex1HourMean" for each in told)
    smoke = max(each.raw or 0 for each in told if each.metric == "pm2_5ConcMass1HourMean")
    assert smoke > 80


def test_some_hours_are_missing_and_some_keep_only_their_rolling_means(world: World) -> None:
    plain = next(each for each in world.datasources if each.role == "shared")
    told = list(world.truth("hour", MONTH, NOW, NOW, [plain.datasource_id]))
    by_hour = Counter(each.time for each in told)
    means = {each.time for each in told if each.metric == "pm2_5ConcMass1HourMean"}
    assert len(by_hour) < 30 * 24 - 1
    assert set(by_hour) - means


def test_points_arrive_late_and_are_worked_over_later() -> None:
    world = Sandbox(datasources=40, now=NOW).world
    start, end = NOW - timedelta(hours=60), NOW - timedelta(hours=1)
    later = NOW + timedelta(days=12)
    then, after = (
        {_key(each): each for each in world.truth("hour", start, end, as_of)}
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


def test_minutes_come_about_as_often_as_real_nodes_report(world: World) -> None:
    node = next(each for each in world.datasources if each.role == "swapped")
    told = world.truth("minute", "2026-11-20", NOW, NOW, [node.datasource_id])
    times = sorted({each.time for each in told})
    steps = Counter(round((later - time).total_seconds()) for time, later in pairwise(times))
    assert 210 < steps.most_common(1)[0][0] < 236
    assert any(time.microsecond for time in times)


def test_names_hold_what_breaks_careless_readers(world: World) -> None:
    names = "".join(each.name for each in world.datasources)
    assert "," in names
    assert '"' in names
    assert not names.isascii()


def test_ids_are_unique_in_a_large_world() -> None:
    world = Sandbox(datasources=12_000, now=NOW).world
    assert len({each.datasource_id for each in world.datasources}) == 12_000
    assert parse("2026-01-01") == parse("2026-01-01T00:00:00.000Z")
