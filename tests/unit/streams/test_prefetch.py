"""Children are asked for ahead of their turn: in order, and not too many at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tap_clarity.streams.prefetch import WORKERS, Workers, in_advance
from tests.support.tap_process import calls, run_tap

if TYPE_CHECKING:
    from tap_clarity.sandbox import Sandbox


def test_eight_calls_are_under_way_at_once_and_no_more() -> None:
    workers = Workers()
    # Opens when eight are inside at once; one call more would break the count below.
    gate = threading.Barrier(8, timeout=10)
    inside, most = 0, 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        gate.wait()
        with lock:
            inside -= 1

    for future in [workers.ask(call) for _ in range(3 * 8)]:
        future.result(timeout=10)
    assert most == 8


def test_an_error_is_raised_where_the_result_is_taken() -> None:
    workers = Workers()
    futures = [workers.ask(lambda: 1 // 0), workers.ask(lambda: 1 // 1)]
    assert futures[1].result(timeout=10) == 1
    with pytest.raises(ZeroDivisionError):
        futures[0].result(timeout=10)


@pytest.mark.parametrize("count", [0, 1, WORKERS, WORKERS + 1, 50])
def test_items_keep_their_order_and_begin_before_their_turn(count: int) -> None:
    begun: list[int] = []
    for turn, item in enumerate(in_advance(range(count), begun.append)):
        assert item == turn
        assert begun == list(range(min(count, turn + WORKERS + 1)))


def test_children_come_in_the_order_of_their_parents(sandbox: Sandbox) -> None:
    # The first answer is the slowest, so the others are here before it.
    first = next(sandbox.world.resource("datasources", sandbox.clock.now()))["datasource_id"]
    sandbox.faults.order("stall", path=f"/v2/datasources/{first}", seconds=0.5)
    run = run_tap(sandbox, streams=["datasources", "datasource_details"]).check()
    parents = [record["datasource_id"] for record in run.records("datasources")]
    assert [record["datasource_id"] for record in run.records("datasource_details")] == parents
    assert len(list(calls(sandbox, "GET", "/v2/datasources/"))) == len(parents) > WORKERS - 1
