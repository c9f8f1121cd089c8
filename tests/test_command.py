"""The command line: what each option does, and that every mistake is one line and a status."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from tap_clarity.sandbox import Sandbox
from tap_clarity.tap import TapClarity
from tests.tapping import TIMEOUT, TapRun, calls, catalog_of, expected_records, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = Any
CANARY = "cAnArY7731"
"""A value that must turn up in no message."""
NOWHERE = {"api_key": CANARY, "org": "invented", "api_url": "http://127.0.0.1:9"}
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
NO_JSON = ["", '{"org":', "\ufeff{}", "{'org': 1}", "[" * 100_000]
NO_OBJECTS = ["[]", '[["org", "x"]]', '"x"', '""', "null", "5"]
NO_CATALOGS = [
    *NO_OBJECTS,
    '{"streams": 5}',
    '{"streams": [5]}',
    '{"streams": [{}]}',
    '{"streams": [{"tap_stream_id": "metrics", "schema": 5}]}',
    '{"streams": [{"tap_stream_id": "metrics", "schema": {}}]}',
    '{"streams": [{"tap_stream_id": "metrics", "schema": {}, "metadata": 5}]}',
]
NO_STATES: list[tuple[Json, str]] = [
    ([1], "The state is not a Singer state: starting without one"),
    ([], "The state is not a Singer state: starting without one"),
    ("x", "The state is not a Singer state: starting without one"),
    (5, "The state is not a Singer state: starting without one"),
    ({"bookmarks": 5}, "The state is not a Singer state: starting without one"),
    ({"bookmarks": None}, "The state is not a Singer state: starting without one"),
    ({"bookmarks": [1]}, "The state is not a Singer state: starting without one"),
    ({"nodes": {}}, "The state is not a Singer state: starting without one"),
    ({"singer_state": 5}, "The state is not a Singer state: starting without one"),
    ({"bookmarks": {"metrics": 5}}, "The state of metrics is unusable: starting afresh"),
    ({"bookmarks": {"gone": [1]}}, "The state is another tap's: starting without one"),
]
QUIET_STATES: list[Json] = [
    None,
    {},
    {"bookmarks": {}},
    {"singer_state": {}},
    {"bookmarks": {"metrics": None, "gone": {"some": "thing"}}, "currently_syncing": None},
    {"bookmarks": {"metrics": {"partitions": None, "progress_markers": None}}},
    {"bookmarks": {"metrics": {"partitions": [5, {"context": {"a": 1}}]}}},
    {"bookmarks": {"metrics": {"progress_markers": 5, "replication_key": 5}}},
]


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    out: str
    errors: list[str]
    warnings: list[str]

    @property
    def messages(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def command(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Answer]]:
    """The command line, without a process of its own: a traceback or a wait fails the test."""
    monkeypatch.setattr(TapClarity, "_setup_signal_handlers", lambda _: None)
    monkeypatch.setattr(time, "sleep", Mock(side_effect=AssertionError("the command waits")))
    for name in [name for name in os.environ if name.startswith("TAP_CLARITY_")]:
        monkeypatch.delenv(name)

    def said(level: int) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == level]

    def run(*args: str) -> Answer:
        caplog.clear()
        with pytest.raises(SystemExit) as end:
            TapClarity.get_singer_command().main(list(args))
        status = int(end.value.code or 0)
        return Answer(status, capfd.readouterr().out, said(logging.ERROR), said(logging.WARNING))

    yield run
    logging.captureWarnings(capture=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Json], str]:
    """Makes an option of a file's content, JSON unless it is text or bytes already."""

    def file(option: str, content: Json) -> str:
        path = tmp_path / option.strip("-")
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return f"{option}={path}"

    return file


def config_for(sandbox: Sandbox, **given: Json) -> Json:
    return {"api_url": sandbox.url, "api_key": sandbox.api_key, "org": sandbox.org} | given


def tap(*args: str, **variables: str) -> TapRun:
    done = subprocess.run(
        [sys.executable, "-m", "tap_clarity", *args],
        capture_output=True,
        env={**os.environ, **variables},
        timeout=TIMEOUT,
        check=False,
    )
    return TapRun(done.returncode, done.stdout, done.stderr.decode())


