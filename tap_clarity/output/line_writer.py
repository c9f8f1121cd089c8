"""Writes Singer messages to standard output: whole lines, buffered, even if a signal comes."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from singer_sdk.singerlib.encoding.base import GenericSingerWriter, SingerMessageType
from singer_sdk.singerlib.encoding.simple import Message, SchemaMessage
from singer_sdk.singerlib.json import serialize_json

STANDARD_OUTPUT = 1
BUFFER_BYTES = 1 << 14
"""Bytes; what the fast path writes at once is longer and bypasses the buffer."""


class RunAborted(SystemExit):
    """Something outside ends the run; like any SystemExit, no `except Exception` catches it."""


class Stopped(RunAborted):
    """A signal asked the tap to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signal = signal.Signals(signum).name

    def __str__(self) -> str:
        return f"stopped by {self.signal}"


class OutputClosed(RunAborted):
    """The output cannot be written: its reader has closed it, or the disk is full."""

    def __init__(self, reason: str) -> None:
        super().__init__(1)
        self._reason = reason

    def __str__(self) -> str:
        return self._reason


@dataclass(slots=True)
class RecordLines(Message):
    """Many RECORD messages as text, each with its line break."""

    text: str

    def __post_init__(self) -> None:
        self.type = SingerMessageType.RECORD


class LineWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages as lines that a signal cannot cut in two.

    It has its own buffer on the file descriptor: with PYTHONUNBUFFERED=1 that of sys.stdout is
    raw, and a signal could drop the rest of a write. Records wait in the buffer; any other message
    flushes them, so that a STATE never precedes its records.
    """

    def __init__(self) -> None:
        self._out = open(STANDARD_OUTPUT, "wb", buffering=BUFFER_BYTES, closefd=False)  # noqa: SIM115
        self._schemas: dict[str, bytes] = {}
        self._writing = False
        self._ending = False
        self._deferred: int | None = None

    def serialize_message(self, message: Message) -> bytes:
        if isinstance(message, RecordLines):
            return message.text.encode()
        return serialize_json(message.to_dict()).encode() + b"\n"

    def write_message(self, message: Message) -> None:
        """Write a message.

        Raises:
            Stopped: If a signal came meanwhile; the message is written.
            OutputClosed: If it could not be written.
        """
        line = self.format_message(message)
        if isinstance(message, SchemaMessage):
            # The SDK repeats a child's SCHEMA for each parent, and targets flush on each.
            if self._schemas.get(message.stream) == line:
                return
            self._schemas[message.stream] = line
        self._send(line, flush=message.type is not SingerMessageType.RECORD)

    def flush(self) -> None:
        """Write out the buffer; raises as `write_message` does."""
        self._send(b"", flush=True)

    def end(self, message: Message) -> None:
        """Write the last message, whatever signals still come."""
        self._ending = True
        self.write_message(message)

    def stop(self, signum: int) -> None:
        """End the run, at once or after the line that is being written.

        Raises:
            Stopped: If no line is being written.
        """
        if self._writing:
            self._deferred = signum
        elif not self._ending:
            raise Stopped(signum)

    def _send(self, line: bytes, *, flush: bool) -> None:
        self._writing = True
        try:
            self._out.write(line)
            if flush:
                self._out.flush()
        except OSError as error:
            self._discard()
            reason = f"standard output: {error.strerror}; see what the loader says"
            raise OutputClosed(reason) from error
        finally:
            self._writing = False
        if self._deferred is not None and not self._ending:
            raise Stopped(self._deferred)

    def _discard(self) -> None:
        """Send what is left in the buffer to /dev/null, or Python would log an error at exit."""
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, STANDARD_OUTPUT)
        os.close(null_device)
