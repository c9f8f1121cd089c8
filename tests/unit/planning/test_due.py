"""Due windows, as examples; test_due_model.py compares them with a model."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tap_clarity.core.timestamps import DAY, Window, parse_timestamp
from tap_clarity.planning.due import Due, Progress, Scope, Slot, current_slot, find_due
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.retries import FailingWindow
from tests.support.planning.window_model import at, is_midnight, parse_window, parse_windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOW = at("2026-03-10T09:20:30")
YESTERDAY, TODAY = at("2026-03-09"), at("2026-03-10")
HOURLY = Scope(
    start=at("2026-01-01"), end=None, step=HOUR, window_days=31, lookback_days=3, interval=DAY
)
MOST = 10**12
"""More days than any calendar has."""
PAST = Slot(YESTERDAY, YESTERDAY)
PRESENT = Slot(TODAY, at("2026-03-10T02:00"))


def due(
    *covered: str, scope: Scope = HOURLY, slot: Slot | None = PAST
) -> tuple[list[Window], list[Window]]:
    """Give the recent windows, new or read again, and the backfill."""
    found = find_due(scope, Progress(covered=tuple(parse_windows(*covered)), slot=slot), NOW)
    assert found.retries == ()
    return sorted([*found.incremental, *found.lookback]), list(found.backfill)


def fails(window: str, retry_on: str) -> FailingWindow:
    return FailingWindow(parse_window(window), 2, at("2026-03-01").date(), at(retry_on).date())


@pytest.mark.parametrize(
    ("step", "end"),
    [(MINUTE, "2026-03-10T09:20"), (HOUR, "2026-03-10T09:00"), (DAY, "2026-03-10")],
)
def test_incremental_range_ends_at_the_start_of_the_current_minute_hour_or_day(
    step: timedelta, end: str
) -> None:
    scope = HOURLY._replace(step=step)
    recent, _ = due("2026-01-01 to 2026-03-09", scope=scope)
    assert recent == parse_windows(f"2026-03-06 to {end}")


@pytest.mark.parametrize(
    ("start", "recent", "backfill"),
    [
        ("2026-03-10", "2026-03-10 to 2026-03-10T09:00", []),
        ("2026-02-08", "2026-02-08 to 2026-03-10T09:00", []),
        (
            "2026-02-01",
            "2026-02-08 to 2026-03-10T09:00",
            ["2026-02-01 to 2026-02-08"],
        ),
        (
            "2025-12-31T05:30",
            "2026-02-08 to 2026-03-10T09:00",
            ["2025-12-31T05:30 to 2026-01-31", "2026-01-31 to 2026-02-08"],
        ),
    ],
)
def test_without_coverage_the_newest_window_is_incremental_and_the_rest_is_backfill(
    start: str, recent: str, backfill: Sequence[str]
) -> None:
    scope = HOURLY._replace(start=at(start))
    assert due(scope=scope, slot=None) == ([parse_window(recent)], parse_windows(*backfill))


@pytest.mark.parametrize(
    ("lookback_days", "recent"),
    [
        (0, "2026-03-09 to 2026-03-10T09:00"),
        (1, "2026-03-08 to 2026-03-10T09:00"),
        (3, "2026-03-06 to 2026-03-10T09:00"),
    ],
)
def test_new_slot_requests_new_data_and_the_lookback(lookback_days: int, recent: str) -> None:
    scope = HOURLY._replace(lookback_days=lookback_days)
    assert due("2026-01-01 to 2026-03-09T09:00", scope=scope) == ([parse_window(recent)], [])


def test_lookback_never_starts_before_the_start_date() -> None:
    scope = HOURLY._replace(start=at("2026-03-08T05:30"), lookback_days=MOST)
    recent, backfill = due("2026-03-08T05:30 to 2026-03-09T09:00", scope=scope)
    assert (recent, backfill) == (parse_windows("2026-03-08T05:30 to 2026-03-10T09:00"), [])


def test_pending_windows_are_not_requested_again() -> None:
    """A run was killed when three of its four windows had been requested."""
    scope = HOURLY._replace(window_days=1, lookback_days=1)
    pending = parse_windows(
        "2026-03-07 to 2026-03-08", "2026-03-08 to 2026-03-09", "2026-03-09 to 2026-03-10"
    )
    progress = Progress(
        covered=tuple(parse_windows("2026-01-01 to 2026-03-07T09:00")),
        pending=tuple(pending),
        slot=Slot(at("2026-03-07"), at("2026-03-07T09:00")),
    )
    found = find_due(scope, progress, NOW)
    assert found == Due(incremental=tuple(parse_windows("2026-03-10 to 2026-03-10T09:00")))


def test_incremental_range_longer_than_a_window_is_split_oldest_first() -> None:
    scope = HOURLY._replace(window_days=7)
    assert due("2026-01-01 to 2026-02-20T09:00", scope=scope)[0] == parse_windows(
        "2026-02-17 to 2026-02-20T09:00",
        "2026-02-20T09:00 to 2026-02-27",
        "2026-02-27 to 2026-03-06",
        "2026-03-06 to 2026-03-10T09:00",
    )


@pytest.mark.parametrize(
    ("bookmark", "recent"),
    [
        ("2026-03-06T09:00", ["2026-03-03 to 2026-03-10T09:00"]),
        (
            "2026-03-06T08:00",
            ["2026-03-03 to 2026-03-06T08:00", "2026-03-06T08:00 to 2026-03-10T09:00"],
        ),
    ],
)
def test_lookback_is_requested_separately_from_new_data_of_more_than_four_days(
    bookmark: str, recent: Sequence[str]
) -> None:
    """A range that is clipped at its end would otherwise never hold anything new."""
    assert due(f"2026-01-01 to {bookmark}")[0] == parse_windows(*recent)


def test_lookback_after_a_clipped_report_is_requested_once_with_the_new_data() -> None:
    """The lookback of the last slot lay in a pending report, which then ended before it."""
    slot = Slot(YESTERDAY, YESTERDAY, tuple(parse_windows("2026-03-07 to 2026-03-09")))
    recent, _ = due("2026-01-01 to 2026-03-05", slot=slot)
    assert recent == parse_windows("2026-03-02 to 2026-03-05", "2026-03-05 to 2026-03-10T09:00")


def test_no_new_data_is_requested_in_the_same_slot() -> None:
    assert due("2026-01-01 to 2026-03-10T02:00", slot=PRESENT) == ([], [])


def test_gaps_are_backfilled_also_in_the_same_slot() -> None:
    covered = "2026-01-01 to 2026-01-20", "2026-02-10 to 2026-03-10T02:00"
    assert due(*covered, slot=PRESENT) == ([], parse_windows("2026-01-20 to 2026-02-10"))


def test_earlier_start_requests_only_the_missing_range() -> None:
    scope = HOURLY._replace(start=at("2025-11-15T12:00"))
    assert due("2026-01-01T05:30 to 2026-03-10T02:00", scope=scope, slot=PRESENT) == (
        [],
        parse_windows("2025-11-15T12:00 to 2025-12-16", "2025-12-16 to 2026-01-01T05:30"),
    )


def test_later_start_requests_nothing_more() -> None:
    scope = HOURLY._replace(start=at("2026-02-20"))
    assert due("2026-01-01 to 2026-03-10T02:00", scope=scope, slot=PRESENT) == ([], [])


def test_with_coverage_only_before_the_start_the_newest_window_is_incremental() -> None:
    scope = HOURLY._replace(start=at("2026-01-20"), window_days=7)
    recent, backfill = due("2025-12-01 to 2026-01-02", scope=scope)
    assert recent == parse_windows("2026-03-04 to 2026-03-10T09:00")
    assert (backfill[0], backfill[-1]) == tuple(
        parse_windows("2026-01-20 to 2026-01-27", "2026-03-03 to 2026-03-04")
    )


@pytest.mark.parametrize(
    ("covered", "slot", "recent", "backfill"),
    [
        ([], None, ["2026-01-25 to 2026-02-25"], ["2026-01-01 to 2026-01-25"]),
        (["2026-01-25 to 2026-02-25"], PRESENT, [], ["2026-01-01 to 2026-01-25"]),
        (["2026-01-01 to 2026-02-25"], PRESENT, [], []),
        (["2026-01-01 to 2026-02-25"], PAST, [], []),
        (
            ["2026-01-01 to 2026-02-10"],
            PAST,
            ["2026-02-07 to 2026-02-10", "2026-02-10 to 2026-02-25"],
            [],
        ),
        # It has been moved back, before or into what is covered.
        (["2026-01-01 to 2026-03-10T02:00"], PAST, [], []),
        (
            ["2026-03-01 to 2026-03-10T02:00"],
            PAST,
            ["2026-01-25 to 2026-02-25"],
            ["2026-01-01 to 2026-01-25"],
        ),
    ],
)
def test_end_limits_all_windows(
    covered: Sequence[str],
    slot: Slot | None,
    recent: Sequence[str],
    backfill: Sequence[str],
) -> None:
    scope = HOURLY._replace(end=at("2026-02-25"))
    assert due(*covered, scope=scope, slot=slot) == (
        parse_windows(*recent),
        parse_windows(*backfill),
    )


@pytest.mark.parametrize(
    ("end", "recent"),
    [
        ("2026-03-07T09:20:31", ["2026-03-04 to 2026-03-07T09:20:31"]),
        ("2026-03-07T09:20:30", []),
        ("2026-03-10T08:00", ["2026-03-07 to 2026-03-10T08:00"]),
        ("2026-03-10T10:00", ["2026-03-07 to 2026-03-10T09:00"]),
    ],
)
def test_last_days_before_the_end_are_read_again_within_the_lookback(
    end: str, recent: Sequence[str]
) -> None:
    scope = HOURLY._replace(end=at(end))
    limit = min(end, "2026-03-10T09:00")
    assert due(f"2026-01-01 to {limit}", scope=scope) == (parse_windows(*recent), [])


@pytest.mark.parametrize("start", ["2026-03-10T09:00", "2026-03-11", "2030-01-01"])
def test_start_in_the_future_requests_nothing(start: str) -> None:
    assert due(scope=HOURLY._replace(start=at(start)), slot=None) == ([], [])


def test_end_before_the_start_requests_nothing() -> None:
    assert due(scope=HOURLY._replace(end=at("2025-01-01")), slot=None) == ([], [])


@pytest.mark.parametrize("interval", [HOUR, 6 * HOUR, DAY, 7 * DAY])
def test_slots_are_counted_from_midnight(interval: timedelta) -> None:
    slot = current_slot(HOURLY._replace(interval=interval), Progress(), NOW).start
    assert slot <= NOW < slot + interval
    assert is_midnight(slot) or (slot - slot.replace(hour=0)) % interval == timedelta(0)


@pytest.mark.parametrize("hours", range(1, 25))
def test_daily_run_has_a_new_slot_every_day(hours: int) -> None:
    scope = HOURLY._replace(interval=timedelta(hours=hours))
    slots = {current_slot(scope, Progress(), NOW + day * DAY).start for day in range(40)}
    assert len(slots) == 40


@pytest.mark.parametrize(
    ("slot", "is_present"),
    [
        (at("2026-03-10"), True),
        (at("2026-03-11"), True),  # the clock was put back over midnight
        (at("2026-03-12"), False),  # by so much that it was wrong before
        (at("2031-01-01"), False),
    ],
)
def test_clock_set_back_neither_repeats_requests_nor_stops_them(
    slot: datetime, *, is_present: bool
) -> None:
    covered = f"2026-01-01 to {slot:%Y-%m-%d}T09:00"
    recent, backfill = due(covered, slot=Slot(slot, slot + 9 * HOUR))
    assert recent == ([] if is_present else parse_windows("2026-03-07 to 2026-03-10T09:00"))
    assert backfill == []


@pytest.mark.parametrize("days", [1, MOST])
def test_durations_beyond_the_calendar_are_no_error(days: int) -> None:
    scope = HOURLY._replace(start=at("0001-01-01"), window_days=MOST, lookback_days=days)
    recent, _ = due("0001-01-01 to 0001-01-02", scope=scope)
    assert recent == parse_windows("0001-01-01 to 0001-01-02", "0001-01-02 to 2026-03-10T09:00")


@pytest.fixture(params=["UTC", "America/St_Johns", "Pacific/Kiritimati"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize("hour", ["00", "09", "23"])
def test_plan_does_not_depend_on_the_local_time_zone(hour: str) -> None:
    now = parse_timestamp(f"2026-03-10T{hour}:30")
    covered = tuple(parse_windows("2026-01-20 to 2026-03-09T09:00"))
    present = Slot(TODAY, covered[0].end)
    past = Progress(covered=covered, slot=PAST)
    assert current_slot(HOURLY, past, now).start == TODAY
    assert find_due(HOURLY, past._replace(slot=present), now).incremental == ()
    found = find_due(HOURLY, past, now)
    assert [*found.incremental] == parse_windows(f"2026-03-06 to 2026-03-10T{hour}:00")
    assert [*found.backfill] == parse_windows("2026-01-01 to 2026-01-20")


# A slot remembers what of its range is still to be requested.


def progress_of(*covered: str, slot: Slot | None = PAST) -> Progress:
    return Progress(covered=tuple(parse_windows(*covered)), slot=slot)


DAILY_WINDOWS = HOURLY._replace(window_days=1)


def test_new_slot_saves_its_end_and_the_lookback() -> None:
    slot = current_slot(HOURLY, progress_of("2026-01-01 to 2026-03-09T09:00"), NOW)
    expected = tuple(parse_windows("2026-03-06 to 2026-03-09T09:00"))
    assert slot == Slot(TODAY, at("2026-03-10T09:00"), expected)


def test_after_an_ambiguous_request_only_the_rest_is_due() -> None:
    """Four of five windows were accepted; the last request was not answered."""
    progress = progress_of("2026-01-01 to 2026-03-09T09:00")
    found = find_due(DAILY_WINDOWS, progress, NOW)
    assert [*found.lookback, *found.incremental] == parse_windows(
        *(f"2026-03-0{day} to 2026-03-0{day + 1}" for day in (6, 7, 8)),
        "2026-03-09 to 2026-03-10",
        "2026-03-10 to 2026-03-10T09:00",
    )
    slot = current_slot(DAILY_WINDOWS, progress, NOW)
    accepted = (*found.lookback, found.incremental[0])
    for window in accepted:
        slot = slot.without(window)
    rest = Due(incremental=found.incremental[1:])
    pending = progress._replace(slot=slot, pending=accepted)
    assert find_due(DAILY_WINDOWS, pending, NOW) == rest
    written = progress._replace(slot=slot, covered=(*progress.covered, *accepted))
    assert find_due(DAILY_WINDOWS, written, NOW + 5 * HOUR) == rest


def test_unread_lookback_stays_due_in_this_slot_and_the_next() -> None:
    left = tuple(parse_windows("2026-03-07 to 2026-03-08"))
    progress = progress_of(
        "2026-01-01 to 2026-03-10T09:00", slot=Slot(TODAY, at("2026-03-10T09:00"), left)
    )
    assert find_due(DAILY_WINDOWS, progress, NOW) == Due(lookback=left)
    short = DAILY_WINDOWS._replace(lookback_days=1)
    assert find_due(short, progress, NOW + DAY) == Due(
        incremental=tuple(
            parse_windows("2026-03-10 to 2026-03-11", "2026-03-11 to 2026-03-11T09:00"),
        ),
        lookback=(*left, *parse_windows("2026-03-09 to 2026-03-10")),
    )


def test_lookback_still_to_read_is_limited_to_the_scope() -> None:
    left = tuple(parse_windows("2026-02-07 to 2026-02-09"))
    covered = "2026-01-01 to 2026-03-10T09:00"
    progress = progress_of(covered, slot=Slot(TODAY, at("2026-03-10T09:00"), left))
    scope = HOURLY._replace(start=at("2026-02-08"))
    assert find_due(scope, progress, NOW).lookback == tuple(
        parse_windows("2026-02-08 to 2026-02-09")
    )


# Failing windows.


@pytest.mark.parametrize(
    ("retry_on", "retries"), [("2026-03-11", []), ("2026-03-10", ["2026-02-10 to 2026-02-12"])]
)
def test_failing_window_is_excluded_from_the_backfill_and_retried_separately(
    retry_on: str, retries: Sequence[str]
) -> None:
    progress = progress_of("2026-03-01 to 2026-03-10T02:00", slot=PRESENT)._replace(
        failing=(fails("2026-02-10 to 2026-02-12", retry_on),)
    )
    assert find_due(HOURLY._replace(start=at("2026-02-01")), progress, NOW) == Due(
        backfill=tuple(parse_windows("2026-02-01 to 2026-02-10", "2026-02-12 to 2026-03-01")),
        retries=tuple(parse_windows(*retries)),
    )


@pytest.mark.parametrize("retry_on", ["2026-03-10", "2026-03-11"])
def test_failing_window_is_excluded_from_incremental_windows(retry_on: str) -> None:
    failing = fails("2026-03-07 to 2026-03-09", retry_on)
    progress = progress_of("2026-01-01 to 2026-03-07")._replace(failing=(failing,))
    found = find_due(HOURLY, progress, NOW)
    assert found._replace(retries=()) == Due(
        incremental=tuple(parse_windows("2026-03-09 to 2026-03-10T09:00")),
        lookback=tuple(parse_windows("2026-03-06 to 2026-03-07")),
    )


def test_new_data_after_a_failing_first_window_is_due() -> None:
    failing = fails("2026-02-08 to 2026-03-10T07:00", "2026-03-17")
    progress = Progress(failing=(failing,), slot=Slot(TODAY, at("2026-03-10T07:00")))
    found = find_due(HOURLY, progress, NOW + DAY)
    assert found.incremental == tuple(parse_windows("2026-03-10T07:00 to 2026-03-11T09:00"))
    assert found.backfill == tuple(
        parse_windows("2026-01-01 to 2026-02-01", "2026-02-01 to 2026-02-08")
    )
    assert found.lookback == found.retries == ()


def test_retry_is_split_into_windows_and_not_sent_while_pending() -> None:
    failing = fails("2026-02-10 to 2026-02-12", "2026-03-10")
    progress = progress_of("2026-01-01 to 2026-03-10T02:00", slot=PRESENT)
    progress = progress._replace(failing=(failing,))
    days = tuple(parse_windows("2026-02-10 to 2026-02-11", "2026-02-11 to 2026-02-12"))
    assert find_due(DAILY_WINDOWS, progress, NOW) == Due(retries=days)
    assert find_due(DAILY_WINDOWS, progress._replace(pending=days[:1]), NOW) == Due(
        retries=days[1:]
    )


def test_failing_window_after_an_earlier_end_is_dropped() -> None:
    """It is never retried, and would end each run with a non-zero status."""
    failing = fails("2026-03-05 to 2026-03-06", "2026-03-06")
    scope = HOURLY._replace(end=at("2026-03-01"))
    progress = progress_of("2026-01-01 to 2026-03-05")._replace(failing=(failing,))
    assert find_due(scope, progress, NOW).retries == ()
    wanted = Window(scope.start, scope.limit(NOW))
    assert ReportLedger(failing=progress.failing).drop_outside([wanted]).failing == ()