def test_version_names_the_tap_and_the_sdk(command: Callable[..., Answer]) -> None:
    ours, sdks = (importlib.metadata.version(name) for name in ("tap-clarity", "singer-sdk"))
    assert command("--version").out == f"tap-clarity v{ours}, Meltano SDK v{sdks}\n"


def test_about_as_json_lists_every_setting_and_marks_the_secret(
    command: Callable[..., Answer],
) -> None:
    settings = json.loads(command("--about", "--format=json").out)["settings"]
    assert settings["properties"].keys() >= SETTINGS
    assert settings["required"] == ["api_key", "org"]
    secrets = [name for name, spec in settings["properties"].items() if spec.get("secret")]
    assert secrets == ["api_key"]
    assert settings["properties"]["report_daily_limit"]["default"] == 25


@pytest.mark.parametrize("form", [[], ["--format=markdown"]], ids=["text", "markdown"])
def test_about_names_every_setting(command: Callable[..., Answer], form: list[str]) -> None:
    answer = command("--about", *form)
    assert answer.status == 0
    assert [name for name in SETTINGS if name not in answer.out] == []


def test_discovery_needs_no_setting(command: Callable[..., Answer]) -> None:
    answer = command("--discover")
    assert answer.status == 0
    assert {each["tap_stream_id"] for each in json.loads(answer.out)["streams"]} == STREAMS


def test_discovery_with_an_empty_config_file_is_the_same(
    command: Callable[..., Answer], write: Callable[[str, Json], str]
) -> None:
    assert command(write("--config", {}), "--discover").out == command("--discover").out


@pytest.mark.parametrize("option", ["--discover", "--test", "--test=schema", "--plan", None])
def test_a_wrong_setting_is_one_error_whatever_the_command(
    command: Callable[..., Answer], write: Callable[[str, Json], str], option: str | None
) -> None:
    config = NOWHERE | {"lookback_days": CANARY}
    answer = command(write("--config", config), *([option] if option else []))
    (error,) = answer.errors
    assert error.endswith("setting lookback_days must be a whole number")
    assert (answer.status, answer.out) == (1, "")


def test_the_real_command_says_a_mistake_in_one_line_and_without_the_value(
    write: Callable[[str, Json], str],
) -> None:
    config = {"api_key": 7731, "org": CANARY, "output_frequncy": CANARY}
    run = tap(write("--config", config), TAP_CLARITY_LOGLEVEL="DEBUG")
    assert run.status == 1
    assert run.complaints == [
        "setting output_frequncy is unknown: did you mean output_frequency?",
        "setting api_key must be text",
    ]
    assert "Traceback" not in run.errors
    assert not [word for word in (CANARY, "7731") if word in run.errors + run.output.decode()]


def test_the_real_command_reads_its_settings_from_the_environment(sandbox: Sandbox) -> None:
    variables = {"API_URL": sandbox.url, "API_KEY": sandbox.api_key, "ORG": sandbox.org}
    given = {f"TAP_CLARITY_{name}": value for name, value in variables.items()}
    assert tap("--config=ENV", "--test", **given).check().complaints == []
    run = tap("--config=ENV", "--test", **given, TAP_CLARITY_QC_FLAGS=CANARY)
    assert run.status == 1
    assert run.complaints == ["environment variable TAP_CLARITY_QC_FLAGS must be true or false"]
    assert CANARY not in run.errors


