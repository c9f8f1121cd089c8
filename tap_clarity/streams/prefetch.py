"""Prefetches for child streams: while one parent's objects are written, the next are requested."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

MAX_WORKERS = 8
"""How many requests may be in flight at once, over all streams."""
LOOKAHEAD = 8
"""How many keys of a stream are fetched ahead of the one that is read."""


class Workers:
    """Threads that make calls in the background, and never hold up the end of the process."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have a call made; the future gives its result, or raises its error."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        if len(self._threads) < MAX_WORKERS:
            # Those of concurrent.futures would be waited for when a signal ends the run.
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
                future.set_exception(error)


class Prefetcher(Generic[T]):
    """Gives what is fetched for keys, a few keys ahead of the one that is read."""

    def __init__(self, fetch: Callable[[str], T], workers: Workers) -> None:
        self._fetch = fetch
        self._workers = workers
        self._upcoming: Iterator[str] = iter(())
        self._started: dict[str, Future[T]] = {}

    def start(self, keys: Iterable[str]) -> None:
        """Begin to fetch for the first of these keys; each `get` begins with another one."""
        self._upcoming = iter(keys)
        self._fill()

    def get(self, key: str) -> T:
        """Give what is fetched for a key, even if it is none of those that were started."""
        future = self._started.pop(key, None) or self._submit(key)
        self._fill()
        return future.result()

    def stop(self) -> None:
        """Fetch nothing more, except what is in flight."""
        self._upcoming = iter(())
        for future in self._started.values():
            future.cancel()
        self._started.clear()

    def _fill(self) -> None:
        for key in islice(self._upcoming, LOOKAHEAD - len(self._started)):
            if key not in self._started:
                self._started[key] = self._submit(key)

    def _submit(self, key: str) -> Future[T]:
        return self._workers.submit(lambda: self._fetch(key))
