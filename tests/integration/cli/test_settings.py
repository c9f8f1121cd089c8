"""Each setting: its default, its type and limits, and the error for an invalid value."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError

from tap_clarity.tap import TapClarity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _pytest.mark import ParameterSet

Json = Any

CANARY = "cAnArY7731"
"""A value that must turn up in no message."""
REQUIRED: dict[str, Json] = {"api_key": "key", "org": "invented"}
DEFAULTS: dict[str, Json] = {
    "api_url": "https://clarity-data-api.clarity.io",
    "start_date": None,
    "end_date": None,
    "output_frequency": "hour",
    "datasource_ids": None,
    "node_ids": None,
    "reference_site_ids": None,
    "metric_select": None,
    "qc_assessment": True,
    "qc_flags": False,
    "measurement_layout": "long",
    "report_window_days": 31,
    "report_interval_hours": 24,
    "lookback_days": 3,
    "report_daily_limit": 25,
    "report_file_format": "csv",
    "report_concurrency": 3,
    "report_poll_interval": 10,
    "report_wait_timeout": 3600,
    "recover_gaps": True,
    "request_timeout": 60,
    "user_agent": None,
}
DAYS_BY_FREQUENCY = [("minute", 7, 3), ("hour", 31, 3), ("day", 366, 10)]

NON_TEXTS = [5, True, [CANARY], {CANARY: CANARY}, ""]
INVALID_CHOICES = [CANARY, 5, "", [CANARY], "HOUR"]
UNPRINTABLE_TEXTS = [f"{CANARY}\n", f"{CANARY}\ud800", "\0", CANARY * 30, ".."]
INVALID_IDS = [
    CANARY,
    [],
    [""],
    [CANARY, 5],
    [[CANARY]],
    {CANARY: 1},
    *([text] for text in UNPRINTABLE_TEXTS),
]
INVALID_INTEGERS = [CANARY, "5", 1.5, True, [CANARY], {CANARY: 1}]
INVALID_BOOLEANS = [CANARY, "true", 0, 1, [CANARY]]
INVALID_DATES = [CANARY, "", 5, 20260131, True, "2026-13-01", "31.01.2026", "1969-12-31", [CANARY]]
INVALID_SECONDS = [
    CANARY,
    "",
    0,
    -1,
    "0",
    "-0.5",
    math.nan,
    math.inf,
    "nan",
    "1e999",
    10**400,
    True,
    [CANARY],
]
INVALID_URLS = [
    *NON_TEXTS,
    CANARY,
    f"ftp://{CANARY}",
    f"https://{CANARY}@example.org",
    f"https://example.org/?key={CANARY}",
    f"https://example.org/ {CANARY}",
]
HEADER_BREAKERS = [f"{CANARY}\n", f"{CANARY}\r\nx: y", f"{CANARY}\u20ac", f" {CANARY}"]
_INVALID_VALUES: dict[str, list[Json]] = {
    "api_key": [*NON_TEXTS, *HEADER_BREAKERS],
    "org": [*NON_TEXTS, *UNPRINTABLE_TEXTS],
    "api_url": INVALID_URLS,
    "start_date": INVALID_DATES,
    "end_date": INVALID_DATES,
    "output_frequency": INVALID_CHOICES,
    "datasource_ids": INVALID_IDS,
    "node_ids": INVALID_IDS,
    "reference_site_ids": INVALID_IDS,
    "metric_select": [*NON_TEXTS, f"{CANARY}\0", f"{CANARY}\ud800"],
    "qc_assessment": INVALID_BOOLEANS,
    "qc_flags": INVALID_BOOLEANS,
    "measurement_layout": INVALID_CHOICES,
    "report_window_days": [*INVALID_INTEGERS, 0, -1, 10**12],
    "report_interval_hours": [*INVALID_INTEGERS, 0, -1, 10**12],
    "lookback_days": [*INVALID_INTEGERS, -1, 10**12],
    "report_daily_limit": [*INVALID_INTEGERS, -1, 31],
    "report_file_format": INVALID_CHOICES,
    "report_concurrency": [*INVALID_INTEGERS, 0, 11],
    "report_poll_interval": INVALID_SECONDS,
    "report_wait_timeout": [*INVALID_INTEGERS, -1, 10**12],
    "recover_gaps": INVALID_BOOLEANS,
    "request_timeout": [*INVALID_INTEGERS, 0, -1, 10**12],
    "user_agent": [*NON_TEXTS, *HEADER_BREAKERS],
    "stream_maps": [CANARY, [CANARY], {"nodes": 5}, {"nodes": {"x": [CANARY]}}, {"__else__": 5}],
    "stream_map_config": [CANARY, [CANARY]],
    "flattening_enabled": [CANARY, 1],
    "flattening_max_depth": [CANARY, 1.5],
}
INVALID_VALUES = [(name, value) for name, values in _INVALID_VALUES.items() for value in values]
VALID_VALUES: list[tuple[str, Json, Json]] = [
    ("api_url", "http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
    ("datasource_ids", ["DB", "DA", "DB"], ("DA", "DB")),
    ("node_ids", ["N 1/ü"], ("N 1/ü",)),
    ("reference_site_ids", ["S"], ("S",)),
    ("metric_select", "all, only pm2_5", "all, only pm2_5"),
    ("qc_assessment", False, False),
    ("qc_flags", True, True),
    ("measurement_layout", "wide", "wide"),
    ("report_window_days", 1, 1),
    ("report_interval_hours", 1, 1),
    ("lookback_days", 0, 0),
    ("report_daily_limit", 0, 0),
    ("report_daily_limit", 30, 30),
    ("report_file_format", "parquet", "parquet"),
    ("report_concurrency", 1, 1),
    ("report_concurrency", 10, 10),
    ("report_poll_interval", 0.25, 0.25),
    ("report_poll_interval", "0.25", 0.25),
    ("report_wait_timeout", 0, 0),
    ("recover_gaps", False, False),
    ("request_timeout", 1, 1),
    ("user_agent", "city of Saltbay (air)", "city of Saltbay (air)"),
]
DATES = [
    ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    ("2026-01-31 12:30:15.5", datetime(2026, 1, 31, 12, 30, 15, 500_000, tzinfo=UTC)),
    ("2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    ("2026-01-31T00:30+02:00", datetime(2026, 1, 30, 22, 30, tzinfo=UTC)),
]
VARIABLES: dict[str, tuple[str, Json]] = {
    "api_key": ("k-1", "k-1"),
    "org": ("007", "007"),
    "start_date": ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    "datasource_ids": ('["DA", "D,B"]', ("D,B", "DA")),
    "node_ids": ("N1,N2", ("N1", "N2")),
    "qc_assessment": ("No", False),
    "qc_flags": ("TRUE", True),
    "report_window_days": (" 14 ", 14),
    "report_daily_limit": ("0", 0),
    "report_poll_interval": ("0.5", 0.5),
    "recover_gaps": ("off", False),
    "request_timeout": ("+90", 90),
}
INVALID_INTEGERS_AS_TEXT = ["", " ", CANARY, "1.5", "+-5", "1e3", "0x10", "1_000", "²", "9" * 5000]
INVALID_VARIABLES = [
    *[("report_daily_limit", text) for text in INVALID_INTEGERS_AS_TEXT],
    *[("qc_flags", text) for text in ("", "maybe", CANARY, " true ", "2")],
    *[("datasource_ids", text) for text in (f'["{CANARY}', "[", f'"{CANARY}"', "5", "[5]", "[]")],
    *[("stream_maps", text) for text in ("", CANARY, f'{{"{CANARY}', "[]", "5")],
    ("report_poll_interval", CANARY),
    ("output_frequency", CANARY),
    ("api_key", f"{CANARY}\n"),
]


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither signal handlers nor the developer's own variables."""
    monkeypatch.setattr(TapClarity, "_setup_signal_handlers", lambda _: None)
    for name in [name for name in os.environ if name.startswith("TAP_CLARITY_")]:
        monkeypatch.delenv(name)


