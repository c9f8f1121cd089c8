"""Runs the launcher in processes of its own that need not load everything anew.

    python -m tests.support.fork_server PATH     serves on a socket at PATH until standard input is
    closed

Loading the SDK takes longer than most runs of the tap. So a server loads it once, and forks a
process for each run, which is like any other: with arguments, environment and output of its own.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import launcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LONGEST_MESSAGE = 1 << 20


def run(
    args: Sequence[str],
    env: Mapping[str, str],
    timeout: float,
    server: str = "tests.support.fork_server",
) -> subprocess.CompletedProcess[bytes]:
    """Run the launcher, or what else a server's module has, with these arguments and environment.

    Raises:
        TimeoutError: If it has not ended in so many seconds; it is left to itself then.
    """
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as call,
    ):
        call.settimeout(timeout)
        call.connect(_server(server))
        message = json.dumps({"args": list(args), "env": dict(env)}).encode()
        socket.send_fds(call, [message], [output.fileno(), errors.fileno()])
        status = int(call.recv(LONGEST_MESSAGE))
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(args, status, output.read(), errors.read())


@cache
def _server(module: str) -> str:
    """Start a server of this process; it ends when this process does."""
    folder = tempfile.mkdtemp()
    path = str(Path(folder, "socket"))
    server = subprocess.Popen(
        [sys.executable, "-m", module, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.communicate()  # closes its standard input, for which it waits
        Path(path).unlink()
        Path(folder).rmdir()

    atexit.register(end)
    return path


def serve(path: str, main: Callable[[], None]) -> None:
    """Fork for each call, and run `main` there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(path)
        server.listen()
        gc.freeze()  # at its end a process would go through all that was loaded before it began
        print("ready", flush=True)  # noqa: T201
        while _is_wanted(server):
            connection, _ = server.accept()
            with connection:
                message, descriptors, _, _ = socket.recv_fds(connection, LONGEST_MESSAGE, 2)
                child = os.fork()
                if not child:
                    _become(json.loads(message), descriptors)
                    main()
                    return
                for descriptor in descriptors:
                    os.close(descriptor)
                _, status = os.waitpid(child, 0)
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _is_wanted(server: socket.socket) -> bool:
    """Wait for a call, or for the end of standard input."""
    ready, _, _ = select.select([server, sys.stdin], [], [])
    return server in ready


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Turn into the process that was asked for."""
    for descriptor, standard in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["tap-clarity", *request["args"]]


if __name__ == "__main__":
    serve(sys.argv[1], launcher.main)
