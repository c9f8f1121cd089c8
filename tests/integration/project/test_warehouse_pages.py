"""docs/warehouses: its numbers, its links, and the settings of the loaders in meltano.yml."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
import yaml

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.meltano.project import MELTANO_YML
from tests.support.paths import ROOT
from tests.support.stream_schemas import columns
from tests.support.warehouses.installed_programs import installed_loader, loader
from tools import warehouse_volume

README = ROOT / "docs" / "warehouses" / "README.md"
PAGES = sorted(README.parent.glob("*.md"))
LOADERS = {
    "duckdb.md": "target-duckdb",
    "postgresql.md": "target-postgres",
    "snowflake.md": "target-snowflake",
    "bigquery.md": "target-bigquery",
}
END = datetime(2026, 3, 9, tzinfo=UTC)


def test_volume_of_one_row_equals_manual_calculation() -> None:
    assert "| hour | 21 | 100 | 1,512,000 | 72,000 |" in warehouse_volume.volume_table()


def test_page_states_number_and_length_of_wide_columns() -> None:
    text = README.read_text(encoding="utf-8")
    minute, hour, day = (
        len(columns("recent_measurements", "wide", frequency))
        for frequency in ("minute", "hour", "day")
    )
    assert f"{minute} columns (minute), {hour} (hour) or {day} (day)" in " ".join(text.split())
    longest = max(len(name) for name in columns("recent_measurements", "wide", "hour"))
    assert f"at most {longest} characters" in " ".join(text.split())


@pytest.mark.parametrize(("frequency", "days"), [("minute", 1), ("hour", 1), ("day", 7)])
def test_volume_uses_commonest_number_of_metrics(
    frequency: Literal["minute", "hour", "day"], days: int
) -> None:
    metrics: defaultdict[str, set[str]] = defaultdict(set)
    with Sandbox(seed=1, datasources=20, now=NOW, frozen=True) as sandbox:
        for measurement in sandbox.expected.measurements(
            frequency, END - timedelta(days=days), END, NOW
        ):
            metrics[measurement.datasource_id].add(measurement.metric)
    ((commonest_number, _),) = Counter(map(len, metrics.values())).most_common(1)
    assert commonest_number == warehouse_volume.METRICS[frequency]


def test_each_loader_has_a_page() -> None:
    assert {page.name for page in PAGES} == {"README.md", *LOADERS}
    defined = yaml.safe_load(MELTANO_YML.read_text(encoding="utf-8"))["plugins"]["loaders"]
    assert {each["name"] for each in defined} == {"target-jsonl", *LOADERS.values()}


@pytest.mark.parametrize(("page", "name"), LOADERS.items())
def test_page_names_only_settings_of_its_loader(page: str, name: str) -> None:
    text = (README.parent / page).read_text(encoding="utf-8")
    prefix = name.upper().replace("-", "_") + "_"
    named = {each.lower() for each in re.findall(rf"\b{prefix}(\w+)", text)}
    assert named <= {setting["name"] for setting in loader(name)["settings"]}


@pytest.mark.warehouse
@pytest.mark.parametrize("name", ["target-snowflake", "target-bigquery"])
def test_loader_supports_every_setting_of_meltano_yml(name: str) -> None:
    """By its source, as the program takes seconds to tell; one setting comes from the SDK."""
    (packages,) = installed_loader(name).parents[1].glob("lib/*/site-packages")
    source = (packages / name.replace("-", "_") / "target.py").read_text(encoding="utf-8")
    settings = {setting["name"] for setting in loader(name)["settings"]}
    own = settings - {"default_target_schema"}
    assert [each for each in own if not re.search(rf'Property\(\s*"{each}"', source)] == []
    assert loader(name)["config"].keys() <= settings