def settings_of(config: dict[str, Json], **options: bool) -> dict[str, Json]:
    run = TapClarity(config=dict(config), **options).run
    values = asdict(run.settings)
    return values | {"output_frequency": values.pop("frequency").name}


def rejected(config: dict[str, Json], **options: bool) -> list[str]:
    with pytest.raises(ConfigValidationError) as refusal:
        TapClarity(config=dict(config), **options)
    return refusal.value.errors


def numbered(rows: Iterable[tuple[str, *tuple[Json, ...]]]) -> list[ParameterSet]:
    """Give each row of a table an id of its own, whatever stands in it."""
    return [pytest.param(*row, id=f"{row[0]} {number}") for number, row in enumerate(rows)]


def test_required_settings_alone_give_the_documented_defaults() -> None:
    assert settings_of(REQUIRED) == REQUIRED | DEFAULTS


@pytest.mark.parametrize(("frequency", "window", "lookback"), DAYS_BY_FREQUENCY)
def test_default_window_and_lookback_depend_on_frequency(
    frequency: str, window: int, lookback: int
) -> None:
    found = settings_of(REQUIRED | {"output_frequency": frequency})
    assert (found["report_window_days"], found["lookback_days"]) == (window, lookback)


@pytest.mark.parametrize(("name", "value", "meaning"), numbered(VALID_VALUES))
def test_valid_value_is_accepted(name: str, value: Json, meaning: Json) -> None:
    assert settings_of(REQUIRED | {name: value}) == REQUIRED | DEFAULTS | {name: meaning}


