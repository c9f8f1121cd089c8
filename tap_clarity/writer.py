"""Writes Singer messages to standard output: whole lines, buffered, whatever happens."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import RecordMessage, SchemaMessage
from singer_sdk.singerlib.json import serialize_json

if TYPE_CHECKING:
    from singer_sdk.singerlib.encoding.simple import Message

STANDARD_OUTPUT = 1
BUFFER = 1 << 16


class Stopped(SystemExit):
    """A signal asked the tap to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signal = signal.Signals(signum).name


class LineWriter(GenericSingerWriter[bytes, "Message"]):
    """Writes messages as lines that a signal cannot cut in two.

    It has a buffer of its own on the file descriptor: with PYTHONUNBUFFERED=1 that of sys.stdout is
    raw, and a signal could drop the rest of a write. Records wait in the buffer; any other message
    takes them along, so that a STATE never overtakes its records.
    """

    def __init__(self) -> None:
        self._out = open(STANDARD_OUTPUT, "wb", buffering=BUFFER, closefd=False)  # noqa: SIM115
        self._schemas: dict[str, bytes] = {}
        self._writing = False
        self._signum: int | None = None

    def serialize_message(self, message: Message) -> bytes:
        return serialize_json(message.to_dict()).encode() + b"\n"

    def write_message(self, message: Message) -> None:
        line = self.format_message(message)
        if isinstance(message, SchemaMessage):
            # The SDK repeats a child's SCHEMA for each parent, and targets flush on each.
            if self._schemas.get(message.stream) == line:
                return
            self._schemas[message.stream] = line
        self._writing = True
        self._out.write(line)
        if not isinstance(message, RecordMessage):
            self._out.flush()
        self._writing = False
        if self._signum is not None:
            signum, self._signum = self._signum, None
            raise Stopped(signum)

    def flush(self) -> None:
        """Send off what is in the buffer."""
        self._out.flush()

    def stop(self, signum: int) -> None:
        """End the run, at once or after the line that is being written.

        Raises:
            Stopped: If no line is being written.
        """
        if self._writing:
            self._signum = signum
        else:
            raise Stopped(signum)
