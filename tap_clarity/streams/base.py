"""What all streams have in common."""

from __future__ import annotations

import logging
import traceback
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream, metrics
from singer_sdk.exceptions import SingerSDKError

from tap_clarity.api.errors import ClarityError, CredentialsError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context

    from tap_clarity.streams.context import RunContext

Record = dict[str, Any]


class ClarityStream(Stream):
    """A stream that fails alone: its error is logged in one line, and the others continue."""

    source: str
    """Where its records come from, for the documentation."""
    advances_by: ClassVar[str] = "full table"

    def __init__(self, tap: Tap, run: RunContext) -> None:
        self.run = run
        self._timer: metrics.Timer | None = None
        super().__init__(tap)

    @abstractmethod
    def records(self, context: Context | None) -> Iterator[Record]:
        """Give the records, oldest first where they have a time.

        Raises:
            ClarityError: If they are not available.
        """

    def get_records(self, context: Context | None) -> Iterator[Record]:
        try:
            yield from self.records(context)
        except (CredentialsError, SingerSDKError):
            raise  # it would fail the other streams as well: one line is enough
        except ClarityError as error:
            self.abort(error)
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the system, such as a full disk
            self.abort(self._unexpected(error))

    def get_batch_config(self, config: Mapping[str, Any]) -> None:
        """Keep the SDK from making files of all streams; those of measurements make their own."""

    def abort(self, error: Exception) -> None:
        """End the stream, which has failed."""
        self.fail(error)

    def fail(self, error: Exception) -> None:
        """Note that the stream has failed; the run will end with a non-zero status."""
        self.logger.error("%s: %s", self.name, error)
        self.run.failed.add(self.name)
        if self._timer:
            self._timer.tags[metrics.Tag.STATUS] = metrics.Status.FAILED

    def _unexpected(self, error: Exception) -> ClarityError:
        """Describe an error that is a bug of the tap; DEBUG lines have its traceback."""
        redact = self.run.client.redact
        self.logger.debug("%s", redact("".join(traceback.format_exception(error))))
        return ClarityError(
            f"unexpected {type(error).__name__}: {one_line(redact(str(error)))}; report this bug "
            "of tap-clarity"
        )

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
