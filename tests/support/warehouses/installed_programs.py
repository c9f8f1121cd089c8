"""Installs the targets of meltano.yml and the emulators of warehouses, and keeps them for later."""

from __future__ import annotations

import copy
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_clarity.demo.venv import clean_environment
from tests.support.meltano.project import MELTANO_YML
from tests.support.postgres_server import IS_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.tap_process import TapRun

HERE = Path(__file__).parent
HOST = "127.0.0.1"
TIMEOUT_SECONDS = 120
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tap-clarity-tests"
_UV = Path(sys.executable).parent / "uv"


def loader(name: str) -> dict[str, Any]:
    """Give a loader as meltano.yml defines it."""
    plugins = yaml.safe_load(MELTANO_YML.read_text(encoding="utf-8"))["plugins"]
    found: dict[str, Any] = next(each for each in plugins["loaders"] if each["name"] == name)
    return found


def installed_loader(name: str) -> Path:
    """Give the Python that has a loader; where it cannot be had the test is skipped, but in CI."""
    definition = loader(name)
    return installed(name, shlex.split(definition["pip_url"]), definition.get("python"))


def installed(name: str, requirements: Sequence[str], python: str | None = None) -> Path:
    """Give the Python of an environment, made once for all runs and workers."""
    expected = repr((requirements, python or sys.version_info[:2]))
    folder = _CACHE / f"{name}-{hashlib.sha256(expected.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".made").exists():
            _install(folder, requirements, python or sys.executable)
            folder.with_suffix(".made").touch()
    return folder / "bin" / "python"


def _install(folder: Path, requirements: Sequence[str], python: str) -> None:
    uv = _UV if _UV.exists() else shutil.which("uv")
    env = clean_environment() | {"UV_PYTHON_DOWNLOADS": "automatic"}
    try:
        for command in (
            [uv or "uv", "venv", "--clear", "--python", python, folder],
            [uv or "uv", "pip", "install", "--python", folder, *requirements],
        ):
            subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if IS_REQUIRED:
            raise AssertionError(getattr(error, "stderr", str(error))) from error
        pytest.skip(f"{folder.name} could not be installed")


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def serving(command: Sequence[str | Path], port: int, folder: Path) -> Iterator[None]:
    """Run a server until the end, from when on it listens; its HOME is a folder of its own."""
    log = folder / "server.log"
    env = clean_environment() | {"HOME": str(folder)}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
    try:
        end = time.monotonic() + TIMEOUT_SECONDS
        while not _listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex((HOST, port)) == 0


def load(
    command: Sequence[str | Path], output: bytes, env: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Let a target load what a tap has written."""
    return subprocess.run(
        command,
        input=output,
        env=clean_environment() | env,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def without(column: str, run: TapRun) -> bytes:
    """Give what a tap would have written that did not know a column."""
    messages = copy.deepcopy(run.messages)
    for message in messages:
        message.get("record", {}).pop(column, None)
        message.get("schema", {}).get("properties", {}).pop(column, None)
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)
