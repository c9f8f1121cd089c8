"""Config, catalog and state files: valid ones are read, malformed ones rejected in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.cli_runner import CANARY, UNREACHABLE_SETTINGS, CommandResult, Json
from tests.support.tap_process import catalog_of, expected_records, run_tap, sandbox_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import TapRun

INVALID_JSON = ["", '{"org":', "\ufeff{}", "{'org': 1}", "[" * 100_000]
NON_OBJECTS = ["[]", '[["org", "x"]]', '"x"', '""', "null", "5"]
MALFORMED_CATALOGS = [
    *NON_OBJECTS,
    '{"streams": 5}',
    '{"streams": [5]}',
    '{"streams": [{}]}',
    '{"streams": [{"tap_stream_id": "metrics", "schema": 5}]}',
    '{"streams": [{"tap_stream_id": "metrics", "schema": {}}]}',
    '{"streams": [{"tap_stream_id": "metrics", "schema": {}, "metadata": 5}]}',
]
MALFORMED_STATES: list[tuple[Json, str]] = [
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
STATES_WITHOUT_WARNING: list[Json] = [
    None,
    {},
    {"bookmarks": {}},
    {"singer_state": {}},
    {"bookmarks": {"metrics": None, "gone": {"some": "thing"}}, "currently_syncing": None},
    {"bookmarks": {"metrics": {"partitions": None, "progress_markers": None}}},
    {"bookmarks": {"metrics": {"partitions": [5, {"context": {"a": 1}}]}}},
    {"bookmarks": {"metrics": {"progress_markers": 5, "replication_key": 5}}},
]


def test_later_config_file_overrides_earlier_and_environment_overrides_both(
    command: Callable[..., CommandResult],
    write_option: Callable[[str, Json], str],
    tmp_path: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = write_option("--config", sandbox_settings(sandbox) | {"org": CANARY, "api_key": CANARY})
    second = tmp_path / "second"
    second.write_text(json.dumps({"org": sandbox.org}))
    monkeypatch.setenv("TAP_CLARITY_API_KEY", sandbox.api_key)
    assert command(first, f"--config={second}", "--config=ENV", "--test").status == 0


@pytest.mark.parametrize("option", ["--config", "--catalog", "--state"])
@pytest.mark.parametrize("levels", [101, 600])
def test_a_file_that_is_nested_too_deep_is_named(
    command: Callable[..., CommandResult],
    write_option: Callable[[str, Json], str],
    option: str,
    levels: int,
) -> None:
    config = write_option("--config", UNREACHABLE_SETTINGS)
    result = command(config, write_option(option, "[" * levels + "]" * levels))
    assert result.errors == [f"the {option.strip('-')} file is nested deeper than 100 levels"]
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize("option", ["--config", "--catalog", "--state"])
@pytest.mark.parametrize(
    "content", [*INVALID_JSON, b'{"org": "\xff"}'], ids=range(len(INVALID_JSON) + 1)
)
def test_file_that_is_not_json_is_named_in_the_error(
    command: Callable[..., CommandResult],
    write_option: Callable[[str, Json], str],
    option: str,
    content: str | bytes,
) -> None:
    config = write_option("--config", UNREACHABLE_SETTINGS)
    result = command(config, write_option(option, content))
    assert result.errors == [f"the {option.strip('-')} file is not JSON: mend it"]
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize("content", NON_OBJECTS)
def test_config_that_is_not_an_object_is_rejected(
    command: Callable[..., CommandResult], write_option: Callable[[str, Json], str], content: str
) -> None:
    result = command(write_option("--config", content), "--discover")
    assert result.errors == ["the config file is not a JSON object: mend it"]
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize("content", MALFORMED_CATALOGS)
def test_malformed_catalog_is_rejected(
    command: Callable[..., CommandResult], write_option: Callable[[str, Json], str], content: str
) -> None:
    config = write_option("--config", UNREACHABLE_SETTINGS)
    result = command(config, write_option("--catalog", content))
    assert result.errors == ["the catalog file is not a Singer catalog: discover it anew"]
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize("option", ["--config", "--catalog", "--state"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing.json", "No such file or directory"), (".", "Is a directory")],
)
def test_unreadable_file_is_named_with_the_reason(
    command: Callable[..., CommandResult], tmp_path: Path, option: str, path: str, reason: str
) -> None:
    result = command(f"{option}={tmp_path / path}")
    (error,) = result.errors
    assert option.strip("-") in error
    assert str(tmp_path) in error
    assert error.endswith(reason)
    assert result.status == 1


@pytest.mark.parametrize(("given", "catalog_layout"), [("long", "wide"), ("wide", "long")])
def test_catalog_of_the_other_layout_is_rejected(
    command: Callable[..., CommandResult],
    write_option: Callable[[str, Json], str],
    given: str,
    catalog_layout: str,
) -> None:
    config = UNREACHABLE_SETTINGS | {"measurement_layout": given}
    catalog = catalog_of(["recent_measurements"], catalog_layout)
    result = command(write_option("--config", config), write_option("--catalog", catalog))
    (error,) = result.errors
    assert f"made for measurement_layout {catalog_layout}, not {given}" in error
    assert "discover it anew" in error
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize(("state", "warning"), MALFORMED_STATES, ids=range(len(MALFORMED_STATES)))
def test_malformed_state_is_warned_about_and_ignored(
    command: Callable[..., CommandResult],
    write_option: Callable[[str, Json], str],
    state: Json,
    warning: str,
) -> None:
    result = run_metrics(command, write_option, state)
    assert result.warnings == [warning]


@pytest.mark.parametrize("state", STATES_WITHOUT_WARNING, ids=range(len(STATES_WITHOUT_WARNING)))
def test_old_or_cleared_state_causes_no_warning(
    command: Callable[..., CommandResult], write_option: Callable[[str, Json], str], state: Json
) -> None:
    assert run_metrics(command, write_option, state).warnings == []


def run_metrics(
    command: Callable[..., CommandResult], write_option: Callable[[str, Json], str], state: Json
) -> CommandResult:
    """Read the dictionary, which needs no network; it comes whole and once, whatever the state."""
    config = write_option("--config", UNREACHABLE_SETTINGS)
    catalog = write_option("--catalog", catalog_of(["metrics"]))
    result = command(config, catalog, write_option("--state", json.dumps(state)))
    assert (result.status, result.errors) == (0, [])
    names = [each["record"]["metric"] for each in result.messages if each["type"] == "RECORD"]
    assert len(names) == len(set(names)) > 50
    return result


MEASUREMENTS = ["recent_measurements", "datasource_measurements"]
MALFORMED_BOOKMARKS: list[tuple[Json, Json]] = [
    ({"continuation_token": 5}, {"covered": [["2026-03-01", 5]]}),
    ({"token_issued_at": CANARY}, {"reports": [["JB1", "2026-03-01"]]}),
    ({"gaps": {"a": 1}}, {"requests": [CANARY, 1]}),
]


def run_measurements(sandbox: Sandbox, state: Json) -> TapRun:
    """Run the measurement streams; they hold the truth, whatever the state."""
    now = sandbox.clock.now()
    start = datetime(2026, 3, 9, tzinfo=UTC)
    run = run_tap(
        sandbox, streams=MEASUREMENTS, state=state, metric_select="all", start_date="2026-03-09"
    ).check()
    for stream, since in zip(MEASUREMENTS, (now - timedelta(hours=48), start), strict=True):
        until = now if stream == "recent_measurements" else now.replace(minute=0)
        expected = sandbox.expected.measurements("hour", since, until, sandbox.clock.now())
        assert run.upserted(stream) == expected_records(expected)
    return run


@pytest.mark.parametrize(
    ("recent", "reports"), MALFORMED_BOOKMARKS, ids=range(len(MALFORMED_BOOKMARKS))
)
def test_wrong_types_in_the_state_of_a_stream_are_warned_about_and_ignored(
    sandbox: Sandbox, recent: Json, reports: Json
) -> None:
    bookmarks = dict(zip(MEASUREMENTS, (recent, reports), strict=True))
    run = run_measurements(sandbox, {"bookmarks": bookmarks})
    warnings = [line for line in run.errors.splitlines() if "| WARNING " in line]
    assert [name for name, line in zip(MEASUREMENTS, warnings, strict=True) if name in line] == (
        MEASUREMENTS
    )
    assert CANARY not in run.errors


def test_state_cleared_by_meltano_starts_without_state(sandbox: Sandbox) -> None:
    written = run_measurements(sandbox, None).state["bookmarks"]
    cleared = {stream: dict.fromkeys(written[stream]) for stream in MEASUREMENTS}
    assert all(cleared.values())
    run = run_measurements(sandbox, {"bookmarks": cleared})
    assert "| WARNING " not in run.errors
