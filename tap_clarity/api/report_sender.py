"""Sends report requests in the order of their priority, and deals with those that are rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tap_clarity.api.errors import (
    AccessDeniedError,
    ClarityError,
    MalformedResponseError,
    QuotaExhaustedError,
    RequestRejectedError,
)
from tap_clarity.core.timestamps import Window
from tap_clarity.planning.report_steps import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from tap_clarity.api.client import ClarityClient
    from tap_clarity.core.clock import Clock
    from tap_clarity.core.frequencies import Frequency

T = TypeVar("T")

MAX_REJECTIONS = 3
"""After so many rejected requests of a stream no more are sent in a run: a setting may be wrong."""
MAX_SEARCHES = 3
"""So many rejected ids of a stream are looked for in a run: each takes some requests."""
RESERVED_REQUESTS = 3
"""So many of the day's requests are left by a search: one for the new data of each stream."""


class Journal(Protocol):
    """Records the reports of one stream; each call writes a checkpoint before it returns."""

    @property
    def pending(self) -> Sequence[Report]:
        """The reports that Clarity has accepted and whose rows are not written yet."""

    def retries_now(self, window: Window) -> bool:
        """Whether a window whose report has failed is to be requested again in this run."""

    def requested(self, window: Window) -> None:
        """A request is about to be sent."""

    def accepted(self, report: Report, replaced: Report | None) -> None:
        """Clarity has accepted a request, in place of another report if one is given."""

    def rejected(self, window: Window, error: ClarityError) -> None:
        """Clarity has rejected the request for a window."""

    def exhausted(self, error: ClarityError) -> None:
        """Clarity grants no more requests."""

    def id_rejected(self, id_: str, error: ClarityError) -> None:
        """Clarity rejects requests that name an id, and accepts others."""

    def kept(self, report: Report, reason: str) -> None:
        """A report is left to the next run, with what this one has found."""

    def unusable(self, report: Report, error: ClarityError) -> None:
        """The files of a report cannot be downloaded or read; it is left to the next run."""

    def failed(self, report: Report, reason: str) -> None:
        """A report has come to nothing."""

    def completed(self, report: Report, served: Window, *, is_empty: bool) -> None:
        """All rows of a report have been written; it covers a part of its window, or all."""


@dataclass(eq=False)
class Lane(Generic[T]):
    """What the reports of one stream need.

    Attributes:
        journal: Where each step is recorded.
        query: The body of a request, all but ids and window.
        ids_field: The name of the ids in the body; None where all datasources are requested.
        ids: The ids.
        frequency: The output frequency.
        open_file: Gives the rows of a downloaded file, given its window.
        windows: What to request, by priority; each window belongs to one of them.
        error: What has kept requests or polls from being answered.
    """

    journal: Journal
    query: dict[str, Any]
    ids_field: str | None
    ids: list[str]
    frequency: Frequency
    open_file: Callable[[BinaryIO, Window], Iterator[T]]
    windows: Sequence[Sequence[Window]]
    error: ClarityError | None = None
    rejections: int = 0
    searches: int = 0

    def body(self) -> dict[str, Any]:
        """Give the body of a request without its window."""
        return self.query | self._ids(self.ids)

    def probe(self, ids: Sequence[str]) -> dict[str, Any]:
        """Give the body of a request that names only some of the ids."""
        return self.query | self._ids(ids)

    def _ids(self, ids: Sequence[str]) -> dict[str, Any]:
        return {self.ids_field: [*ids]} if self.ids_field else {"allDatasources": True}


@dataclass
class RequestQueue(Generic[T]):
    """The windows of all streams that are to be requested: new data of all of them first."""

    _waiting: list[tuple[Lane[T], Window]] = field(default_factory=list)

    def fill(self, lanes: Iterable[Lane[T]]) -> None:
        """Add the windows of these streams, by priority, then by stream."""
        lanes = list(lanes)
        for priority in range(max((len(lane.windows) for lane in lanes), default=0)):
            for lane in lanes:
                self._waiting += [(lane, window) for window in lane.windows[priority]]

    def put_first(self, lane: Lane[T], window: Window) -> None:
        """Add a window that is to be requested next."""
        self._waiting.insert(0, (lane, window))

    def take(self) -> tuple[Lane[T], Window] | None:
        """Take the first window."""
        return self._waiting.pop(0) if self._waiting else None

    def drop(self, lane: Lane[T]) -> None:
        """Leave a stream's windows to the next run."""
        self._waiting = [entry for entry in self._waiting if entry[0] is not lane]

    def count(self, lane: Lane[T] | None = None) -> int:
        """Give how many windows wait, of one stream or of all."""
        return sum(lane is None or entry[0] is lane for entry in self._waiting)


