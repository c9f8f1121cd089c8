"""The command line: options, `--help`, signals, and running a command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox.cli import main

if TYPE_CHECKING:
    from pathlib import Path


from tap_clarity.sandbox.behavior.parameters import MEANINGS
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.testing.faults import KINDS, UNKNOWN_KINDS

COMMAND = [sys.executable, "-m", "tap_clarity.sandbox"]


def test_the_exit_status_is_that_of_the_command() -> None:
    script = (
        "import os, sys, urllib.request as u\n"
        "url = os.environ['TAP_CLARITY_API_URL'] + '/v2/datasources?org=' "
        "+ os.environ['TAP_CLARITY_ORG']\n"
        "key = {'x-api-key': os.environ['TAP_CLARITY_API_KEY']}\n"
        "sys.exit(u.urlopen(u.Request(url, headers=key)).status - 193)"
    )
    done = subprocess.run(
        [*COMMAND, sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 7
    assert "modelled on Clarity's public documentation" in done.stderr.splitlines()[0]
    assert done.stdout == ""


def test_a_missing_command_is_reported_in_one_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    done = subprocess.run([*COMMAND, "--", missing], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert missing in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_the_server(number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(4)]
        assert [line.partition("=")[0] for line in lines[1:]] == [
            "TAP_CLARITY_API_URL",
            "TAP_CLARITY_API_KEY",
            "TAP_CLARITY_ORG",
        ]
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_signals_are_forwarded_to_the_command() -> None:
    script = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    done = subprocess.run(
        [*COMMAND, sys.executable, "-c", script],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 128 + signal.SIGTERM


def test_a_malformed_time_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--now", "soon"])
    assert "soon" in capsys.readouterr().err


def test_it_runs_from_a_clone_without_installed_packages() -> None:
    """No site-packages: the standard library must do."""
    script = "import sys; sys.path.insert(0, '.'); from tap_clarity.sandbox.cli import main; main()"
    command = [sys.executable, "-I", "-S", "-c", script, "--help"]
    done = subprocess.run(command, capture_output=True, check=True, env={})
    assert b"clarity-sandbox" in done.stdout


def test_quirks_and_faults_from_the_command_line() -> None:
    script = (
        "import os, urllib.request as u\n"
        "print(u.urlopen(os.environ['TAP_CLARITY_API_URL'] + '/_sandbox/quirks').read().decode())\n"
        "print(u.urlopen(os.environ['TAP_CLARITY_API_URL'] + '/_sandbox/faults').read().decode())"
    )
    options = ["--quirk", "all", "--fault", "cut path=/v2/*"]
    command = [*COMMAND, *options, sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    quirks, faults = map(json.loads, done.stdout.splitlines())
    assert [quirk["number"] for quirk in quirks if quirk["on"]] == list(range(1, 26))
    assert [(fault["kind"], fault["path"]) for fault in faults] == [("cut", "/v2/*")]


def test_unknowns_from_the_command_line() -> None:
    script = (
        "import os, urllib.request as u\n"
        "url = os.environ['TAP_CLARITY_API_URL'] + '/_sandbox/'\n"
        "for name in ('quirks', 'parameters', 'faults'):\n"
        "    print(u.urlopen(url + name).read().decode())"
    )
    options = [
        *("--quirk", "unknowns", "--parameter", "retention_days=30", "--parameter", "page_size=2"),
        *("--fault", "report-status path=/v2/report-requests word=expired contains=2026-03"),
        *("--token-refusal", "410"),
    ]
    command = [*COMMAND, *options, sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    quirks, parameters, faults = map(json.loads, done.stdout.splitlines())
    assert all(quirk["on"] == (quirk["number"] is None) for quirk in quirks)
    assert (parameters["retention_days"], parameters["page_size"]) == (30, 2)
    assert [(each["word"], each["contains"]) for each in faults] == [("expired", "2026-03")]


def test_an_unknown_fault_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--fault", "plague"])
    assert "no such fault: plague" in capsys.readouterr().err


def test_every_kind_is_described_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name, kind in (KINDS | UNKNOWN_KINDS).items():
        assert f"{name} " in shown
        assert kind.description in shown
    for quirk in Quirk:
        assert f"{quirk.number:>2} {quirk.label} " in shown
    for unknown in Unknown:
        assert f"  {unknown.label} " in shown
    for name in MEANINGS:
        assert f"  {name} " in shown
