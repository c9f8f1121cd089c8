"""Asks ahead: while one child is written, the next ones are fetched."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

WORKERS = 8
"""How many requests may be in flight at once."""


class Workers:
    """Threads that make calls in the background, and never hold up the end of the process."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def ask(self, call: Callable[[], T]) -> Future[T]:
        """Have a call made; the future gives its result, or raises its error."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        if len(self._threads) < WORKERS:
            # Those of concurrent.futures would be waited for when a signal ends the run.
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while True:
            future, call = self._calls.get()
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is taken
                future.set_exception(error)


def in_advance(items: Iterable[T], begin: Callable[[T], object]) -> Iterator[T]:
    """Give the items in their order, each some places after something was begun for it."""
    begun: deque[T] = deque()
    for item in items:
        begin(item)
        begun.append(item)
        if len(begun) > WORKERS:
            yield begun.popleft()
    yield from begun
