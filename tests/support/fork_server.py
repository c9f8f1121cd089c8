"""Runs the tap in forked processes, which need not import everything again.

    python -m tests.support.fork_server PATH     serves on a socket at PATH until standard input is
    closed

Loading the SDK takes longer than most runs of the tap. So a server loads it once, and forks a
process for each run, with its own arguments, environment and output.
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

from tests.support import tap_launcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_MESSAGE_BYTES = 1 << 20


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
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection_socket,
    ):
        connection_socket.settimeout(timeout)
        connection_socket.connect(_server(server))
        message = json.dumps({"args": list(args), "env": dict(env)}).encode()
        socket.send_fds(connection_socket, [message], [output.fileno(), errors.fileno()])
        status = int(connection_socket.recv(MAX_MESSAGE_BYTES))
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
        while wait_for_connection(server):
            connection, _ = server.accept()
            with connection:
                message, descriptors, _, _ = socket.recv_fds(connection, MAX_MESSAGE_BYTES, 2)
                child = os.fork()
                if not child:
                    take_over_process(json.loads(message), descriptors)
                    main()
                    return
                for descriptor in descriptors:
                    os.close(descriptor)
                _, status = os.waitpid(child, 0)
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def wait_for_connection(server: socket.socket) -> bool:
    """Wait for a call, or for the end of standard input."""
    ready, _, _ = select.select([server, sys.stdin], [], [])
    return server in ready


def take_over_process(request: dict[str, Any], descriptors: list[int]) -> None:
    """Turn into the process that was asked for."""
    for descriptor, standard in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["tap-clarity", *request["args"]]


if __name__ == "__main__":
    serve(sys.argv[1], tap_launcher.main)
