"""README.md, docs, meltano.yml and `--about` agree with the code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_clarity.settings import SCHEMA
from tap_clarity.tap import TapClarity
from tests.support.paths import ROOT
from tools import generate_docs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-m", "tap_clarity", "--about", "--format=json"],
        capture_output=True,
        check=True,
    )
    about: dict[str, Any] = json.loads(process.stdout)
    return about


@pytest.fixture(scope="module")
def extractor() -> dict[str, Any]:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    found: dict[str, Any] = project["plugins"]["extractors"][0]
    return found


@pytest.mark.parametrize("file", generate_docs.FILES)
def test_generated_parts_are_up_to_date(file: str) -> None:
    text = (ROOT / file).read_text()
    assert generate_docs.renewed(file, text) == text, "run: python -m tools.generate_docs"


def test_check_names_the_command_that_updates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in generate_docs.FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text().replace("api_key", "apikey"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(generate_docs, "ROOT", tmp_path)
    assert generate_docs.main(["--check"]) == 1
    assert "python -m tools.generate_docs" in capsys.readouterr().out
    assert generate_docs.main([]) == 0
    assert generate_docs.main(["--check"]) == 0


def test_missing_marker_is_an_error() -> None:
    with pytest.raises(LookupError, match="settings: begin"):
        generate_docs.renewed("README.md", "nothing here")


def test_about_json_is_complete(about: dict[str, Any]) -> None:
    assert about["description"] == TapClarity.__doc__
    assert about["version"] == version("tap-clarity")
    assert about["sdk_version"] == version("singer-sdk")
    assert "3.14" in about["supported_python_versions"]
    assert about["settings"]["required"] == SCHEMA["required"]
    for name, setting in about["settings"]["properties"].items():
        assert {"title", "description", "type"} <= setting.keys(), name
    secret = {
        name for name, process in about["settings"]["properties"].items() if process.get("secret")
    }
    assert secret == {"api_key"}


def test_about_text_is_complete() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tap_clarity", "--about", "--format=markdown"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name, setting in SCHEMA["properties"].items():
        assert f"| {name} | {name in SCHEMA['required']} |" in process
        assert setting["description"] in process


def test_meltano_yml_has_every_setting(about: dict[str, Any], extractor: dict[str, Any]) -> None:
    process = about["settings"]["properties"]
    known = {each["name"]: each for each in extractor["settings"]}
    assert known.keys() == process.keys() - generate_docs.NOT_FOR_MELTANO
    assert known.keys() >= SCHEMA["properties"].keys()
    for name, setting in known.items():
        assert setting["description"] == process[name]["description"]
        assert setting.get("sensitive", False) == process[name].get("secret", False)


def test_meltano_yml_has_the_required_settings(extractor: dict[str, Any]) -> None:
    assert extractor["settings_group_validation"] == [SCHEMA["required"]]


def test_meltano_yml_has_the_capabilities_of_the_tap(
    about: dict[str, Any], extractor: dict[str, Any]
) -> None:
    assert set(extractor["capabilities"]) <= set(about["capabilities"])
    assert "activate-version" not in about["capabilities"]


def test_meltano_yml_selects_or_deselects_every_stream(extractor: dict[str, Any]) -> None:
    process = {
        rule.removeprefix("!").removesuffix(".*"): rule[0] != "!" for rule in extractor["select"]
    }
    assert process == {each.name: each.selected_by_default for each in generate_docs.streams()}
