"""Children are requested ahead of their turn: in order, and not too many at once."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, TypeVar

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.streams.prefetch import LOOKAHEAD, MAX_WORKERS, Prefetcher, Workers
from tests.support.constants import NOW
from tests.support.tap_in_process import run_in_process
from tests.support.tap_process import received_requests, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.support.tap_process import Json

T = TypeVar("T")

DETAILS = ("datasources", "datasource_details")


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

    for future in [workers.submit(call) for _ in range(3 * 8)]:
        future.result(timeout=10)
    assert most == 8


def test_an_error_is_raised_where_the_result_is_taken() -> None:
    workers = Workers()
    futures = [workers.submit(lambda: 1 // 0), workers.submit(lambda: 1 // 1)]
    assert futures[1].result(timeout=10) == 1
    with pytest.raises(ZeroDivisionError):
        futures[0].result(timeout=10)


class Recorder(Workers):
    """Workers that also record how many calls have been submitted."""

    submitted = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        self.submitted += 1
        return super().submit(call)


@pytest.mark.parametrize("count", [0, 1, LOOKAHEAD, LOOKAHEAD + 1, 50])
def test_keys_are_fetched_in_their_order_and_a_few_ahead(count: int) -> None:
    recorder = Recorder()
    prefetcher = Prefetcher(str.upper, recorder)
    prefetcher.start(f"k{turn}" for turn in range(count))
    for turn in range(count):
        assert recorder.submitted == min(count, turn + LOOKAHEAD)
        assert prefetcher.get(f"k{turn}") == f"K{turn}"
    assert recorder.submitted == count


def test_a_key_that_was_not_started_is_fetched() -> None:
    prefetcher = Prefetcher(str.upper, Workers())
    assert prefetcher.get("a") == "A"
    prefetcher.start(["b", "b", "c"])
    assert [prefetcher.get(key) for key in "xbbc"] == [*"XBBC"]


def test_nothing_is_fetched_after_a_stop() -> None:
    fetched: list[str] = []
    gate = threading.Event()

    def fetch(key: str) -> str:
        fetched.append(key)
        gate.wait(10)
        return key

    workers = Workers()
    for _ in range(MAX_WORKERS - 1):
        workers.submit(lambda: gate.wait(10))
    prefetcher = Prefetcher(fetch, workers)
    prefetcher.start("abcdefghijkl")
    prefetcher.stop()
    gate.set()
    workers.submit(int).result(timeout=10)
    assert fetched in ([], ["a"])


def test_children_come_in_the_order_of_their_parents(sandbox: Sandbox) -> None:
    # The first answer is the slowest, so the others are here before it.
    first = next(sandbox.expected.records("datasources", sandbox.clock.now()))["datasource_id"]
    sandbox.faults.inject("stall", path=f"/v2/datasources/{first}", seconds=0.5)
    run = run_tap(sandbox, streams=DETAILS).check()
    parents = [record["datasource_id"] for record in run.records("datasources")]
    assert [record["datasource_id"] for record in run.records("datasource_details")] == parents
    requests = list(received_requests(sandbox, "GET", "/v2/datasources/"))
    assert len(requests) == len(parents) >= MAX_WORKERS


def filter_for(id_: str) -> dict[str, Json]:
    return {"stream_maps": {"datasources": {"__filter__": f"datasource_id == '{id_}'"}}}


@pytest.mark.parametrize("settings", [filter_for, lambda id_: {"datasource_ids": [id_]}])
def test_children_of_parents_that_are_left_out_are_not_requested(
    settings: Callable[[str], dict[str, Json]],
) -> None:
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        id_ = sandbox.world.datasources[1].datasource_id
        run = run_in_process(sandbox, streams=DETAILS, **settings(id_)).check()
        assert [record["datasource_id"] for record in run.records("datasource_details")] == [id_]
        (call,) = received_requests(sandbox, "GET", "/v2/datasources/")
        assert call["path"] == f"/v2/datasources/{id_}"


def test_no_more_is_requested_after_an_error_that_is_not_of_one_object() -> None:
    with Sandbox(seed=1, datasources=50, now=NOW, frozen=True) as sandbox:
        sandbox.faults.inject("status", path="/v2/datasources/*", status=418, times=None)
        run = run_in_process(sandbox, streams=DETAILS)
        assert (run.status, len(run.error_lines)) == (1, 1)
        assert len(run.records("datasources")) == 50
        assert 0 < len(list(received_requests(sandbox, "GET", "/v2/datasources/"))) <= 1 + LOOKAHEAD


def test_a_datasource_that_is_listed_twice_has_its_details_twice() -> None:
    with Sandbox(seed=1, datasources=1, now=NOW, frozen=True) as sandbox:
        listed = [{"datasourceId": sandbox.world.datasources[0].datasource_id}] * 2
        body = json.dumps(listed)
        sandbox.faults.inject("status", path="/v2/datasources", status=200, body=body)
        run = run_in_process(sandbox, streams=DETAILS).check()
        assert len(run.records("datasource_details")) == 2