def test_a_later_config_file_wins_and_the_environment_over_both(
    command: Callable[..., Answer],
    write: Callable[[str, Json], str],
    tmp_path: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = write("--config", config_for(sandbox, org=CANARY, api_key=CANARY))
    second = tmp_path / "second"
    second.write_text(json.dumps({"org": sandbox.org}))
    monkeypatch.setenv("TAP_CLARITY_API_KEY", sandbox.api_key)
    assert command(first, f"--config={second}", "--config=ENV", "--test").status == 0


@pytest.mark.parametrize("option", ["--config", "--catalog", "--state"])
@pytest.mark.parametrize("content", [*NO_JSON, b'{"org": "\xff"}'], ids=range(len(NO_JSON) + 1))
def test_a_file_that_is_not_json_is_named(
    command: Callable[..., Answer],
    write: Callable[[str, Json], str],
    option: str,
    content: str | bytes,
) -> None:
    config = write("--config", NOWHERE)
    answer = command(config, write(option, content))
    assert answer.errors == [f"the {option.strip('-')} file is not JSON: mend it"]
    assert (answer.status, answer.out) == (1, "")


@pytest.mark.parametrize("content", NO_OBJECTS)
def test_a_config_that_is_not_an_object_is_refused(
    command: Callable[..., Answer], write: Callable[[str, Json], str], content: str
) -> None:
    answer = command(write("--config", content), "--discover")
    assert answer.errors == ["the config file is not a JSON object: mend it"]
    assert (answer.status, answer.out) == (1, "")


@pytest.mark.parametrize("content", NO_CATALOGS)
def test_a_catalog_of_another_form_is_refused(
    command: Callable[..., Answer], write: Callable[[str, Json], str], content: str
) -> None:
    config = write("--config", NOWHERE)
    answer = command(config, write("--catalog", content))
    assert answer.errors == ["the catalog file is not a Singer catalog: discover it anew"]
    assert (answer.status, answer.out) == (1, "")


@pytest.mark.parametrize("option", ["--config", "--catalog", "--state"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing.json", "No such file or directory"), (".", "Is a directory")],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    command: Callable[..., Answer], tmp_path: Path, option: str, path: str, reason: str
) -> None:
    answer = command(f"{option}={tmp_path / path}")
    (error,) = answer.errors
    assert option.strip("-") in error
    assert str(tmp_path) in error
    assert error.endswith(reason)
    assert answer.status == 1


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("--nonsense", "No such option"),
        ("--format=nonsense", "--format"),
        ("--test=nonsense", "write --test or --test=schema"),
        ("stray", "unexpected extra argument"),
    ],
)
def test_a_wrong_option_is_one_error(
    command: Callable[..., Answer],
    sandbox: Sandbox,
    write: Callable[[str, Json], str],
    option: str,
    error: str,
) -> None:
    answer = command(write("--config", config_for(sandbox)), option)
    (said,) = answer.errors
    assert error in said
    assert "\n" not in said
    assert (answer.status, answer.out) == (1, "")
    assert not list(calls(sandbox))


@pytest.mark.parametrize(
    ("trouble", "ending"),
    [
        (OSError(28, "No room"), Answer(1, "", ["the system says: No room"], [])),
        (OSError(28, "No room", "some/file"), Answer(1, "", ["some/file: No room"], [])),
        (KeyboardInterrupt(), Answer(130, "", [], ["stopped by SIGINT"])),
    ],
    ids=range(3),
)
def test_what_the_system_says_is_one_line(
    command: Callable[..., Answer],
    monkeypatch: pytest.MonkeyPatch,
    trouble: BaseException,
    ending: Answer,
) -> None:
    monkeypatch.setattr(TapClarity, "print_version", Mock(side_effect=trouble))
    assert command() == ending


def test_a_bug_is_not_passed_off_as_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TapClarity, "print_version", Mock(side_effect=OSError("a bug")))
    with pytest.raises(OSError, match="a bug"):
        TapClarity.get_singer_command().main([])


def test_test_sends_one_request_and_asks_for_no_report(
    command: Callable[..., Answer], sandbox: Sandbox, write: Callable[[str, Json], str]
) -> None:
    answer = command(write("--config", config_for(sandbox)), "--test")
    assert (answer.status, answer.out, answer.errors) == (0, "", [])
    assert [(call["method"], call["path"]) for call in calls(sandbox)] == [
        ("GET", "/v2/datasources")
    ]


def test_test_of_the_schemas_sends_no_request(
    command: Callable[..., Answer], sandbox: Sandbox, write: Callable[[str, Json], str]
) -> None:
    answer = command(write("--config", config_for(sandbox)), "--test=schema")
    assert answer.status == 0
    assert {message["type"] for message in answer.messages} == {"SCHEMA"}
    assert {message["stream"] for message in answer.messages} == STREAMS
    assert not list(calls(sandbox))


WRONG = [
    ("api_key", "check the setting api_key"),
    ("org", "check that it has a role in the organisation of the setting org"),
]


