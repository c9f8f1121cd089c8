"""What many tests need."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from hypothesis import settings

from tap_clarity.cli.command import SIGNALS
from tap_clarity.sandbox import Sandbox
from tap_clarity.tap import TapClarity
from tests.support.cli_runner import CommandResult, Json
from tests.support.constants import NOW
from tests.support.recovery.harness import RecoveryScenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


# A busy machine is no failure; and what was found must be found again elsewhere.
settings.register_profile("tap-clarity", deadline=None, print_blob=True)
settings.register_profile("thorough", settings.get_profile("tap-clarity"), max_examples=10_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="try every point at which to kill the tap, and 10,000 examples of garbage: hours",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("thorough") else "tap-clarity")


SIGNAL_HANDLERS = {signum: signal.getsignal(signum) for signum in SIGNALS}


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Restore the handlers that a tap in this process has replaced.

    Child processes inherit a signal that is ignored: a server that ignores SIGTERM never ends.
    """
    for signum, handler in SIGNAL_HANDLERS.items():
        signal.signal(signum, handler)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small world whose clock stands still, save for what the tap waits."""
    with Sandbox(seed=1, datasources=8, now=NOW, frozen=True) as running:
        yield running


@pytest.fixture
def scenario() -> Iterator[RecoveryScenario]:
    """A small city whose measurements have been read once."""
    with Sandbox(seed=1, datasources=3, now=NOW, frozen=True) as sandbox:
        scenario = RecoveryScenario(sandbox)
        scenario.run().check()
        yield scenario


@pytest.fixture
def command(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., CommandResult]]:
    """The command line, without a process of its own: a traceback or a wait fails the test."""
    monkeypatch.setattr(TapClarity, "_setup_signal_handlers", lambda _: None)
    monkeypatch.setattr(time, "sleep", Mock(side_effect=AssertionError("the command waits")))
    for name in [name for name in os.environ if name.startswith("TAP_CLARITY_")]:
        monkeypatch.delenv(name)

    def messages_of(level: int) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == level]

    def run(*args: str) -> CommandResult:
        caplog.clear()
        with pytest.raises(SystemExit) as end:
            TapClarity.get_singer_command().main(list(args))
        status = int(end.value.code or 0)
        return CommandResult(
            status,
            capfd.readouterr().out,
            messages_of(logging.ERROR),
            messages_of(logging.WARNING),
        )

    yield run
    logging.captureWarnings(capture=False)


@pytest.fixture
def write_option(tmp_path: Path) -> Callable[[str, Json], str]:
    """Makes an option of a file's content, JSON unless it is text or bytes already."""

    def file(option: str, content: Json) -> str:
        path = tmp_path / option.strip("-")
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return f"{option}={path}"

    return file
