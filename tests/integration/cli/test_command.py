"""The command line: what each option does, and that each error is one line and a status."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.tap import TapClarity
from tests.support.cli_runner import CANARY, UNREACHABLE_SETTINGS, CommandResult, Json
from tests.support.tap_process import TIMEOUT, TapRun, received_requests, run_tap, sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = {
    *("api_key", "org", "api_url", "start_date", "end_date", "output_frequency", "datasource_ids"),
    *("node_ids", "reference_site_ids", "metric_select", "qc_assessment", "qc_flags"),
    *("measurement_layout", "report_window_days", "report_interval_hours", "lookback_days"),
    *("report_daily_limit", "report_file_format", "report_concurrency", "report_poll_interval"),
    *("report_wait_timeout", "recover_gaps", "request_timeout", "user_agent"),
    *("stream_maps", "stream_map_config", "flattening_enabled", "flattening_max_depth"),
}
STREAMS = {
    *("datasources", "datasource_details", "subscriptions", "nodes", "node_status_summaries"),
    *("node_statuses", "node_alarms", "accessory_modules", "metrics", "recent_measurements"),
    *("datasource_measurements", "node_measurements", "reference_site_measurements"),
}


def tap(*args: str, **variables: str) -> TapRun:
    done = subprocess.run(
        [sys.executable, "-m", "tap_clarity", *args],
        capture_output=True,
        env={**os.environ, **variables},
        timeout=TIMEOUT,
        check=False,
    )
    return TapRun(done.returncode, done.stdout, done.stderr.decode())


def test_version_names_tap_and_sdk(command: Callable[..., CommandResult]) -> None:
    tap_version, sdk_version = (
        importlib.metadata.version(name) for name in ("tap-clarity", "singer-sdk")
    )
    assert command("--version").out == f"tap-clarity v{tap_version}, Meltano SDK v{sdk_version}\n"


def test_about_json_lists_every_setting_and_marks_the_secret(
    command: Callable[..., CommandResult],
) -> None:
    settings = json.loads(command("--about", "--format=json").out)["settings"]
    assert settings["properties"].keys() >= SETTINGS
    assert settings["required"] == ["api_key", "org"]
    secrets = [name for name, spec in settings["properties"].items() if spec.get("secret")]
    assert secrets == ["api_key"]
    assert settings["properties"]["report_daily_limit"]["default"] == 25


@pytest.mark.parametrize("form", [[], ["--format=markdown"]], ids=["text", "markdown"])
def test_about_names_every_setting(command: Callable[..., CommandResult], form: list[str]) -> None:
    result = command("--about", *form)
    assert result.status == 0
    assert [name for name in SETTINGS if name not in result.out] == []


def test_discovery_needs_no_setting(command: Callable[..., CommandResult]) -> None:
    result = command("--discover")
    assert result.status == 0
    assert {each["tap_stream_id"] for each in json.loads(result.out)["streams"]} == STREAMS


def test_discovery_with_empty_config_file_gives_the_same_catalog(
    command: Callable[..., CommandResult], write_option: Callable[[str, Json], str]
) -> None:
    assert command(write_option("--config", {}), "--discover").out == command("--discover").out


@pytest.mark.parametrize("option", ["--version", "--discover"])
def test_optional_modules_are_not_imported_without_need(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tap_clarity", option],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "tap_clarity.tap" in imported
    parts = {
        ".".join(name.split(".")[: 2 if name.startswith("tap_clarity") else 1]) for name in imported
    }
    slow_modules = {"pyarrow", "pendulum", "duckdb", "plotly", "jinja2", "tap_clarity.sandbox"}
    assert not parts & {*slow_modules, "tap_clarity.page", "tap_clarity.demo"}


@pytest.mark.parametrize("option", ["--discover", "--test", "--test=schema", "--plan", None])
def test_invalid_setting_is_one_error_for_every_command(
    command: Callable[..., CommandResult],
    write_option: Callable[[str, Json], str],
    option: str | None,
) -> None:
    config = UNREACHABLE_SETTINGS | {"lookback_days": CANARY}
    result = command(write_option("--config", config), *([option] if option else []))
    (error,) = result.errors
    assert error.endswith("setting lookback_days must be a whole number")
    assert (result.status, result.out) == (1, "")


def test_process_reports_invalid_setting_in_one_line_without_its_value(
    write_option: Callable[[str, Json], str],
) -> None:
    config = {"api_key": 7731, "org": CANARY, "output_frequncy": CANARY}
    run = tap(write_option("--config", config), TAP_CLARITY_LOGLEVEL="DEBUG")
    assert run.status == 1
    assert run.error_lines == [
        "setting output_frequncy is unknown: did you mean output_frequency?",
        "setting api_key must be text",
    ]
    assert "Traceback" not in run.errors
    assert not [word for word in (CANARY, "7731") if word in run.errors + run.output.decode()]


def test_process_reads_settings_from_the_environment(sandbox: Sandbox) -> None:
    variables = {"API_URL": sandbox.url, "API_KEY": sandbox.api_key, "ORG": sandbox.org}
    given = {f"TAP_CLARITY_{name}": value for name, value in variables.items()}
    assert tap("--config=ENV", "--test", **given).check().error_lines == []
    run = tap("--config=ENV", "--test", **given, TAP_CLARITY_QC_FLAGS=CANARY)
    assert run.status == 1
    assert run.error_lines == ["environment variable TAP_CLARITY_QC_FLAGS must be true or false"]
    assert CANARY not in run.errors


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("--nonsense", "No such option"),
        ("--format=nonsense", "--format"),
        ("--test=nonsense", "write --test or --test=schema"),
        ("stray", "unexpected extra argument"),
    ],
)
def test_invalid_option_is_one_error(
    command: Callable[..., CommandResult],
    sandbox: Sandbox,
    write_option: Callable[[str, Json], str],
    option: str,
    error: str,
) -> None:
    result = command(write_option("--config", sandbox_settings(sandbox)), option)
    (error_line,) = result.errors
    assert error in error_line
    assert "\n" not in error_line
    assert (result.status, result.out) == (1, "")
    assert not list(received_requests(sandbox))


@pytest.mark.parametrize(
    ("exception", "expected_result"),
    [
        (OSError(28, "No room"), CommandResult(1, "", ["the system says: No room"], [])),
        (OSError(28, "No room", "some/file"), CommandResult(1, "", ["some/file: No room"], [])),
        (KeyboardInterrupt(), CommandResult(130, "", [], ["stopped by SIGINT"])),
    ],
    ids=range(3),
)
def test_system_error_or_interrupt_is_one_line(
    command: Callable[..., CommandResult],
    monkeypatch: pytest.MonkeyPatch,
    exception: BaseException,
    expected_result: CommandResult,
) -> None:
    monkeypatch.setattr(TapClarity, "print_version", Mock(side_effect=exception))
    assert command() == expected_result


def test_bug_is_not_reported_as_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TapClarity, "print_version", Mock(side_effect=OSError("a bug")))
    with pytest.raises(OSError, match="a bug"):
        TapClarity.get_singer_command().main([])


def test_connection_test_sends_one_request_and_requests_no_report(
    command: Callable[..., CommandResult],
    sandbox: Sandbox,
    write_option: Callable[[str, Json], str],
) -> None:
    result = command(write_option("--config", sandbox_settings(sandbox)), "--test")
    assert (result.status, result.out, result.errors) == (0, "", [])
    assert [(call["method"], call["path"]) for call in received_requests(sandbox)] == [
        ("GET", "/v2/datasources")
    ]


def test_schema_test_sends_no_request(
    command: Callable[..., CommandResult],
    sandbox: Sandbox,
    write_option: Callable[[str, Json], str],
) -> None:
    result = command(write_option("--config", sandbox_settings(sandbox)), "--test=schema")
    assert result.status == 0
    assert {message["type"] for message in result.messages} == {"SCHEMA"}
    assert {message["stream"] for message in result.messages} == STREAMS
    assert not list(received_requests(sandbox))


WRONG_SETTINGS = [
    ("api_key", "check the setting api_key"),
    ("org", "check that it has a role in the organisation of the setting org"),
]


@pytest.mark.parametrize(("setting", "remedy"), WRONG_SETTINGS)
def test_connection_test_reports_rejection_by_clarity(
    command: Callable[..., CommandResult],
    sandbox: Sandbox,
    write_option: Callable[[str, Json], str],
    setting: str,
    remedy: str,
) -> None:
    result = command(
        write_option("--config", sandbox_settings(sandbox) | {setting: CANARY}), "--test"
    )
    (error,) = result.errors
    assert remedy in error
    assert CANARY not in error
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize(("setting", "remedy"), WRONG_SETTINGS)
def test_run_rejected_by_clarity_ends_with_one_line(
    sandbox: Sandbox, setting: str, remedy: str
) -> None:
    debug = {"TAP_CLARITY_LOGLEVEL": "DEBUG"}
    run = run_tap(sandbox, state={"bookmarks": {}}, env=debug, **{setting: CANARY})
    (error,) = run.error_lines
    assert remedy in error
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert CANARY not in run.errors
    assert not list(received_requests(sandbox, "POST", "/v2/report-requests"))


@pytest.mark.parametrize(
    ("setting", "value", "parameter"),
    [("metric_select", ":wind", "metricSelect"), ("datasource_ids", [CANARY], "datasourceIds")],
)
def test_parameter_rejected_by_clarity_is_one_line(
    sandbox: Sandbox, setting: str, value: Json, parameter: str
) -> None:
    run = run_tap(sandbox, streams=["recent_measurements"], **{setting: value})
    (error,) = run.error_lines
    assert parameter in error
    assert "check th" in error
    assert CANARY not in run.errors
    assert "Traceback" not in run.errors
    assert run.status == 1


@pytest.mark.parametrize("args", [["--test"], []], ids=["test", "run"])
def test_unreachable_host_is_one_line_after_bounded_retries(
    sandbox: Sandbox, args: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    before = sandbox.clock.now()
    run = run_tap(sandbox, *args, streams=["nodes"], api_url=f"http://127.0.0.1:{port}/{CANARY}")
    (error,) = run.error_lines
    assert "check the network and the setting api_url" in error
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert CANARY not in run.errors
    assert timedelta(0) < sandbox.clock.now() - before <= timedelta(seconds=180)


def test_api_key_is_in_no_output_at_any_log_level() -> None:
    with Sandbox(seed=1, datasources=3, now="2026-03-10T09:20Z", frozen=True, api_key=CANARY) as it:
        run = run_tap(it, start_date="2026-03-09", env={"TAP_CLARITY_LOGLEVEL": "DEBUG"}).check()
    assert run.records("datasource_measurements")
    assert "| DEBUG " in run.errors
    assert CANARY not in run.errors
    assert CANARY.encode() not in run.output


def test_stream_maps_are_applied(sandbox: Sandbox) -> None:
    maps = {"nodes": {"__alias__": "devices", "label": "node_id + '!'", "model": None}}
    run = run_tap(sandbox, streams=["nodes"], stream_maps=maps).check()
    ids = [node["node_id"] for node in sandbox.expected.records("nodes", sandbox.clock.now())]
    assert [record["label"] for record in run.records("devices")] == [f"{id_}!" for id_ in ids]
    assert run.records("nodes") == []
    assert not [record for record in run.records("devices") if "model" in record]


def test_flattening_is_applied(sandbox: Sandbox) -> None:
    run = run_tap(
        sandbox, streams=["datasources"], flattening_enabled=True, flattening_max_depth=1
    ).check()
    expected = sandbox.expected.records("datasources", sandbox.clock.now())
    assert [record["org_annotations__name"] for record in run.records("datasources")] == [
        datasource["org_annotations"]["name"] for datasource in expected
    ]


def test_stream_map_expression_that_fails_during_sync_is_one_line(sandbox: Sandbox) -> None:
    run = run_tap(sandbox, streams=["nodes"], stream_maps={"nodes": {"x": CANARY}})
    (error,) = run.error_lines
    assert error.startswith("setting stream_maps ")
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert CANARY not in error


def test_default_user_agent_names_tap_and_version(sandbox: Sandbox) -> None:
    run_tap(sandbox, "--test").check()
    run_tap(sandbox, "--test", user_agent="city of Saltbay").check()
    version = importlib.metadata.version("tap-clarity")
    assert [call["headers"]["user-agent"] for call in received_requests(sandbox)] == [
        f"tap-clarity/{version}",
        "city of Saltbay",
    ]