@pytest.mark.parametrize(("setting", "remedy"), WRONG)
def test_test_says_what_clarity_refuses(
    command: Callable[..., Answer],
    sandbox: Sandbox,
    write: Callable[[str, Json], str],
    setting: str,
    remedy: str,
) -> None:
    answer = command(write("--config", config_for(sandbox, **{setting: CANARY})), "--test")
    (error,) = answer.errors
    assert remedy in error
    assert CANARY not in error
    assert (answer.status, answer.out) == (1, "")


@pytest.mark.parametrize(("setting", "remedy"), WRONG)
def test_a_run_that_clarity_refuses_ends_with_one_line(
    sandbox: Sandbox, setting: str, remedy: str
) -> None:
    debug = {"TAP_CLARITY_LOGLEVEL": "DEBUG"}
    run = run_tap(sandbox, state={"bookmarks": {}}, env=debug, **{setting: CANARY})
    (error,) = run.complaints
    assert remedy in error
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert CANARY not in run.errors
    assert not list(calls(sandbox, "POST", "/v2/report-requests"))


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [("metric_select", ":wind", "metricSelect"), ("datasource_ids", [CANARY], "datasourceIds")],
)
def test_a_parameter_that_clarity_refuses_is_one_line(
    sandbox: Sandbox, setting: str, value: Json, named: str
) -> None:
    run = run_tap(sandbox, streams=["recent_measurements"], **{setting: value})
    (error,) = run.complaints
    assert named in error
    assert "check th" in error
    assert CANARY not in run.errors
    assert "Traceback" not in run.errors
    assert run.status == 1