@pytest.mark.parametrize(("text", "instant"), DATES)
def test_date_without_zone_or_time_is_midnight_utc(text: str, instant: datetime) -> None:
    assert settings_of(REQUIRED | {"start_date": text})["start_date"] == instant
    assert settings_of(REQUIRED | {"end_date": text})["end_date"] == instant


@pytest.mark.parametrize("name", [*DEFAULTS, "stream_maps", "flattening_enabled"])
def test_null_is_the_same_as_missing(name: str) -> None:
    assert settings_of(REQUIRED | {name: None}) == REQUIRED | DEFAULTS


@pytest.mark.parametrize(("name", "value"), numbered(INVALID_VALUES))
def test_invalid_value_is_rejected_in_one_sentence_that_names_the_setting(
    name: str, value: Json
) -> None:
    (sentence,) = rejected(REQUIRED | {name: value})
    assert sentence.startswith(f"setting {name} ")
    assert CANARY not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("output_frequency", CANARY, "must be one of minute, hour, day"),
        ("measurement_layout", CANARY, "must be one of long, wide"),
        ("report_file_format", CANARY, "must be one of csv, parquet"),
        ("report_daily_limit", 31, "must be at most 30"),
        ("report_concurrency", 0, "must be at least 1"),
        ("lookback_days", "3", "must be a whole number"),
        ("qc_flags", CANARY, "must be true or false"),
        ("api_key", 5, "must be text"),
        ("api_url", CANARY, "must be of the form https://clarity-data-api.clarity.io"),
        ("start_date", CANARY, "write 2026-01-31 or 2026-01-31T12:00:00Z"),
        ("datasource_ids", [], "must not be empty: leave it out to read all"),
        ("node_ids", ["", 5], "must be a list of texts, none of them empty"),
        ("report_poll_interval", "0", "must be a number of seconds above 0"),
        ("stream_maps", 5, "must be an object"),
    ],
)
def test_error_contains_the_remedy(name: str, value: Json, remedy: str) -> None:
    (sentence,) = rejected(REQUIRED | {name: value})
    assert sentence.endswith(remedy)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-02-01", "2026-01-31"),
        ("2026-02-01", "2026-02-01T00:00Z"),
        ("2026-02-01", "2026-02-01T01:00+01:00"),
    ],
)
def test_end_date_must_be_after_start_date(start: str, end: str) -> None:
    assert rejected(REQUIRED | {"start_date": start, "end_date": end}) == [
        "setting end_date must be later than start_date"
    ]


def test_start_and_end_date_are_compared_with_their_time_zones() -> None:
    dates = {"start_date": "2026-02-01T00:00+02:00", "end_date": "2026-01-31T23:00Z"}
    assert settings_of(REQUIRED | dates)["end_date"] == datetime(2026, 1, 31, 23, tzinfo=UTC)


