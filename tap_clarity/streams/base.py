"""What all streams have in common."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream, metrics

from tap_clarity.api.errors import (
    AccessRefusedError,
    ClarityError,
    CredentialsError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.streams.context import Run

Record = dict[str, Any]


class ClarityStream(Stream):
    """A stream that fails alone: its error is logged in one line, and the others go on."""

    source: str
    """Where its records come from, for the documentation."""
    advances_by: ClassVar[str] = "full table"

    def __init__(self, tap: Tap, run: Run) -> None:
        self.run = run
        self._timer: metrics.Timer | None = None
        super().__init__(tap)

    @abstractmethod
    def records(self, context: Context | None) -> Iterator[Record]:
        """Give the records, oldest first where they have a time.

        Raises:
            ClarityError: If they cannot be had.
        """

    def get_records(self, context: Context | None) -> Iterator[Record]:
        try:
            yield from self.records(context)
        except CredentialsError:
            raise  # it would fail the other streams as well: one line is enough
        except ClarityError as error:
            self.fail(error)

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """Keep the SDK from making files of all streams; those of measurements make their own."""

    def fail(self, error: Exception) -> None:
        """Note that the stream has failed; the run will end with a non-zero status."""
        self.logger.error("%s: %s", self.name, error)
        self.run.failed.add(self.name)
        if self._timer:
            self._timer.tags[metrics.Tag.STATUS] = metrics.Status.FAILED

    def log(
        self,
        message: str,
        *args: Any,  # noqa: ANN401
        level: int = logging.INFO,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if level == logging.ERROR:
            level = logging.DEBUG  # the SDK's word on an error that the command line reports
        super().log(message, *args, level=level, **kwargs)

    def get_sync_timer(self) -> metrics.Timer:
        self._timer = super().get_sync_timer()
        return self._timer


class ChildStream(ClarityStream):
    """A stream that asks once per parent, and is as quiet as one that has none.

    The SDK syncs a child once per parent, and would log three lines each time.
    """

    state_partitioning_keys = ()

    def __init__(self, tap: Tap, run: Run) -> None:
        super().__init__(tap, run)
        self.given_up = False
        self._announced = False
        self._counter = _LastingCounter(
            metrics.Metric.RECORD_COUNT, {metrics.Tag.STREAM: self.name}
        )

    @abstractmethod
    def records_of(self, context: Context) -> Iterator[Record]:
        """Give the records of one parent.

        Raises:
            ClarityError: If it cannot be had.
        """

    def records(self, context: Context | None) -> Iterator[Record]:
        if self.given_up or context is None:
            return
        try:
            yield from self.records_of(context)
        except (NotFoundError, AccessRefusedError) as error:
            self.fail(error)  # this one only: the others may be fine
        except ClarityError:
            self.given_up = True
            raise

    def log(
        self,
        message: str,
        *args: Any,  # noqa: ANN401
        level: int = logging.INFO,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().log(
            message, *args, level=min(level, logging.DEBUG) if self._announced else level, **kwargs
        )
        self._announced = True

    def get_record_counter(self, **_: Any) -> metrics.Counter:  # noqa: ANN401
        return self._counter

    def get_sync_timer(self) -> metrics.Timer:
        return _SilentTimer(metrics.Metric.SYNC_DURATION)

    def log_sync_costs(self) -> None:
        self._counter.report()
        super().log_sync_costs()


class _LastingCounter(metrics.Counter):
    """Counts over all parents, and reports once."""

    def with_context(self, value: Context | None) -> None:
        pass

    def exit(self) -> None:
        pass

    def report(self) -> None:
        if self.value:
            super().exit()


class _SilentTimer(metrics.Timer):
    def __exit__(self, *_: object) -> None:
        pass
