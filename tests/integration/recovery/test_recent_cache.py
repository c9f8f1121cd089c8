"""What the recent cache may do that no document says: each way, nothing is missing afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.api.recent import RecentMeasurements
from tap_clarity.sandbox.core.timestamps import iso
from tap_clarity.sandbox.world.rows import CACHE_DEPTHS
from tests.support.constants import NOW
from tests.support.recovery_harness import CONTINUATION, QUERY, REPORT, STREAM, Story, lines, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_clarity.sandbox.world.rows import Row

HOUR = timedelta(hours=1)
DAILY = "recent_measurements: the daily query of the recent cache brought at least"


def arrived(
    change: Callable[[Callable[..., Iterator[Row]], Any, int, int | None], Iterator[Row]],
) -> Any:  # noqa: ANN401
    """Change what the emulator's cache answers."""
    usual = RecentMeasurements._arrived  # noqa: SLF001

    def changed(
        self: RecentMeasurements,
        query: Any,  # noqa: ANN401
        start: int,
        *,
        after: int | None,
    ) -> Iterator[Row]:
        def plain(start: int) -> Iterator[Row]:
            return usual(self, query, start, after=after)

        return change(plain, query, start, after)

    return patch.object(RecentMeasurements, "_arrived", changed)


def held(
    plain: Callable[..., Iterator[Row]],
    call: Any,  # noqa: ANN401
    start: int,
    after: int | None,  # noqa: ARG001
) -> Iterator[Row]:
    """Answer from the cache alone, continuations as well."""
    return plain(max(start, call.now - CACHE_DEPTHS[call.query.frequency]))


@pytest.mark.parametrize(("hours", "asked"), [(20, [CONTINUATION]), (23, [QUERY, REPORT])])
def test_measurements_that_left_the_cache_under_an_old_token_come_by_a_report(
    hours: int, asked: list[str]
) -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox, arrived(held):
        story = Story(sandbox, "minute")
        story.run().check()
        story.run(hours * HOUR).check()
        assert [path for path in story.asked if path != QUERY] == [
            path for path in asked if path != QUERY
        ]
        story.check()


def test_an_old_token_that_a_wrong_clock_takes_for_young_loses_nothing() -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True) as sandbox, arrived(held):
        story = Story(sandbox, "minute")
        story.run().check()
        story.run(23 * HOUR, clock_error=-4 * HOUR).check()
        assert story.asked == [CONTINUATION, QUERY, REPORT]
        story.check()


def test_late_measurements_that_no_continuation_brings_come_by_the_daily_query() -> None:
    withheld: set[tuple[str, str]] = set()

    def punctual(
        plain: Callable[..., Iterator[Row]],
        call: Any,  # noqa: ANN401, ARG001
        start: int,
        after: int | None,
    ) -> Iterator[Row]:
        for row in plain(start):
            assert row.period_end
            if after is None or row.arrival - row.period_end < 10 * 60_000:
                yield row
            else:
                withheld.add((row.datasource.datasource_id, iso(row.time)))

    with Sandbox(seed=1, datasources=25, now=NOW, frozen=True) as sandbox, arrived(punctual):
        story = Story(sandbox)
        story.run().check()
        for _ in range(14):
            run = story.run(HOUR).check()
            assert story.asked == [CONTINUATION]
            assert DAILY not in run.errors
        run = story.run(HOUR).check()  # at 00:20
        assert story.asked == [CONTINUATION, QUERY]
        late = sum((key[1], key[4]) in withheld for key in story.target.table)
        assert late > len(withheld) > 1
        assert f"{DAILY} {late} records that no continuation had brought" in said(run)
        story.check()


def test_the_daily_query_is_noted_with_its_records(story: Story) -> None:
    story.run(15 * HOUR).check()
    assert story.asked == [CONTINUATION, QUERY]
    assert story.target.stand["cache_queried_at"] == "2026-03-11T00:20Z"
    # What is safe then ends four hours and a quarter before.
    counted = sum(key[4] >= "2026-03-10T20:00:00.000Z" for key in story.target.table)
    assert story.target.stand["records_since_query"] == counted