def test_parquet_without_its_extra_is_rejected_before_a_report_is_requested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tap_clarity.cli.validation.find_spec", lambda _: None)
    assert rejected(REQUIRED | {"report_file_format": "parquet"}) == [
        "setting report_file_format: parquet needs pip install 'tap-clarity[parquet]'"
    ]


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("null", [{}, None])
def test_missing_setting_is_named_with_both_ways_to_set_it(name: str, null: Json) -> None:
    config: dict[str, Json] = {key: value for key, value in REQUIRED.items() if key != name}
    config |= {name: None} if null is None else {}
    (sentence,) = rejected(config)
    how_to_set = f"in the config file, or as TAP_CLARITY_{name.upper()} with --config=ENV"
    assert sentence == f"setting {name} is missing: give it {how_to_set}"


@pytest.mark.parametrize(
    ("typo", "hint"),
    [
        ("apikey", "did you mean api_key?"),
        ("output_freqency", "did you mean output_frequency?"),
        ("datasource_id", "did you mean datasource_ids?"),
        ("stream_map", "did you mean stream_maps?"),
        ("zzz", "tap-clarity --about lists the settings"),
    ],
)
def test_unknown_setting_is_rejected_with_a_suggestion(typo: str, hint: str) -> None:
    assert rejected(REQUIRED | {typo: CANARY}) == [f"setting {typo} is unknown: {hint}"]


@pytest.mark.parametrize(
    ("stream", "stream_map"),
    [
        ("nodes", {"name": f"({CANARY}"}),
        ("nodes", {"name": ""}),
        ("nodes", {"__filter__": f"({CANARY}"}),
        ("nodes", {"__key_properties__": [CANARY]}),
        ("nodes", {"node_id": None}),
        ("__nodes__", {"name": f"'{CANARY}'"}),
    ],
)
def test_invalid_stream_map_is_rejected_in_one_sentence(stream: str, stream_map: Json) -> None:
    (sentence,) = rejected(REQUIRED | {"stream_maps": {stream: stream_map}})
    assert sentence.startswith("setting stream_maps: ")
    assert CANARY not in sentence


def test_bug_is_not_reported_as_invalid_stream_map(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tap, "setup_mapper", Mock(side_effect=KeyError("a bug")))
    with pytest.raises(KeyError, match="a bug"):
        TapClarity(config=dict(REQUIRED))


def test_unknown_setting_name_cannot_add_a_line() -> None:
    (sentence,) = rejected(REQUIRED | {"zz\n\x1b[2Jz": 1})
    assert sentence == "setting zz [2Jz is unknown: tap-clarity --about lists the settings"


def test_all_invalid_settings_are_reported_at_once() -> None:
    config = {"org": 5, "lookback_days": -1, "colour": 1}
    parameter = [sentence.split()[1] for sentence in rejected(config)]
    assert sorted(parameter) == ["api_key", "colour", "lookback_days", "org"]


def test_without_validation_missing_settings_are_accepted_but_invalid_ones_rejected() -> None:
    assert settings_of({}, validate_config=False)["org"] == ""
    assert rejected({"lookback_days": CANARY}, validate_config=False) == [
        "setting lookback_days must be a whole number"
    ]


def test_api_key_is_not_in_the_representation_of_settings() -> None:
    run = TapClarity(config=REQUIRED | {"api_key": CANARY}).run
    assert run.settings.api_key == CANARY
    assert CANARY not in f"{run.settings!r} {run.settings}"


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: Iterable[tuple[str, str]]) -> None:
    for name, text in variables:
        monkeypatch.setenv(f"TAP_CLARITY_{name.upper()}", text)


def test_environment_variables_are_read_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, ((name, text) for name, (text, _) in VARIABLES.items()))
    suggestion = {name: meaning for name, (_, meaning) in VARIABLES.items()}
    assert settings_of({}, parse_env_config=True) == DEFAULTS | suggestion