class RequestSender(Generic[T]):
    """Sends report requests, each recorded before and after it is sent."""

    def __init__(
        self,
        client: ClarityClient,
        clock: Clock,
        quota: Callable[[], int],
        places: Callable[[], int],
    ) -> None:
        """Send requests.

        Args:
            client: Sends them.
            clock: The source of time.
            quota: Gives how many requests may still be sent today.
            places: Gives how many more reports may be pending.
        """
        self.queue: RequestQueue[T] = RequestQueue()
        self._client = client
        self._clock = clock
        self._quota = quota
        self._places = places
        self._is_stopped = False

    @property
    def may_send(self) -> bool:
        """Whether another request may be sent in this run."""
        return not self._is_stopped and self._quota() > 0

    def send_next(self) -> bool:
        """Send the first request that is due; False if there is none, or none may be sent."""
        entry = self.queue.take() if self.may_send and self._places() > 0 else None
        if entry is None:
            return False
        self.send(*entry)
        return True

    def send(self, lane: Lane[T], window: Window, replaced: Report | None = None) -> None:
        """Request a window, in place of a report that has succeeded without files if given."""
        try:
            id_ = self._request(lane, lane.body(), window)
        except (AccessDeniedError, RequestRejectedError) as error:
            if replaced:
                lane.journal.failed(replaced, str(error))
            else:
                self._reject(lane, window, error)
            return
        if replaced and id_ == replaced.id:
            lane.journal.failed(replaced, "Clarity answers another request with the same report")
        elif any(each.id == id_ and each.window != window for each in lane.journal.pending):
            message = f"Clarity has answered the id of another report, {id_}: ask its support"
            lane.error = lane.error or MalformedResponseError(message)
            self._is_stopped = True
        elif id_:
            empty_count = replaced.empty_count + 1 if replaced else 0
            report = Report(id_, window, self._clock.now(), empty_count)
            lane.journal.accepted(report, replaced)

    def _request(self, lane: Lane[T], body: dict[str, Any], window: Window) -> str | None:
        """Send a request; None if it got no answer that decides about the window."""
        lane.journal.requested(window)
        try:
            return self._client.request_report(body, window)
        except (AccessDeniedError, RequestRejectedError):
            raise
        except QuotaExhaustedError as error:
            lane.journal.exhausted(error)
        except ClarityError as error:
            lane.error = lane.error or error
        self._is_stopped = True
        return None

    def _reject(self, lane: Lane[T], window: Window, error: ClarityError) -> None:
        rejected_id = self._find_rejected_id(lane, window)
        if rejected_id:
            lane.ids = [id_ for id_ in lane.ids if id_ != rejected_id]
            lane.journal.id_rejected(rejected_id, error)
            self.queue.put_first(lane, window)
            return
        if self._is_stopped:
            return  # whether it is the window or an id is decided in the next run
        lane.journal.rejected(window, error)
        lane.rejections += 1
        if lane.rejections >= MAX_REJECTIONS:
            self.queue.drop(lane)

    def _find_rejected_id(self, lane: Lane[T], window: Window) -> str | None:
        """Halve the ids until one is left that is rejected by itself, while another is accepted.

        A short window is enough for it, and makes small reports of the ids that are accepted.
        """
        # It must not use up what new data of other streams needs. It sends a request of all ids,
        # one for each halving, and two to confirm.
        is_affordable = (len(lane.ids) - 1).bit_length() + 3 + RESERVED_REQUESTS <= self._quota()
        if not is_affordable or len(lane.ids) < 2 or lane.searches == MAX_SEARCHES:  # noqa: PLR2004
            return None
        lane.searches += 1
        short = Window(max(window.start, window.end - lane.frequency.step), window.end)
        if not self._is_rejected(lane, lane.ids, short):
            return None
        ids, others = lane.ids, list[list[str]]()
        is_other_accepted = False
        while len(ids) > 1:
            half, other = ids[: len(ids) // 2], ids[len(ids) // 2 :]
            if self._is_rejected(lane, half, short):
                ids = half
                others.append(other)
            else:
                ids, is_other_accepted = other, True
        if is_other_accepted:
            is_found = self._is_rejected(lane, ids, short) is True
        else:
            is_found = any(self._is_rejected(lane, other, short) is False for other in others[:2])
        return ids[0] if is_found else None

    def _is_rejected(self, lane: Lane[T], ids: Sequence[str], window: Window) -> bool | None:
        """Try a request that names some of the ids; None if no request may be sent any more."""
        if not self.may_send:
            return None
        try:
            id_ = self._request(lane, lane.probe(ids), window)
        except (AccessDeniedError, RequestRejectedError):
            return True
        return False if id_ else None