def test_a_daily_query_that_fails_keeps_what_the_continuation_brought(story: Story) -> None:
    before = story.target.stand
    story.sandbox.faults.inject("status", path=QUERY, status=403, times=None)
    run = story.run(15 * HOUR)
    assert run.status == 1
    assert run.records(STREAM)
    after = story.target.stand
    assert after["covered_until"] == "2026-03-11T00:20Z"
    assert after["cache_queried_at"] == before["cache_queried_at"]
    story.sandbox.faults.clear()
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION, QUERY]
    story.check()


# A continuation without news

BLANK = [(204, ""), (200, ""), (200, "\n"), (200, "[]"), (200, "{}"), (200, '{"data": null}')]


@pytest.mark.parametrize(("status", "body"), BLANK)
def test_no_news_without_a_token_changes_nothing(story: Story, status: int, body: str) -> None:
    before = dict(story.target.stand)
    story.sandbox.faults.inject("status", path=CONTINUATION, status=status, body=body)
    run = story.run(HOUR).check()
    assert story.asked == [CONTINUATION]
    assert run.records(STREAM) == []
    assert said(run) == ["recent_measurements: no news and no new continuation token"]
    assert story.target.stand == before
    # The token goes on from where it was issued, and what was withheld comes.
    story.run(HOUR).check()
    assert story.asked == [CONTINUATION]
    story.check()


@pytest.mark.parametrize(("status", "body"), BLANK)
def test_no_news_with_a_token_goes_on_from_that(story: Story, status: int, body: str) -> None:
    headers = {"x-clarity-continuation-token": "fresh"}
    story.sandbox.faults.inject(
        "status", path=CONTINUATION, status=status, body=body, headers=headers
    )
    run = story.run(HOUR).check()
    assert (run.records(STREAM), story.asked) == ([], [CONTINUATION])
    assert story.target.stand["continuation_token"] == "fresh"  # noqa: S105
    assert story.target.stand["covered_until"] == "2026-03-10T10:20Z"


@pytest.mark.parametrize(("status", "body"), BLANK)
def test_a_blank_answer_to_a_query_is_an_error(story: Story, status: int, body: str) -> None:
    story.target.stand["continuation_token"] = None
    before = dict(story.target.stand)
    story.sandbox.faults.inject("status", path=QUERY, status=status, body=body, times=None)
    run = story.run(HOUR)
    assert (run.status, len(run.complaints)) == (1, 1)
    assert story.target.stand == before


# A start that is rejected


def test_a_first_run_whose_start_is_rejected_reads_what_comes_without() -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        sandbox.faults.inject("status", path=QUERY, status=400, body='{"message": "too old"}')
        story = Story(sandbox)
        run = story.run().check()
        assert story.asked == [QUERY, QUERY]
        with_start, without = story.bodies
        assert with_start == without | {"startTime": "2026-03-08T09:35:00.000Z"}
        assert story.holes == []
        (line,) = lines(run, "WARNING")
        assert line.startswith("recent_measurements: startTime 2026-03-08 09:35 rejected: POST ")
        assert line.endswith("'too old'); queried without it")
        first, last = (e(record["time"] for record in run.records(STREAM)) for e in (min, max))
        assert (first, last) == ("2026-03-09T10:00:00.000Z", "2026-03-10T08:00:00.000Z")


def test_where_the_start_is_rejected_later_reports_fill_what_is_in_doubt(story: Story) -> None:
    story.target.stand["continuation_token"] = None
    story.sandbox.faults.inject("status", path=QUERY, status=400)
    story.run(40 * HOUR).check()
    assert story.asked == [QUERY, QUERY, REPORT]
    *_, report = story.bodies
    assert (report["startTime"], report["endTime"]) == (
        "2026-03-10T05:00:00.000Z",
        "2026-03-12T01:00:00.000Z",
    )
    assert story.holes == []
    story.check()


def test_a_daily_query_whose_start_is_rejected_costs_no_report(story: Story) -> None:
    story.sandbox.faults.inject("status", path=QUERY, status=400)
    story.run(15 * HOUR).check()
    assert story.asked == [CONTINUATION, QUERY, QUERY]
    assert story.holes == []
    story.check()


def test_a_query_that_is_rejected_with_and_without_a_start_leaves_the_state(story: Story) -> None:
    story.target.stand["continuation_token"] = None
    before = dict(story.target.stand)
    story.sandbox.faults.inject("status", path=QUERY, status=400, times=None)
    run = story.run(HOUR)
    assert run.status == 1
    assert len(run.complaints) == 1
    assert story.asked == [QUERY, QUERY]
    assert story.target.stand == before
