"""The command line `clarity-sandbox`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox import instants
from tap_clarity.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

ORIGIN: Final = (
    "clarity-sandbox: modelled on Clarity's public documentation, not on the service itself."
)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop, or for as long as a command runs."""
    options = _parser().parse_args(arguments)
    _say(ORIGIN)
    sandbox = Sandbox(
        seed=options.seed,
        datasources=options.datasources,
        now=options.now,
        frozen=options.frozen,
        anchor=options.anchor,
        port=options.port,
        report_seconds=options.report_seconds,
        url_seconds=options.url_seconds,
        daily_quota=options.daily_quota,
    )
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    with sandbox:
        return _run(sandbox, command) if command else _serve(sandbox)


def _serve(sandbox: Sandbox) -> int:
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: stop.set())
    _say(*(f"{name}={value}" for name, value in _environment(sandbox).items()))
    stop.wait()
    return 0


def _run(sandbox: Sandbox, command: list[str]) -> int:
    """Run a command against the sandbox; signals go to it, and its end is ours."""
    try:
        child = subprocess.Popen(command, env={**os.environ, **_environment(sandbox)})  # noqa: S603
    except OSError as error:
        _say(f"clarity-sandbox: cannot run {command[0]}: {error.strerror}")
        return 127

    def forward(number: int, _frame: FrameType | None) -> None:
        # A terminal has sent Ctrl-C to the child already.
        if number != signal.SIGINT or not sys.stdin.isatty():
            child.send_signal(number)

    for number in _SIGNALS:
        signal.signal(number, forward)
    status = child.wait()
    return status if status >= 0 else 128 - status


def _environment(sandbox: Sandbox) -> dict[str, str]:
    return {
        "TAP_CLARITY_API_URL": sandbox.url,
        "TAP_CLARITY_API_KEY": sandbox.api_key,
        "TAP_CLARITY_ORG": sandbox.org,
    }


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _instant(text: str) -> str:
    instants.parse(text)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clarity-sandbox",
        description=f"{ORIGIN} Serves on loopback; with a COMMAND, for as long as that runs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on loopback; 0 takes any free one")
    add("--seed", type=int, default=1, help="another seed is another world")
    add("--datasources", type=int, default=12, metavar="N", help="size of the network")
    add("--now", type=_instant, metavar="ISO", help="where the clock starts; default: real time")
    add("--frozen", action="store_true", help="the clock moves only when told")
    add(
        "--anchor",
        type=_instant,
        metavar="ISO",
        help="day of the special events: device swap, new, lapsed and stopped datasources; "
        "default: 2 to 30 days before the start, moving every four weeks",
    )
    add("--report-seconds", type=float, default=20, metavar="S", help="building time of a report")
    add("--url-seconds", type=float, default=900, metavar="S", help="life of a signed link")
    add("--daily-quota", type=int, default=30, metavar="N", help="report requests per UTC day")
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run against it")
    return parser
