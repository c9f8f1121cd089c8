"""The backfill starts on the day on which access to measurements starts, if it is known."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.reports.harness import STREAM, bookmark_of, requested_windows
from tests.support.tap_in_process import run_in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import TapRun

STREAMS = ("datasources", "datasource_details", STREAM)
START, NODES = "2020-01-01", 1
"""With one datasource there are no reference sites, whose details say nothing of access."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=1, datasources=NODES, now=NOW, frozen=True, report_seconds=0) as running:
        yield running


def load(sandbox: Sandbox, *streams: str, **settings: object) -> TapRun:
    usual = {"start_date": START, "report_window_days": 366, "metric_select": "only pm2_5*1Hour*"}
    return run_in_process(sandbox, streams=streams, **usual | settings).check()


def first_access(sandbox: Sandbox) -> datetime:
    details = sandbox.expected.records("datasource_details", sandbox.clock.now())
    periods = [period for each in details for period in each["access_to_measurements"]]
    return min(datetime.fromisoformat(period["access_start"]) for period in periods)


def test_no_report_is_requested_before_access_starts(sandbox: Sandbox) -> None:
    first = first_access(sandbox).replace(hour=0, minute=0, second=0, microsecond=0)
    run = load(sandbox, *STREAMS)
    assert min(requested_windows(sandbox)).startswith(f"{first:%Y-%m-%d} to ")
    assert bookmark_of(run)["access_start"]
    assert bookmark_of(run)["covered"] == [[f"{first:%Y-%m-%d}", "2026-03-10T09:00Z"]]


def test_start_date_after_access_start_is_used(sandbox: Sandbox) -> None:
    load(sandbox, *STREAMS, start_date="2026-03-01")
    assert requested_windows(sandbox) == ["2026-03-01 to 2026-03-10 09:00"]


def test_without_datasource_details_the_full_range_is_requested(sandbox: Sandbox) -> None:
    load(sandbox, STREAM)
    assert min(requested_windows(sandbox)).startswith(f"{START} to ")


def test_details_without_access_start_request_the_full_range() -> None:
    with Sandbox(seed=1, datasources=2, now=NOW, frozen=True, report_seconds=0) as sandbox:
        load(sandbox, *STREAMS)
        assert min(requested_windows(sandbox)).startswith(f"{START} to ")
        sandbox.requests.clear()
        (node,) = [each.datasource_id for each in sandbox.world.datasources if not each.index]
        load(sandbox, *STREAMS, datasource_ids=[node])
        assert not min(requested_windows(sandbox)).startswith(f"{START} to ")
