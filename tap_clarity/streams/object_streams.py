"""What the streams of Clarity's resources have in common: JSON objects, fitted to a schema."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_clarity.api.errors import MalformedReplyError
from tap_clarity.api.metadata import Listing
from tap_clarity.streams.base import ChildStream, ClarityStream, Record
from tap_clarity.streams.conform import ADDITIONAL, fit_record
from tap_clarity.streams.prefetch import in_advance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.api.metadata import JsonObject
    from tap_clarity.streams.context import Run

ADDITIONAL_FIELDS = th.Property(
    ADDITIONAL,
    th.ObjectType(additional_properties=True),
    description="Fields that Clarity sends and the tap does not know, as sent; null if none.",
)


def text(name: str, description: str) -> th.Property[Any]:
    """Describe a text."""
    return th.Property(name, th.StringType, description=description)


def instant(name: str, description: str) -> th.Property[Any]:
    """Describe an instant."""
    return th.Property(name, th.DateTimeType, description=f"{description}, in UTC.")


class FittedStream(ClarityStream):
    """A stream whose records are Clarity's JSON objects."""

    synonyms: ClassVar[Mapping[str, str]] = {}
    """Names that some versions of the API have for fields, each with the present name."""

    def to_record(self, item: JsonObject, **known: str) -> Record:
        """Make a record of an object; `known` are key values that it need not repeat.

        Raises:
            MalformedReplyError: If a key value is missing.
        """
        renamed = _renamed(item, self.synonyms)
        record = fit_record(renamed, self.schema) | {"org": self.run.settings.org} | known
        for name in self.primary_keys:
            if record.get(name) is None:
                raise MalformedReplyError(
                    f"{self.source}: Clarity sent an object without {name}; nothing can be made "
                    "of it: ask Clarity's support"
                )
        return record

    def _check(self, listing: Listing) -> None:
        """Fail the stream, after the records, if the list is not complete.

        Raises:
            ClarityError: If the rest of the list could not be read.
        """
        if listing.skipped:
            self.fail(
                MalformedReplyError(
                    f"{listing.skipped} objects skipped: their ids are missing or malformed; ask "
                    "Clarity's support"
                )
            )
        listing.whole()


class ResourceStream(FittedStream):
    """A resource that answers all its objects at once."""

    @abstractmethod
    def listing(self) -> Listing:
        """Give the objects as Clarity sends them.

        Raises:
            ClarityError: If they cannot be had.
        """

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        listing = self.listing()
        yield from in_advance(map(self.to_record, listing.objects), self._ask_for_children)
        self._check(listing)

    def _ask_for_children(self, record: Record) -> None:
        if self.stream_maps[0].get_filter_result(record):  # else the SDK leaves its children out
            for context in self.generate_child_contexts(record, None):
                for child in self.child_streams:
                    if isinstance(child, SubresourceStream) and child.selected and context:
                        child.ask_ahead(context)


class SubresourceStream(ChildStream, FittedStream):
    """A resource that is asked for once per parent, several of them at once."""

    def __init__(self, tap: Tap, run: Run) -> None:
        super().__init__(tap, run)
        self._asked: dict[str, Future[Listing]] = {}

    @abstractmethod
    def listing_of(self, id_: str) -> Listing:
        """Give the objects of one parent as Clarity sends them; runs in a thread of its own.

        Raises:
            ClarityError: If they cannot be had.
        """

    def ask_ahead(self, context: Context) -> None:
        """Begin to ask for the objects of a parent whose turn is about to come."""
        (id_,) = context.values()
        self._asked[id_] = self.run.workers.ask(partial(self._listing_of, id_))

    def records_of(self, context: Context) -> Iterator[Record]:
        (id_,) = context.values()
        listing = self._asked.pop(id_).result()
        for item in listing.objects:
            yield self.to_record(item, **context)
        self._check(listing)

    def _listing_of(self, id_: str) -> Listing:
        return Listing([]) if self.given_up else self.listing_of(id_)


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
