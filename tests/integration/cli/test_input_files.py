"""The files that the command reads: whatever is in them, it is taken, or refused in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.cli_runner import CANARY, NOWHERE, Answer, Json, config_for
from tests.support.tap_process import catalog_of, expected_records, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import TapRun

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
@pytest.mark.parametrize("levels", [101, 600])
def test_a_file_that_is_nested_too_deep_is_named(
    command: Callable[..., Answer], write: Callable[[str, Json], str], option: str, levels: int
) -> None:
    answer = command(write("--config", NOWHERE), write(option, "[" * levels + "]" * levels))
    assert answer.errors == [f"the {option.strip('-')} file is nested deeper than 100 levels"]
    assert (answer.status, answer.out) == (1, "")


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
    ({"gaps": {"a": 1}}, {"requests": [CANARY, 1]}),
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
        truth = sandbox.expected.measurements("hour", since, until, sandbox.clock.now())
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
