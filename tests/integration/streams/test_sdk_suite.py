"""The SDK's standard tests, and complete checks of what they check only in part.

The SDK's test of keys compares generators, which are never equal; its test of the final state reads
the wrong place; its tests of attributes check only the first one; and without rfc3339-validator any
`date-time` is valid.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from singer_sdk.singerlib.encoding import SimpleSingerWriter
from singer_sdk.testing import SuiteConfig, get_tap_test_class
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_clarity.sandbox import Sandbox
from tap_clarity.sandbox.http.server import Server
from tap_clarity.tap import TapClarity
from tests.support.constants import NOW
from tests.support.tap_in_process import SandboxClock
from tests.support.tap_process import catalog_of, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.tap_process import Json, TapRun

PER_MEASUREMENT = ("output_frequency", "metric", "time")
KEYS = {
    "datasources": ("org", "datasource_id"),
    "datasource_details": ("org", "datasource_id"),
    "subscriptions": ("org", "subscription_id"),
    "nodes": ("org", "node_id"),
    "node_status_summaries": ("org", "node_id"),
    "node_statuses": ("org", "node_id"),
    "node_alarms": ("org", "node_id", "alarm_type", "started_at"),
    "accessory_modules": ("org", "module_id"),
    "metrics": ("metric",),
    "recent_measurements": ("org", "datasource_id", *PER_MEASUREMENT),
    "datasource_measurements": ("org", "datasource_id", *PER_MEASUREMENT),
    "node_measurements": ("org", "node_id", *PER_MEASUREMENT),
    "reference_site_measurements": ("org", "reference_site_id", *PER_MEASUREMENT),
}
CHILDREN = ("datasource_details", "node_statuses", "node_alarms")
MEASUREMENTS = tuple(name for name, keys in KEYS.items() if "time" in keys)

# Reports that take no time leave the clock alone: all runs here are at the same instant.
CITY = Sandbox(seed=1, datasources=8, now=NOW, frozen=True, report_seconds=0)
CONFIG: dict[str, Json] = {
    "api_key": CITY.api_key,
    "org": CITY.org,
    "start_date": "2026-03-08",
    "metric_select": "all",
    "qc_flags": True,
}


@pytest.fixture(autouse=True, scope="module")
def _city() -> Iterator[None]:
    with CITY:
        CONFIG["api_url"] = CITY.url
        yield


class CityTap(TapClarity):
    """The tap inside pytest, which keeps its own signal handlers."""

    clock = SandboxClock(CITY)

    def _setup_signal_handlers(self) -> None:
        pass


def _all_streams_catalog() -> Json:
    catalog = CityTap(validate_config=False).catalog
    for entry in catalog.streams:
        entry.metadata.root.selected = True
    return catalog.to_dict()


TestStandard = get_tap_test_class(
    CityTap,
    config=CONFIG,
    suite_config=SuiteConfig(max_records_limit=1000),
    parse_env_config=False,
    catalog=_all_streams_catalog(),
    message_writer=SimpleSingerWriter(),
)


@pytest.fixture(scope="module")
def first() -> TapRun:
    return run_tap(CITY, streams=KEYS, **CONFIG).check()


@pytest.fixture(scope="module")
def second(first: TapRun) -> TapRun:
    return run_tap(CITY, streams=KEYS, state=first.state, **CONFIG).check()


def schema_messages(run: TapRun) -> list[Json]:
    return [message for message in run.messages if message["type"] == "SCHEMA"]


def schema_of(run: TapRun, stream: str) -> Json:
    (message,) = (each for each in schema_messages(run) if each["stream"] == stream)
    return message


@pytest.mark.parametrize("stream", KEYS)
class TestEveryStream:
    def test_keys_are_as_declared_and_never_null_or_duplicate(
        self, first: TapRun, stream: str
    ) -> None:
        assert tuple(schema_of(first, stream)["key_properties"]) == KEYS[stream]
        keys = [tuple(record[name] for name in KEYS[stream]) for record in first.records(stream)]
        assert keys
        assert None not in {part for key in keys for part in key}
        assert [key for key, times in Counter(keys).items() if times > 1] == []

    def test_records_are_valid_by_schema_and_formats(self, first: TapRun, stream: str) -> None:
        formats = DEFAULT_JSONSCHEMA_VALIDATOR.FORMAT_CHECKER
        assert "date-time" in formats.checkers
        schema = schema_of(first, stream)["schema"]
        validator = DEFAULT_JSONSCHEMA_VALIDATOR(schema, format_checker=formats)
        for record in first.records(stream):
            assert record.keys() == schema["properties"].keys()
            validator.validate(record)

    def test_times_are_in_utc_with_milliseconds(self, first: TapRun, stream: str) -> None:
        times = [text for record in first.records(stream) for text in _times(record)]
        assert bool(times) == ("date-time" in json.dumps(schema_of(first, stream)))
        form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
        assert [text for text in times if not form.fullmatch(text)] == []


def _times(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _times(each)
    elif isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
        yield value


@pytest.mark.parametrize("stream", MEASUREMENTS)
def test_run_from_the_last_state_repeats_no_measurement(second: TapRun, stream: str) -> None:
    assert schema_of(second, stream)
    assert second.records(stream) == []


def test_run_without_new_data_keeps_the_state(first: TapRun, second: TapRun) -> None:
    assert first.state["bookmarks"].keys() >= set(MEASUREMENTS)
    assert second.state == first.state


def test_unchanged_schema_is_written_once(first: TapRun) -> None:
    assert Counter(message["stream"] for message in schema_messages(first)) == Counter(KEYS.keys())


def test_no_message_causes_a_target_to_delete_rows(first: TapRun) -> None:
    assert {message["type"] for message in first.messages} == {"SCHEMA", "RECORD", "STATE"}
    refused = run_tap(CITY, emit_activate_version_messages=True)
    assert refused.status == 1
    assert "emit_activate_version_messages" in refused.errors


@pytest.mark.parametrize("stream", CHILDREN)
def test_child_schema_is_written_once_for_all_parents(first: TapRun, stream: str) -> None:
    parents = {record[KEYS[stream][1]] for record in first.records(stream)}
    assert len(parents) > 1
    assert first.errors.count(f"Beginning sync of '{stream}'") == 1


def test_no_state_is_saved_per_parent(first: TapRun) -> None:
    bookmarks = first.state["bookmarks"]
    assert [name for name, state in bookmarks.items() if "partitions" in state] == []


def test_requests_for_all_parents_share_a_few_connections(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    opened: list[object] = []

    def accept(_server: Server, _request: object, address: object) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(Server, "verify_request", accept)
    with Sandbox(datasources=40, now=NOW, frozen=True) as sandbox:
        tap = CityTap(
            config=CONFIG | {"api_url": sandbox.url},
            catalog=catalog_of(("datasources", "datasource_details")),
        )
        assert tap.sync_streams() == 0
        parents = sum(1 for _ in sandbox.expected.records("datasources", NOW))
        assert len(sandbox.requests) == 1 + parents
    assert capfd.readouterr().out.count('"RECORD"') == 2 * parents
    assert 1 <= len(opened) <= 8 < parents