@pytest.mark.parametrize(("name", "text"), numbered(INVALID_VARIABLES))
def test_invalid_environment_variable_is_rejected_in_one_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    set_variables(monkeypatch, [*REQUIRED.items(), (name, text)])
    (sentence,) = rejected({}, parse_env_config=True)
    parameter = (f"environment variable TAP_CLARITY_{name.upper()} must ", f"setting {name} ")
    assert sentence.startswith(parameter)
    assert CANARY not in sentence


@pytest.mark.parametrize(
    ("typo", "suggestion"),
    [("APIKEY", "API_KEY"), ("REPORT_WINDOW", "REPORT_WINDOW_DAYS"), ("NODE_ID", "NODE_IDS")],
)
def test_misspelt_environment_variable_is_rejected(
    monkeypatch: pytest.MonkeyPatch, typo: str, suggestion: str
) -> None:
    set_variables(monkeypatch, [*REQUIRED.items(), (typo, CANARY)])
    assert rejected({}, parse_env_config=True) == [
        (
            f"environment variable TAP_CLARITY_{typo} is no setting: "
            f"did you mean TAP_CLARITY_{suggestion}?"
        )
    ]


def test_environment_variables_with_a_similar_prefix_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = ["VERSION", "LOGLEVEL", "_SELECT", "_CATALOG", "_LOAD_SCHEMA", "DAILY_API_KEY"]
    set_variables(monkeypatch, [*REQUIRED.items(), *((name, "info") for name in others)])
    assert settings_of({}, parse_env_config=True) == REQUIRED | DEFAULTS


def test_invalid_value_in_a_dotenv_file_is_rejected_like_a_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_variables(monkeypatch, [*REQUIRED.items(), ("LOOKBACK_DAYS", "1")])
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"TAP_CLARITY_LOOKBACK_DAYS={CANARY}\n")
    monkeypatch.setattr("singer_sdk.configuration._dict_config.find_dotenv", lambda: str(dotenv))
    assert rejected({}, parse_env_config=True) == [
        "environment variable TAP_CLARITY_LOOKBACK_DAYS must be a whole number"
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
EXPRESSIONS = st.sampled_from(["org", "'x'", "1", "x = 1", "(", "", "\0", "__NULL__", None])
STREAM_MAP: dict[str, st.SearchStrategy[Json]] = {
    "__alias__": st.text(max_size=3),
    "__filter__": EXPRESSIONS,
    "__key_properties__": st.lists(st.sampled_from(["org", "node_id", "zz"]), max_size=2),
    "__source__": st.sampled_from(["nodes", "zz"]),
    "__else__": st.just("__NULL__"),
    "name": EXPRESSIONS,
    "node_id": EXPRESSIONS,
}
STREAM_MAPS = st.none() | st.just("__NULL__") | st.fixed_dictionaries({}, optional=STREAM_MAP)
THE_SDKS: dict[str, st.SearchStrategy[Json]] = {
    "stream_maps": st.dictionaries(st.sampled_from(["nodes", "nothing", "__else__"]), STREAM_MAPS),
    "flattening_enabled": st.booleans(),
    "flattening_max_depth": st.integers(-2, 3),
    "flattening_max_key_length": st.integers(-1, 30),
    "flattening_separator": st.text(max_size=2),
}


def error_lines_of(config: dict[str, Json]) -> list[str]:
    try:
        settings_of(REQUIRED | config)
    except ConfigValidationError as refusal:
        event("refused")
        return [line for sentence in refusal.errors for line in sentence.splitlines() or [""]]
    event("taken")
    return []


@settings(max_examples=100, deadline=None, print_blob=True)
@given(config=st.dictionaries(st.sampled_from(sorted(_INVALID_VALUES)), JSON, max_size=3))
def test_arbitrary_config_is_accepted_or_rejected_with_the_setting_name(
    config: dict[str, Json],
) -> None:
    for line in error_lines_of(config):
        assert any(name in line for name in [*config, "flattening_max_depth"])


@settings(max_examples=100, deadline=None, print_blob=True)
@given(config=st.fixed_dictionaries({}, optional=THE_SDKS))
def test_arbitrary_sdk_settings_are_accepted_or_rejected_with_the_setting_name(
    config: dict[str, Json],
) -> None:
    for line in error_lines_of(config):
        assert any(name in line for name in [*config, "flattening_max_depth"])