@pytest.mark.parametrize("args", [["--test"], []], ids=["test", "run"])
def test_an_unreachable_host_is_one_line_after_a_bounded_wait(
    sandbox: Sandbox, args: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    before = sandbox.clock.now()
    run = run_tap(sandbox, *args, streams=["nodes"], api_url=f"http://127.0.0.1:{port}/{CANARY}")
    (error,) = run.complaints
    assert "check the network and the setting api_url" in error
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert CANARY not in run.errors
    assert timedelta(0) < sandbox.clock.now() - before <= timedelta(seconds=180)


def test_the_key_is_in_no_output_at_any_level() -> None:
    with Sandbox(seed=1, datasources=3, now="2026-03-10T09:20Z", frozen=True, api_key=CANARY) as it:
        run = run_tap(it, start_date="2026-03-09", env={"TAP_CLARITY_LOGLEVEL": "DEBUG"}).check()
    assert run.records("datasource_measurements")
    assert "| DEBUG " in run.errors
    assert CANARY not in run.errors
    assert CANARY.encode() not in run.output


@pytest.mark.parametrize(("given", "made_for"), [("long", "wide"), ("wide", "long")])
def test_a_catalog_of_the_other_layout_is_refused(
    command: Callable[..., Answer],
    write: Callable[[str, Json], str],
    given: str,
    made_for: str,
) -> None:
    config = NOWHERE | {"measurement_layout": given}
    catalog = catalog_of(["recent_measurements"], made_for)
    answer = command(write("--config", config), write("--catalog", catalog))
    (error,) = answer.errors
    assert f"made for measurement_layout {made_for}, not {given}" in error
    assert "discover it anew" in error
    assert (answer.status, answer.out) == (1, "")


@pytest.mark.parametrize(("state", "warning"), NO_STATES, ids=range(len(NO_STATES)))
def test_a_state_of_another_form_is_said_and_survived(
    command: Callable[..., Answer],
    write: Callable[[str, Json], str],
    state: Json,
    warning: str,
) -> None:
    answer = run_metrics(command, write, state)
    assert answer.warnings == [warning]


@pytest.mark.parametrize("state", QUIET_STATES, ids=range(len(QUIET_STATES)))
def test_an_old_or_cleared_state_is_nothing_to_speak_of(
    command: Callable[..., Answer], write: Callable[[str, Json], str], state: Json
) -> None:
    assert run_metrics(command, write, state).warnings == []


def run_metrics(
    command: Callable[..., Answer], write: Callable[[str, Json], str], state: Json
) -> Answer:
    """Read the dictionary, which needs no network; it comes whole and once, whatever the state."""
    config = write("--config", NOWHERE)
    catalog = write("--catalog", catalog_of(["metrics"]))
    answer = command(config, catalog, write("--state", json.dumps(state)))
    assert (answer.status, answer.errors) == (0, [])
    names = [each["record"]["metric"] for each in answer.messages if each["type"] == "RECORD"]
    assert len(names) == len(set(names)) > 50
    return answer


MEASUREMENTS = ["recent_measurements", "datasource_measurements"]
JUNK: list[tuple[Json, Json]] = [
    ({"continuation_token": 5}, {"covered": [["2026-03-01", 5]]}),
    ({"token_issued_at": CANARY}, {"reports": [["JB1", "2026-03-01"]]}),
    ({"holes": {"a": 1}}, {"requests_on": CANARY}),
]


def measured(sandbox: Sandbox, state: Json) -> TapRun:
    """Run the measurement streams; they hold the truth, whatever the state."""
    now = sandbox.clock.now()
    start = datetime(2026, 3, 9, tzinfo=UTC)
    run = run_tap(
        sandbox, streams=MEASUREMENTS, state=state, metric_select="all", start_date="2026-03-09"
    ).check()
    for stream, since in zip(MEASUREMENTS, (now - timedelta(hours=48), start), strict=True):
        until = now if stream == "recent_measurements" else now.replace(minute=0)
        truth = sandbox.world.truth("hour", since, until, sandbox.clock.now())
        assert run.upserted(stream) == expected_records(truth)
    return run


@pytest.mark.parametrize(("recent", "reports"), JUNK, ids=range(len(JUNK)))
def test_wrong_types_in_a_streams_state_are_said_and_survived(
    sandbox: Sandbox, recent: Json, reports: Json
) -> None:
    bookmarks = dict(zip(MEASUREMENTS, (recent, reports), strict=True))
    run = measured(sandbox, {"bookmarks": bookmarks})
    warnings = [line for line in run.errors.splitlines() if "| WARNING " in line]
    assert [name for name, line in zip(MEASUREMENTS, warnings, strict=True) if name in line] == (
        MEASUREMENTS
    )
    assert CANARY not in run.errors


def test_a_state_that_meltano_has_cleared_is_a_new_start(sandbox: Sandbox) -> None:
    written = measured(sandbox, None).state["bookmarks"]
    cleared = {stream: dict.fromkeys(written[stream]) for stream in MEASUREMENTS}
    assert all(cleared.values())
    run = measured(sandbox, {"bookmarks": cleared})
    assert "| WARNING " not in run.errors


def test_stream_maps_apply(sandbox: Sandbox) -> None:
    maps = {"nodes": {"__alias__": "devices", "label": "node_id + '!'", "model": None}}
    run = run_tap(sandbox, streams=["nodes"], stream_maps=maps).check()
    ids = [node["node_id"] for node in sandbox.world.resource("nodes", sandbox.clock.now())]
    assert [record["label"] for record in run.records("devices")] == [f"{id_}!" for id_ in ids]
    assert run.records("nodes") == []
    assert not [record for record in run.records("devices") if "model" in record]


def test_flattening_applies(sandbox: Sandbox) -> None:
    run = run_tap(
        sandbox, streams=["datasources"], flattening_enabled=True, flattening_max_depth=1
    ).check()
    truth = sandbox.world.resource("datasources", sandbox.clock.now())
    assert [record["org_annotations__name"] for record in run.records("datasources")] == [
        datasource["org_annotations"]["name"] for datasource in truth
    ]


def test_an_expression_that_fails_half_way_is_one_line(sandbox: Sandbox) -> None:
    run = run_tap(sandbox, streams=["nodes"], stream_maps={"nodes": {"x": CANARY}})
    (error,) = run.complaints
    assert error.startswith("setting stream_maps ")
    assert run.status == 1
    assert "Traceback" not in run.errors
    assert CANARY not in error


def test_the_tap_names_itself_and_its_version_unless_told_otherwise(sandbox: Sandbox) -> None:
    run_tap(sandbox, "--test").check()
    run_tap(sandbox, "--test", user_agent="city of Saltbay").check()
    version = importlib.metadata.version("tap-clarity")
    assert [call["headers"]["user-agent"] for call in calls(sandbox)] == [
        f"tap-clarity/{version}",
        "city of Saltbay",
    ]
