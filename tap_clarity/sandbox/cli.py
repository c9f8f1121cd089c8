"""The command line `clarity-sandbox`: options, `--help`, and running a command in it."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.api.recent import FORMATS
from tap_clarity.sandbox.behavior.parameters import MEANINGS, Parameters
from tap_clarity.sandbox.behavior.quirks import LABELS, Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core import timestamps
from tap_clarity.sandbox.sandbox import Sandbox
from tap_clarity.sandbox.testing.faults import KINDS, UNKNOWN_KINDS, Fault, parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

ORIGIN: Final = (
    "clarity-sandbox: modelled on Clarity's public documentation, not on the service itself."
)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal, or for as long as a command runs."""
    options = _parser().parse_args(arguments)
    _print(ORIGIN)
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
        files_per_report=options.files_per_report,
        gzip=options.gzip,
        token_refusal=options.token_refusal,
        recent_format=options.recent_format,
        quirks=options.quirk,
        parameters=dict(options.parameter),
    )
    for fault in options.fault:
        sandbox.faults.add(fault)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    with sandbox:
        return _run(sandbox, command) if command else _serve(sandbox)


def _serve(sandbox: Sandbox) -> int:
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: stop.set())
    _print(*(f"{name}={value}" for name, value in _environment(sandbox).items()))
    stop.wait()
    return 0


def _run(sandbox: Sandbox, command: list[str]) -> int:
    """Run a command against the sandbox, forward signals to it, and return its exit status."""
    try:
        child = subprocess.Popen(command, env={**os.environ, **_environment(sandbox)})  # noqa: S603
    except OSError as error:
        _print(f"clarity-sandbox: cannot run {command[0]}: {error.strerror}")
        return 127

    def forward(number: int, _frame: FrameType | None) -> None:
        # On a terminal, Ctrl-C has reached the child already.
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


def _print(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _timestamp(text: str) -> str:
    timestamps.parse(text)
    return text


def _fault(spec: str) -> Fault:
    try:
        return parse(spec)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parameter(spec: str) -> tuple[str, str]:
    name, _, value = spec.partition("=")
    try:
        Parameters().with_values({name: value})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, value


def _epilog() -> str:
    quirks = [f"  {each.number:>2} {each.label:<24} {each.description}" for each in Quirk]
    unknowns = [f"  {each.label:<25} {each.description}" for each in Unknown]
    parameters = [f"  {name:<20} {meaning}" for name, meaning in MEANINGS.items()]
    kinds = [f"  {name:<22} {kind.description}" for name, kind in (KINDS | UNKNOWN_KINDS).items()]
    return "\n".join(
        [
            "Quirks: where documentation and reality disagree; on, it does the other thing.",
            *quirks,
            "",
            "Unknowns, switched by --quirk too: what the documentation leaves open.",
            *unknowns,
            "",
            "Parameters of the unknowns: --parameter NAME=VALUE",
            *parameters,
            "",
            "Faults: KIND [name=value ...] [Header:value ...]",
            *kinds,
            "  Which requests: path=GLOB method=GET contains=TEXT (in the body, such as a date).",
            "  How often: times=N (default 1), or",
            "  probability=P seed=N (for ever, unless times is given). Details: status= body=",
            "  message= word= seconds= at=0.5 (a share of the body, or of the rows).",
            "",
            "Controls, without a key: /_sandbox/clock, requests, truth, quirks, faults.",
            "All of it: docs/sandbox.md.",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clarity-sandbox",
        description=f"{ORIGIN} Serves on loopback; with a COMMAND, for as long as that runs.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_epilog(),
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on loopback (default: any free one)")
    add("--seed", type=int, default=1, help="another seed is another world (default: 1)")
    add(
        "--datasources", type=int, default=12, metavar="N", help="size of the network (default: 12)"
    )
    add("--now", type=_timestamp, metavar="ISO", help="where the clock starts; default: real time")
    add("--frozen", action="store_true", help="the clock moves only when told")
    add(
        "--anchor",
        type=_timestamp,
        metavar="ISO",
        help="day of the special events: device swap, new, lapsed and stopped datasources; "
        "default: 2 to 30 days before the start, moving every four weeks",
    )
    add(
        "--report-seconds",
        type=float,
        default=20,
        metavar="S",
        help="building time of a report (default: 20)",
    )
    add(
        "--url-seconds",
        type=float,
        default=900,
        metavar="S",
        help="life of a signed link (default: 900)",
    )
    add(
        "--daily-quota",
        type=int,
        default=30,
        metavar="N",
        help="report requests per UTC day (default: 30)",
    )
    add("--files-per-report", type=int, default=1, metavar="N", help="files that a report has")
    add(
        "--gzip",
        choices=("declared", "bare", "none"),
        default="declared",
        help="CSV files are gzipped and say so in Content-Encoding, or do not, or are not",
    )
    add(
        "--token-refusal",
        type=int,
        choices=(400, 401, 403, 404, 410),
        default=400,
        help="status for a continuation token that is expired or unknown (default: 400)",
    )
    add(
        "--recent-format",
        choices=FORMATS,
        help="answer recent measurements in this format, whatever is asked",
    )
    add(
        "--quirk",
        action="append",
        default=[],
        choices=LABELS,
        metavar="NAME",
        help="switch a quirk on (see below); may be repeated; `all` means all that have a "
        "number, `unknowns` all others",
    )
    add(
        "--parameter",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="change a number or word that a quirk needs (see below); may be repeated",
    )
    add(
        "--fault",
        action="append",
        default=[],
        type=_fault,
        metavar="SPEC",
        help="order a fault (see below), such as 'status path=/v2/datasources times=2 status=503'; "
        "may be repeated",
    )
    add("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run against it")
    return parser
