"""Streams of JSON objects: lists, and what is requested once per object of a parent's list."""

from __future__ import annotations

import logging
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import metrics
from singer_sdk import typing as th

from tap_clarity.api.errors import (
    AccessDeniedError,
    MalformedResponseError,
    NotFoundError,
)
from tap_clarity.api.listing import Listing
from tap_clarity.core.validators import is_valid_id
from tap_clarity.streams.base import ClarityStream, Record
from tap_clarity.streams.child_telemetry import SilentTimer, TotalCounter
from tap_clarity.streams.conform import ADDITIONAL, conform_record
from tap_clarity.streams.prefetch import Prefetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.api.response_body import JsonObject
    from tap_clarity.streams.context import RunContext

ADDITIONAL_FIELDS = th.Property(
    ADDITIONAL,
    th.ObjectType(additional_properties=True),
    description="Fields that Clarity sends and the tap does not know, as sent; null if none.",
)


def string(name: str, description: str) -> th.Property[Any]:
    """Describe a field that holds text."""
    return th.Property(name, th.StringType, description=description)


def timestamp(name: str, description: str) -> th.Property[Any]:
    """Describe a field that holds a timestamp."""
    return th.Property(name, th.DateTimeType, description=f"{description}, in UTC.")


class ObjectStream(ClarityStream):
    """A stream that lists all its objects at once."""

    synonyms: ClassVar[Mapping[str, str]] = {}
    """Names that some versions of the API have for fields, each with the present name."""

    @abstractmethod
    def fetch(self) -> Listing:
        """Get the objects from the API.

        Raises:
            ClarityError: If they are not available.
        """

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        listing = self.fetch()
        for child in self.child_streams:
            if isinstance(child, ChildObjectStream) and child.selected:
                child.prefetch(self._child_contexts(listing.objects))
        for item in listing.objects:
            yield make_record(self, item)
        check_listing(self, listing)

    def _child_contexts(self, objects: Iterable[JsonObject]) -> Iterator[Context]:
        """Give the contexts in which the SDK will sync the child streams, in its order."""
        for item in objects:
            try:
                record = make_record(self, item)
            except MalformedResponseError:
                return  # the stream will end there, too
            if self.stream_maps[0].get_filter_result(record):  # else the SDK skips its children
                yield from filter(None, self.generate_child_contexts(record, None))


class ChildObjectStream(ClarityStream):
    """A stream that requests its objects once per parent, a few parents ahead.

    It logs as much as a stream without parent: the SDK syncs it once per parent, and would log
    three lines each time.
    """

    synonyms: ClassVar[Mapping[str, str]] = {}
    """Names that some versions of the API have for fields, each with the present name."""
    state_partitioning_keys = ()

    def __init__(self, tap: Tap, run: RunContext) -> None:
        super().__init__(tap, run)
        self._is_aborted = False
        self._is_announced = False
        self._counter = TotalCounter(metrics.Metric.RECORD_COUNT, {metrics.Tag.STREAM: self.name})

    @property
    @abstractmethod
    def fetch(self) -> Callable[[str], Listing | JsonObject]:
        """The client's method that gets the objects of one parent, given its id."""

    def prefetch(self, contexts: Iterable[Context]) -> None:
        """Begin to request the objects of parents, given all of them in their order."""
        self._prefetcher.start(map(_only_value, contexts))

    def records(self, context: Context | None) -> Iterator[Record]:
        if self._is_aborted or context is None:
            return
        try:
            found = self._prefetcher.get(_only_value(context))
            listing = found if isinstance(found, Listing) else Listing([found])
            for item in listing.objects:
                yield make_record(self, item, **context)
            check_listing(self, listing)
        except (NotFoundError, AccessDeniedError) as error:
            self.fail(error)  # this one only: the others may be fine

    def abort(self, error: Exception) -> None:
        self._is_aborted = True
        self._prefetcher.stop()
        super().abort(error)

    @cached_property
    def _prefetcher(self) -> Prefetcher[Listing | JsonObject]:
        return Prefetcher(self.fetch, self.run.workers)

    def log(
        self,
        message: str,
        *args: Any,  # noqa: ANN401
        level: int = logging.INFO,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        level = min(level, logging.DEBUG) if self._is_announced else level
        super().log(message, *args, level=level, **kwargs)
        self._is_announced = True

    def get_record_counter(self, **_: Any) -> metrics.Counter:  # noqa: ANN401
        return self._counter

    def get_sync_timer(self) -> metrics.Timer:
        return SilentTimer(metrics.Metric.SYNC_DURATION)

    def log_sync_costs(self) -> None:
        self._counter.report()
        super().log_sync_costs()


def make_record(stream: ObjectStream | ChildObjectStream, item: JsonObject, **keys: str) -> Record:
    """Make a record of an object; `keys` are key values that it need not repeat.

    Raises:
        MalformedResponseError: If a key value is missing or malformed.
    """
    renamed = _renamed(item, stream.synonyms)
    record = conform_record(renamed, stream.schema) | {"org": stream.run.settings.org} | keys
    for name in stream.primary_keys:
        if not is_valid_id(record.get(name)):
            raise MalformedResponseError(
                f"{stream.source}: the {name} of an object is missing, too long, or no plain text: "
                "ask Clarity's support"
            )
    return record


def check_listing(stream: ClarityStream, listing: Listing) -> None:
    """Fail the stream, after the records, if the list is not complete.

    Raises:
        ClarityError: If the rest of the list could not be read.
    """
    if listing.skipped:
        stream.fail(
            MalformedResponseError(
                f"{listing.skipped} objects skipped: their ids are missing or malformed; ask "
                "Clarity's support"
            )
        )
    listing.complete()


def _only_value(context: Context) -> str:
    (id_,) = context.values()
    return str(id_)


def _renamed(value: Any, synonyms: Mapping[str, str]) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_renamed(item, synonyms) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name if (present := synonyms.get(name)) is None or present in value else present: _renamed(
            item, synonyms
        )
        for name, item in value.items()
    }
