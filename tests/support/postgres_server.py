"""A temporary PostgreSQL server for tests: on loopback, without a password."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Record

HOST, USER, DATABASE = "127.0.0.1", "postgres", "postgres"
TIMEOUT_SECONDS = 60
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
}
"""What is lost with the machine may be lost: the data outlive a killed server, not more."""


def _programs() -> Path | None:
    """Where the newest server is; Debian keeps it off the PATH."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if on_path := shutil.which("postgres"):
        found = found or [Path(on_path)]
    return max(found, key=lambda path: path.parts[-3]).parent if found else None


PROGRAMS = _programs()
IS_REQUIRED = any(os.environ.get(name) for name in ("CI", "TEST_NEEDS_POSTGRES"))
needs_postgres = pytest.mark.skipif(
    not PROGRAMS and not IS_REQUIRED, reason="there is no PostgreSQL server on this machine"
)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Postgres:
    """A server with a database of its own in a folder."""

    folder: Path
    port: int = field(default_factory=_free_port)
    host: str = HOST
    user: str = USER
    database: str = DATABASE

    def create(self) -> None:
        """Make the empty database."""
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [_program("initdb"), *options, f"--username={USER}", f"--pgdata={self.folder}"]
        done = subprocess.run(
            command, user=_owner(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start the server, also after it was killed, and wait until it answers."""
        end = time.monotonic() + TIMEOUT_SECONDS
        self._launch()
        while not self._answers():
            assert time.monotonic() < end, self._log.read_text(encoding="utf-8")
            # What a killed server leaves in memory is gone a moment later.
            if self._process.poll() is not None:
                self._launch()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server, whoever is still connected."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(TIMEOUT_SECONDS)

    def kill(self) -> None:
        """Kill the server with all its processes, as a crash would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(TIMEOUT_SECONDS)

    def rows(self, sql: str) -> list[Record]:
        """Run a query, and give its rows as PostgreSQL tells them in JSON."""
        done = self._psql(f"SELECT to_jsonb(found) FROM ({sql}) AS found")  # noqa: S608
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _launch(self) -> None:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(self.folder), f"--port={self.port}", *settings],
                user=_owner(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        return self._psql("SELECT 1").returncode == 0

    def _psql(self, sql: str) -> subprocess.CompletedProcess[str]:
        address = f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"
        return subprocess.run(
            [_program("psql"), "--no-psqlrc", "--no-align", "--tuples-only", address],
            input=sql,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server; what it holds is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        if (owner := _owner()) is not None:
            os.chown(folder, owner, -1)
        server = Postgres(Path(folder))
        server.create()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _program(name: str) -> str:
    assert PROGRAMS, "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    return str(PROGRAMS / name)


def _owner() -> int | None:
    """Who runs the server: it refuses root."""
    if os.getuid() != 0:
        return None
    names = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    return names.get("postgres", names.get("nobody"))
