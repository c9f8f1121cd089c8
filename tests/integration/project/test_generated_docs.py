"""README.md, docs, meltano.yml and `--about` say what the code says."""

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
from tools import generate_docs as documents

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    told = subprocess.run(
        [sys.executable, "-m", "tap_clarity", "--about", "--format=json"],
        capture_output=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


@pytest.fixture(scope="module")
def extractor() -> dict[str, Any]:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    found: dict[str, Any] = project["plugins"]["extractors"][0]
    return found


@pytest.mark.parametrize("file", documents.FILES)
def test_generated_parts_are_up_to_date(file: str) -> None:
    text = (ROOT / file).read_text()
    assert documents.renewed(file, text) == text, "run: python -m tools.generate_docs"


def test_the_check_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in documents.FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text().replace("api_key", "apikey"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    assert documents.main(["--check"]) == 1
    assert "python -m tools.generate_docs" in capsys.readouterr().out
    assert documents.main([]) == 0
    assert documents.main(["--check"]) == 0


def test_a_missing_marker_is_an_error() -> None:
    with pytest.raises(LookupError, match="settings: begin"):
        documents.renewed("README.md", "nothing here")


def test_about_leaves_nothing_out(about: dict[str, Any]) -> None:
    assert about["description"] == TapClarity.__doc__
    assert about["version"] == version("tap-clarity")
    assert about["sdk_version"] == version("singer-sdk")
    assert "3.14" in about["supported_python_versions"]
    assert about["settings"]["required"] == SCHEMA["required"]
    for name, setting in about["settings"]["properties"].items():
        assert {"title", "description", "type"} <= setting.keys(), name
    secret = {name for name, told in about["settings"]["properties"].items() if told.get("secret")}
    assert secret == {"api_key"}


def test_about_is_also_for_people() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tap_clarity", "--about", "--format=markdown"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name, setting in SCHEMA["properties"].items():
        assert f"| {name} | {name in SCHEMA['required']} |" in told
        assert setting["description"] in told


def test_meltano_knows_every_setting(about: dict[str, Any], extractor: dict[str, Any]) -> None:
    told = about["settings"]["properties"]
    known = {each["name"]: each for each in extractor["settings"]}
    assert known.keys() == told.keys() - documents.NOT_FOR_MELTANO
    assert known.keys() >= SCHEMA["properties"].keys()
    for name, setting in known.items():
        assert setting["description"] == told[name]["description"]
        assert setting.get("sensitive", False) == told[name].get("secret", False)


def test_meltano_knows_which_settings_are_required(extractor: dict[str, Any]) -> None:
    assert extractor["settings_group_validation"] == [SCHEMA["required"]]


def test_meltano_promises_what_the_tap_can_do(
    about: dict[str, Any], extractor: dict[str, Any]
) -> None:
    assert set(extractor["capabilities"]) <= set(about["capabilities"])
    assert "activate-version" not in about["capabilities"]


def test_meltano_says_of_every_stream_whether_it_is_selected(extractor: dict[str, Any]) -> None:
    told = {
        rule.removeprefix("!").removesuffix(".*"): rule[0] != "!" for rule in extractor["select"]
    }
    assert told == {each.name: each.selected_by_default for each in documents.streams()}
