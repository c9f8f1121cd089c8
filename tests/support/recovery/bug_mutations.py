"""Bugs to inject into the tap, which the checks of crash_injection.py must find."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from singer_sdk.singerlib.encoding.base import SingerMessageType

from tap_clarity.api import files
from tap_clarity.api.client import ClarityClient
from tap_clarity.api.errors import FileError
from tap_clarity.output.line_writer import LineWriter
from tap_clarity.planning.bookmarks import RecentBookmark, ReportBookmark
from tap_clarity.planning.report_ledger import ReportLedger
from tap_clarity.planning.windows import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.singerlib.encoding.simple import Message

Patch = tuple[object, str, Any]


def _state_before_rows() -> Iterator[Patch]:
    """Records wait for the next STATE to go first."""
    original = LineWriter.write_message
    waiting: list[Message] = []

    def write(writer: LineWriter, message: Message) -> None:
        if message.type is SingerMessageType.RECORD:
            waiting.append(message)
            return
        original(writer, message)
        while message.type is SingerMessageType.STATE and waiting:
            original(writer, waiting.pop(0))

    yield LineWriter, "write_message", write


def _half_a_file_accepted() -> Iterator[Patch]:
    """Files are not verified, and what can be read of one counts as all of it."""
    original = ClarityClient.read_report

    def read(*args: Any) -> Iterator[Any]:  # noqa: ANN401
        with suppress(FileError, EOFError):
            yield from original(*args)

    yield files, "verify_body", lambda _: None
    yield ClarityClient, "read_report", read


def _a_window_skipped() -> Iterator[Patch]:
    """A window counts as covered once it is requested; pending reports are forgotten."""
    original = ReportBookmark.with_ledger

    def cover_pending(bookmark: ReportBookmark, ledger: ReportLedger) -> ReportBookmark:
        covered = merged([*bookmark.covered, *ledger.pending_windows])
        return original(replace(bookmark, covered=covered), ledger)

    yield ReportBookmark, "with_ledger", cover_pending
    yield from _an_id_not_saved()


def _an_id_not_saved() -> Iterator[Patch]:
    """No report is in the state while it is pending."""
    original = ReportLedger.to_state
    yield ReportLedger, "to_state", lambda ledger: original(ledger) | {"reports": []}


def _a_time_spelled_otherwise() -> Iterator[Patch]:
    """The same instants as ever, in other words than those of an earlier run."""
    original = LineWriter.serialize_message

    def serialize(writer: LineWriter, message: Message) -> bytes:
        line = original(writer, message)
        is_record = message.type is SingerMessageType.RECORD
        return line.replace(b'.000Z"', b'+00:00"') if is_record else line

    yield LineWriter, "serialize_message", serialize


def _a_gap_never_closed() -> Iterator[Patch]:
    """A report fills a gap, and the gap stays in the state."""
    original = RecentBookmark.complete

    def complete(bookmark: RecentBookmark, *args: Any, **more: Any) -> RecentBookmark:  # noqa: ANN401
        return replace(original(bookmark, *args, **more), gaps=bookmark.gaps)

    yield RecentBookmark, "complete", complete


BUGS: dict[str, Callable[[], Iterator[Patch]]] = {
    "state before rows": _state_before_rows,
    "half a file accepted": _half_a_file_accepted,
    "a window skipped": _a_window_skipped,
    "an id not saved": _an_id_not_saved,
    "a time spelled otherwise": _a_time_spelled_otherwise,
    "a gap never closed": _a_gap_never_closed,
}


@contextmanager
def inject_bug(bug: str) -> Iterator[None]:
    """Plant a bug by its name."""
    with ExitStack() as stack:
        for target, name, value in BUGS[bug]():
            stack.enter_context(patch.object(target, name, value))
        yield
