"""docs/hub: a definition that Meltano Hub accepts and Meltano can use."""

from __future__ import annotations

import json
import struct
import subprocess
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_clarity.demo.venv import clean_environment
from tests.support.meltano.project import MELTANO
from tests.support.paths import ROOT
from tools import generate_docs

if TYPE_CHECKING:
    from pathlib import Path

FILE = ROOT / generate_docs.HUB
DEFINITION: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
ALLOWED = {
    *("name", "variant", "namespace", "label", "description", "docs", "repo", "pip_url"),
    *("executable", "capabilities", "settings", "settings_group_validation", "select"),
    *("logo_url", "domain_url", "keywords", "maintenance_status", "quality"),
    *("supported_python_versions", "definition", "next_steps", "usage", "prereq"),
}
KINDS = {"string", "integer", "boolean", "date_iso8601", "options", "object", "array"}


def test_definition_has_only_the_fields_that_the_hub_requires() -> None:
    assert {"name", "namespace", "variant", "label", "quality"} <= DEFINITION.keys() <= ALLOWED
    assert {setting["kind"] for setting in DEFINITION["settings"]} <= KINDS
    assert "meltano_sdk" in DEFINITION["keywords"]
    assert FILE.parent.name == DEFINITION["name"]
    assert FILE.stem == DEFINITION["variant"]


def test_definition_is_sorted_for_the_linter_of_the_hub() -> None:
    lists = [
        *([*each] for each in (DEFINITION, *DEFINITION["settings"])),
        [setting["name"] for setting in DEFINITION["settings"]],
        DEFINITION["capabilities"],
        *DEFINITION["settings_group_validation"],
    ]
    assert [each for each in lists if each != sorted(each)] == []


def test_logo_is_a_square_image_at_the_defined_path() -> None:
    logo = FILE.parents[2] / DEFINITION["logo_url"].rpartition("/")[2]
    head = logo.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (256, 256)


@pytest.mark.skipif(not find_spec("meltano"), reason="Meltano is not there for this Python")
def test_meltano_uses_selection_and_defaults_of_the_definition(tmp_path: Path) -> None:
    """A lock file is what `meltano add` keeps of the Hub's definition."""
    plugin = {name: DEFINITION[name] for name in ("name", "variant", "pip_url")}
    project = {"send_anonymous_usage_stats": False, "plugins": {"extractors": [plugin]}}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(project))
    lock = tmp_path / "plugins" / "extractors" / f"{plugin['name']}--{plugin['variant']}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"plugin_type": "extractors"} | DEFINITION))

    def config(*options: str) -> dict[str, Any]:
        process = subprocess.run(
            [MELTANO, "config", "print", plugin["name"], "--format=json", *options],
            cwd=tmp_path,
            env=clean_environment() | {"HOME": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(process.stdout)
        return found

    assert config("--extras")["_select"] == DEFINITION["select"]
    assert "!node_alarms.*" in DEFINITION["select"]
    defaults = {
        setting["name"]: setting["value"]
        for setting in DEFINITION["settings"]
        if "value" in setting
    }
    assert config() == defaults
