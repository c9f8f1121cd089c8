"""Clock, request log and truth over HTTP; the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.cli import main
from tap_clarity.sandbox.world import metadata
from tests.support.sandbox_client import Client, fetch

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "tap_clarity.sandbox"]


def test_truth_over_http_is_the_python_truth(client: Client) -> None:
    start, end, as_of = "2026-11-18", "2026-11-20", "2026-11-20T09:00:00Z"
    told = list(client.sandbox.world.truth("hour", start, end, as_of))
    lines = client.get("/_sandbox/truth", frequency="hour", start=start, end=end, as_of=as_of).lines
    assert len(lines) == len(told) > 0
    for line, each in zip(lines, told, strict=True):
        assert line["qc_flags"] == list(each.qc_flags)
        assert line["time"] == each.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        same = ("org", "datasource_id", "source_id", "metric", "raw", "value", "status")
        assert all(line[name] == getattr(each, name) for name in same)


def test_truth_of_chosen_datasources_and_of_resources(client: Client) -> None:
    chosen = client.sandbox.world.datasources[0].datasource_id
    query = {"start": "2026-11-19", "end": "2026-11-20", "datasource_ids": chosen}
    lines = client.get("/_sandbox/truth", frequency="day", **query).lines
    assert {line["datasource_id"] for line in lines} == {chosen}
    told = list(client.sandbox.world.resource("datasources", client.sandbox.clock.now()))
    assert client.get("/_sandbox/truth/datasources").lines == told
    assert client.get("/_sandbox/truth/moons").status == 400
    assert client.get("/_sandbox/truth", frequency="week").status == 400
    assert client.get("/_sandbox/truth").status == 400
    assert client.get("/_sandbox/nothing").status == 404


def test_the_clock_is_read_set_and_moved_over_http(client: Client) -> None:
    assert client.get("/_sandbox/clock").json == {"now": "2026-11-20T13:07:00.000Z", "frozen": True}
    client.post("/_sandbox/clock", {"now": "2026-12-01T00:00:00Z", "advance_seconds": 90})
    assert client.sandbox.clock.now().isoformat() == "2026-12-01T00:01:30+00:00"
    assert client.post("/_sandbox/clock", {"now": "tomorrow"}).status == 400
    assert client.post("/_sandbox/clock", {"frozen": False}).json["frozen"] is False


def test_an_unfrozen_clock_ticks() -> None:
    sandbox = Sandbox(now="2026-01-01T00:00:00Z")
    before = sandbox.clock.millis()
    time.sleep(0.01)
    assert before < sandbox.clock.millis() < before + 5000


def test_the_request_log_keeps_all_but_the_key(client: Client) -> None:
    client.recent("hour", format="csv-wide")
    client.get("/v2/nothing")
    first, second = client.get("/_sandbox/requests").json
    assert first["body"]["format"] == "csv-wide"
    assert (first["method"], first["status"], first["at"]) == (
        "POST",
        200,
        "2026-11-20T13:07:00.000Z",
    )
    assert (second["path"], second["query"], second["status"]) == (
        "/v2/nothing",
        {"org": client.sandbox.org},
        404,
    )
    assert client.sandbox.api_key not in str(list(client.sandbox.requests))
    client.send("DELETE", "/_sandbox/requests", None, None)
    assert len(client.sandbox.requests) == 0


def test_a_large_world_starts_in_under_a_second() -> None:
    began = time.monotonic()
    with Sandbox(datasources=1_000_000, now="2026-11-20") as sandbox:
        assert fetch(f"{sandbox.url}/_sandbox/clock").status == 200
    assert time.monotonic() - began < 1


def test_a_command_runs_inside_and_hands_its_status_on() -> None:
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


def test_a_command_that_does_not_exist_is_said_in_one_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    done = subprocess.run([*COMMAND, "--", missing], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert missing in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(number: signal.Signals) -> None:
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


def test_a_signal_reaches_the_command() -> None:
    script = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    done = subprocess.run(
        [*COMMAND, sys.executable, "-c", script],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 128 + signal.SIGTERM


def test_a_bad_instant_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--now", "soon"])
    assert "soon" in capsys.readouterr().err


def test_it_runs_from_a_clone_with_a_bare_python() -> None:
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


def test_a_fault_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--fault", "plague"])
    assert "no such fault: plague" in capsys.readouterr().err


def test_a_defect_of_the_sandbox_itself_is_not_hidden(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(metadata, "datasource_list", broken)
    with pytest.raises(RemoteDisconnected):
        client.get("/v2/datasources")
    assert "ZeroDivisionError" in capsys.readouterr().err
