"""Undocumented behavior of the recent cache: no measurement is missing afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api.recent import RecentMeasurements
from tap_clarity.sandbox.core.timestamps import iso
from tests.support.constants import NOW
from tests.support.recovery.harness import (
    CONTINUATION,
    QUERY,
    REPORT,
    STREAM,
    RecoveryScenario,
    log_lines,
    tap_log_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_clarity.sandbox.world.rows import Row

HOUR = timedelta(hours=1)
DAILY_QUERY_MESSAGE = "recent_measurements: the daily query of the recent cache brought at least"


def patched_cache(
    replacement: Callable[[Callable[..., Iterator[Row]], Any, int, int | None], Iterator[Row]],
) -> Any:  # noqa: ANN401
    """Change what the emulator's cache answers."""
    original_method = RecentMeasurements._arrived  # noqa: SLF001

    def replaced(
        self: RecentMeasurements,
        query: Any,  # noqa: ANN401
        start: int,
        *,
        after: int | None,
    ) -> Iterator[Row]:
        def original(start: int) -> Iterator[Row]:
            return original_method(self, query, start, after=after)

        return replacement(original, query, start, after)

    return patch.object(RecentMeasurements, "_arrived", replaced)


def only_cached(
    original: Callable[..., Iterator[Row]],
    query: Any,  # noqa: ANN401
    start: int,
    after: int | None,  # noqa: ARG001
) -> Iterator[Row]:
    """Answer from the cache alone, continuations as well."""
    return original(max(start, query.cache_start))


@pytest.mark.parametrize(("hours", "paths"), [(20, [CONTINUATION]), (23, [QUERY, REPORT])])
def test_measurements_evicted_from_the_cache_before_an_old_token_is_used_come_by_a_report(
    hours: int, paths: list[str]
) -> None:
    with (
        Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox,
        patched_cache(only_cached),
    ):
        scenario = RecoveryScenario(sandbox, "minute")
        scenario.run().check()
        scenario.run(hours * HOUR).check()
        assert [path for path in scenario.requested_paths if path != QUERY] == [
            path for path in paths if path != QUERY
        ]
        scenario.check()


def test_old_token_that_seems_young_due_to_clock_skew_loses_no_data() -> None:
    with (
        Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox,
        patched_cache(only_cached),
    ):
        scenario = RecoveryScenario(sandbox, "minute")
        scenario.run().check()
        scenario.run(23 * HOUR, clock_error=-4 * HOUR).check()
        assert scenario.requested_paths == [CONTINUATION, QUERY, REPORT]
        scenario.check()


def test_late_measurements_missing_from_continuations_come_by_the_daily_query() -> None:
    withheld: set[tuple[str, str]] = set()

    def without_late_rows(
        original: Callable[..., Iterator[Row]],
        query: Any,  # noqa: ANN401, ARG001
        start: int,
        after: int | None,
    ) -> Iterator[Row]:
        for row in original(start):
            assert row.period_end
            if after is None or row.arrival - row.period_end < 10 * 60_000:
                yield row
            else:
                withheld.add((row.datasource.datasource_id, iso(row.time)))

    with (
        Sandbox(seed=1, datasources=25, now=NOW, frozen=True) as sandbox,
        patched_cache(without_late_rows),
    ):
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        for _ in range(14):
            run = scenario.run(HOUR).check()
            assert scenario.requested_paths == [CONTINUATION]
            assert DAILY_QUERY_MESSAGE not in run.errors
        run = scenario.run(HOUR).check()  # at 00:20
        assert scenario.requested_paths == [CONTINUATION, QUERY]
        late_count = sum((key[1], key[4]) in withheld for key in scenario.target.table)
        assert late_count > len(withheld) > 1
        assert (
            f"{DAILY_QUERY_MESSAGE} {late_count} records that no continuation had brought"
            in tap_log_lines(run)
        )
        scenario.check()


def test_daily_query_is_saved_to_state_with_its_records(scenario: RecoveryScenario) -> None:
    scenario.run(15 * HOUR).check()
    assert scenario.requested_paths == [CONTINUATION, QUERY]
    assert scenario.target.bookmark["cache_queried_at"] == "2026-03-11T00:20Z"
    # What is safe then ends four hours and a quarter before.
    expected_count = sum(key[4] >= "2026-03-10T20:00:00.000Z" for key in scenario.target.table)
    assert scenario.target.bookmark["records_since_query"] == expected_count


def test_failed_daily_query_keeps_the_records_of_the_continuation(
    scenario: RecoveryScenario,
) -> None:
    before = scenario.target.bookmark
    scenario.sandbox.faults.inject("status", path=QUERY, status=403, times=None)
    run = scenario.run(15 * HOUR)
    assert run.status == 1
    assert run.records(STREAM)
    after = scenario.target.bookmark
    assert after["covered_until"] == "2026-03-11T00:20Z"
    assert after["cache_queried_at"] == before["cache_queried_at"]
    scenario.sandbox.faults.clear()
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION, QUERY]
    scenario.check()


