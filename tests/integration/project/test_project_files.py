"""Files of the repository: valid, pinned, and without links to missing files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "transform" / "README.md"])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def _check(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not find_spec("meltano"), reason="Meltano is not installed for this Python")
def test_meltano_accepts_the_project() -> None:
    package = find_spec("meltano")
    assert package
    assert package.submodule_search_locations
    schema = Path(package.submodule_search_locations[0]) / "schemas" / "meltano.schema.json"
    _check("--schemafile", schema, ROOT / "meltano.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_github_accepts_the_workflow(path: Path) -> None:
    _check("--builtin-schema", "vendor.github-workflows", path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_commits(path: Path) -> None:
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        loose = [each for each in used if not re.search(r"@[0-9a-f]{40}\Z", each)]
        assert not loose, name
        assert "permissions" in job, name


def test_dependabot_accepts_its_file() -> None:
    _check("--builtin-schema", "vendor.dependabot", ROOT / ".github" / "dependabot.yml")


def test_lock_file_names_only_pypi() -> None:
    lock = (ROOT / "uv.lock").read_text()
    packages = tomllib.loads(lock)["package"]
    assert {each["source"].get("registry", "here") for each in packages} == {
        "here",
        "https://pypi.org/simple",
    }
    assert set(re.findall(r'url = "(https?://[^/]+)/', lock)) == {"https://files.pythonhosted.org"}


def test_every_meltano_plugin_is_fully_defined() -> None:
    """Without a namespace any Meltano command asks the Hub."""
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    for plugins in project["plugins"].values():
        for plugin in plugins:
            assert {"namespace", "pip_url", "executable"} <= plugin.keys(), plugin["name"]


def test_duckdb_loader_is_pinned_to_a_version_that_loses_no_rows() -> None:
    loaders = yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"]["loaders"]
    duckdb = next(each for each in loaders if each["name"] == "target-duckdb")
    assert "duckdb<1.3" in duckdb["pip_url"].split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_to_existing_headings(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)(.+?)\)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)", target.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
            assert anchor in slugs, link
