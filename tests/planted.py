"""Bugs to plant, so that the checkers of tests/sweep.py can be seen to find them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from singer_sdk.singerlib.encoding.base import SingerMessageType

from tap_clarity.api import files, report_desk, reports
from tap_clarity.api.errors import FileError
from tap_clarity.api.report_desk import ReportDesk
from tap_clarity.planning import bookmarks
from tap_clarity.streams.recent import RecentMeasurements
from tap_clarity.streams.reports import ReportStream
from tap_clarity.writer import LineWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.singerlib.encoding.simple import Message

Patch = tuple[object, str, Any]


def _state_before_rows() -> Iterator[Patch]:
    """Records wait for the next STATE to go first."""
    usual = LineWriter.write_message
    waiting: list[Message] = []

    def write(writer: LineWriter, message: Message) -> None:
        if message.type is SingerMessageType.RECORD:
            waiting.append(message)
            return
        usual(writer, message)
        while message.type is SingerMessageType.STATE and waiting:
            usual(writer, waiting.pop(0))

    yield LineWriter, "write_message", write


def _half_a_file_accepted() -> Iterator[Patch]:
    """Nothing is proven, and what can be read of a file is taken for all of it."""
    usual = reports.read_files

    def read(*args: Any) -> Iterator[Any]:  # noqa: ANN401
        with suppress(FileError, EOFError):
            yield from usual(*args)

    yield files, "prove_whole", lambda _: None
    yield report_desk, "read_files", read


def _a_window_skipped() -> Iterator[Patch]:
    """A window counts as covered once it is asked for; reports of earlier runs are forgotten."""
    asked, deliver = ReportStream.on_asked, ReportDesk.deliver

    def on_asked(stream: ReportStream, window: Any) -> None:  # noqa: ANN401
        asked(stream, window)
        stream.on_delivered(window)

    def forgetful(desk: Any, _: Any, *args: Any) -> Any:  # noqa: ANN401
        return deliver(desk, [], *args)

    yield ReportStream, "on_asked", on_asked
    yield ReportDesk, "deliver", forgetful


def _an_id_not_saved() -> Iterator[Patch]:
    """No report is in the state while it is being built."""
    usual = bookmarks._reports_to_state  # noqa: SLF001
    yield bookmarks, "_reports_to_state", lambda _, spent: usual([], spent)


def _a_time_spelled_otherwise() -> Iterator[Patch]:
    """The same instants as ever, in other words than those of an earlier run."""
    usual = LineWriter.serialize_message

    def serialize(writer: LineWriter, message: Message) -> bytes:
        line = usual(writer, message)
        is_record = message.type is SingerMessageType.RECORD
        return line.replace(b'.000Z"', b'+00:00"') if is_record else line

    yield LineWriter, "serialize_message", serialize


def _a_hole_never_closed() -> Iterator[Patch]:
    """A report fills a hole, and nobody takes note of it."""
    yield RecentMeasurements, "on_delivered", lambda *_: None


BUGS: dict[str, Callable[[], Iterator[Patch]]] = {
    "state before rows": _state_before_rows,
    "half a file accepted": _half_a_file_accepted,
    "a window skipped": _a_window_skipped,
    "an id not saved": _an_id_not_saved,
    "a time spelled otherwise": _a_time_spelled_otherwise,
    "a hole never closed": _a_hole_never_closed,
}


@contextmanager
def plant(bug: str) -> Iterator[None]:
    """Plant a bug by its name."""
    with ExitStack() as stack:
        for target, name, value in BUGS[bug]():
            stack.enter_context(patch.object(target, name, value))
        yield