# A continuation without news

EMPTY_RESPONSES = [
    (204, ""),
    (200, ""),
    (200, "\n"),
    (200, "[]"),
    (200, "{}"),
    (200, '{"data": null}'),
]


@pytest.mark.parametrize(("status", "body"), EMPTY_RESPONSES)
def test_empty_response_without_a_token_changes_nothing(
    scenario: RecoveryScenario, status: int, body: str
) -> None:
    before = dict(scenario.target.bookmark)
    scenario.sandbox.faults.inject("status", path=CONTINUATION, status=status, body=body)
    run = scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]
    assert run.records(STREAM) == []
    assert tap_log_lines(run) == ["recent_measurements: no news and no new continuation token"]
    assert scenario.target.bookmark == before
    # The token goes on from where it was issued, and what was withheld comes.
    scenario.run(HOUR).check()
    assert scenario.requested_paths == [CONTINUATION]
    scenario.check()


@pytest.mark.parametrize(("status", "body"), EMPTY_RESPONSES)
def test_empty_response_with_a_token_continues_from_that_token(
    scenario: RecoveryScenario, status: int, body: str
) -> None:
    headers = {"x-clarity-continuation-token": "fresh"}
    scenario.sandbox.faults.inject(
        "status", path=CONTINUATION, status=status, body=body, headers=headers
    )
    run = scenario.run(HOUR).check()
    assert (run.records(STREAM), scenario.requested_paths) == ([], [CONTINUATION])
    assert scenario.target.bookmark["continuation_token"] == "fresh"  # noqa: S105
    assert scenario.target.bookmark["covered_until"] == "2026-03-10T10:20Z"


@pytest.mark.parametrize(("status", "body"), EMPTY_RESPONSES)
def test_blank_response_to_a_query_is_an_error(
    scenario: RecoveryScenario, status: int, body: str
) -> None:
    scenario.target.bookmark["continuation_token"] = None
    before = dict(scenario.target.bookmark)
    scenario.sandbox.faults.inject("status", path=QUERY, status=status, body=body, times=None)
    run = scenario.run(HOUR)
    assert (run.status, len(run.error_lines)) == (1, 1)
    assert scenario.target.bookmark == before


# A start that is rejected


def test_first_run_with_rejected_start_queries_without_start() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        sandbox.faults.inject("status", path=QUERY, status=400, body='{"message": "too old"}')
        scenario = RecoveryScenario(sandbox)
        run = scenario.run().check()
        assert scenario.requested_paths == [QUERY, QUERY]
        with_start, without = scenario.request_bodies
        assert with_start == without | {"startTime": "2026-03-08T09:35:00.000Z"}
        assert scenario.gaps == []
        (line,) = log_lines(run, "WARNING")
        assert line.startswith("recent_measurements: startTime 2026-03-08 09:35 rejected: POST ")
        assert line.endswith("'too old'); queried without it")
        first, last = (e(record["time"] for record in run.records(STREAM)) for e in (min, max))
        assert (first, last) == ("2026-03-09T10:00:00.000Z", "2026-03-10T08:00:00.000Z")


def test_later_run_with_rejected_start_fills_the_uncertain_range_by_reports(
    scenario: RecoveryScenario,
) -> None:
    scenario.target.bookmark["continuation_token"] = None
    scenario.sandbox.faults.inject("status", path=QUERY, status=400)
    scenario.run(40 * HOUR).check()
    assert scenario.requested_paths == [QUERY, QUERY, REPORT]
    *_, report = scenario.request_bodies
    assert (report["startTime"], report["endTime"]) == (
        "2026-03-10T05:00:00.000Z",
        "2026-03-12T01:00:00.000Z",
    )
    assert scenario.gaps == []
    scenario.check()


def test_daily_query_with_rejected_start_needs_no_report(scenario: RecoveryScenario) -> None:
    scenario.sandbox.faults.inject("status", path=QUERY, status=400)
    scenario.run(15 * HOUR).check()
    assert scenario.requested_paths == [CONTINUATION, QUERY, QUERY]
    assert scenario.gaps == []
    scenario.check()


def test_query_rejected_with_and_without_start_keeps_the_state(scenario: RecoveryScenario) -> None:
    scenario.target.bookmark["continuation_token"] = None
    before = dict(scenario.target.bookmark)
    scenario.sandbox.faults.inject("status", path=QUERY, status=400, times=None)
    run = scenario.run(HOUR)
    assert run.status == 1
    assert len(run.error_lines) == 1
    assert scenario.requested_paths == [QUERY, QUERY]
    assert scenario.target.bookmark == before
