"""Generates the tables of README.md and docs, and the lists of meltano.yml, from code and tests.

`python -m tools.generate_docs` writes them; with `--check` it only lists the files that are out of
date. Each table is between two lines with "NAME: begin" and "NAME: end". The definition for Meltano
Hub and docs/report-faults.md are generated as a whole.
"""

from __future__ import annotations

import re
import sys
import tomllib
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import yaml

from tap_clarity.settings import SCHEMA
from tap_clarity.streams.base import ClarityStream
from tap_clarity.tap import TapClarity
from tests.support.documented import report_file_faults
from tests.support.documented.api_faults import (
    REQUEST_KINDS,
    outcome_rows,
    outcomes_by_request_rows,
)
from tests.support.documented.discrepancies import (
    discrepancy_rows,
    fault_rows,
    parameter_rows,
    quirk_rows,
    unknown_rows,
)
from tests.support.documented.unknowns import question_rows
from tests.support.paths import ROOT
from tools.warehouse_volume import volume_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# For an extra of the SDK that the tap does not install.
NOT_FOR_MELTANO = {"faker_config"}
HUB = "docs/hub/extractors/tap-clarity/tap-clarity.yml"
REPOSITORY = "https://github.com/tap-clarity/tap-clarity"


def settings_table() -> str:
    rows = [
        (f"`{name}`", _kind_in_words(spec), _default(name, spec), _cell(spec["description"]))
        for name, spec in SCHEMA["properties"].items()
    ]
    return _table(("Setting", "Kind", "Default", "Meaning"), rows)


def streams_table() -> str:
    rows = [
        (
            f"`{stream.name}`",
            stream.source,
            ", ".join(f"`{key}`" for key in stream.primary_keys),
            stream.advances_by,
            "yes" if stream.selected_by_default else "no",
        )
        for stream in streams()
    ]
    return _table(("Stream", "Source", "Keys", "Advances by", "Selected by default"), rows)


def meltano_settings() -> str:
    return _yaml({"settings": _meltano_settings()})


def meltano_select() -> str:
    return _yaml({"select": _meltano_select()})


def hub_definition() -> str:
    """Write the Hub's definition of the plugin, in the order that the Hub's linter wants."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    (local,) = yaml.safe_load((ROOT / "meltano.yml").read_text("utf-8"))["plugins"]["extractors"]
    same = ("name", "namespace", "label", "description", "executable", "settings_group_validation")
    definition = {name: local[name] for name in same} | {
        "variant": "tap-clarity",
        "repo": REPOSITORY,
        "pip_url": f"git+{REPOSITORY}.git",
        "docs": f"{REPOSITORY}#readme",
        "domain_url": "https://www.clarity.io",
        "logo_url": "/assets/logos/extractors/clarity.png",
        "keywords": ["air quality", "api", "clarity", "environment", "meltano_sdk", "sensors"],
        "maintenance_status": "beta",
        "quality": "silver",
        "capabilities": sorted(each.value for each in TapClarity.capabilities),
        "supported_python_versions": [
            each.rpartition(" ")[2] for each in project["classifiers"] if " :: Python :: " in each
        ],
        "settings": sorted(_meltano_settings(), key=itemgetter("name")),
        "select": _meltano_select(),
    }
    return yaml.safe_dump(definition, allow_unicode=True, width=96)


def outcomes_by_request_table() -> str:
    return _table(("Fault", *(call.name for call in REQUEST_KINDS)), outcomes_by_request_rows())


def outcomes_table() -> str:
    return _table(("Word", "Meaning", "Exit status"), outcome_rows())


def discrepancies_table() -> str:
    head = ("Number", "Name", "When it is on", "What the tap does", "Shown by")
    return _table(head, discrepancy_rows())


def quirks_table() -> str:
    return _table(("Number", "Name", "Evidence", "When it is on"), quirk_rows())


def unknowns_table() -> str:
    return _table(("Name", "Evidence", "When it is on"), unknown_rows())


def questions_table() -> str:
    head = ("Number", "Question", "Clarity", "What the tap does", "Shown with")
    return _table(head, question_rows())


def parameters_table() -> str:
    return _table(("Parameter", "Default", "Meaning"), parameter_rows())


def sandbox_faults_table() -> str:
    return _table(("Kind", "Evidence", "Does"), fault_rows())


PARTS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("README.md", "settings", settings_table),
    ("README.md", "streams", streams_table),
    ("meltano.yml", "settings", meltano_settings),
    ("meltano.yml", "select", meltano_select),
    ("docs/discrepancies.md", "discrepancies", discrepancies_table),
    ("docs/sandbox.md", "quirks", quirks_table),
    ("docs/sandbox.md", "unknowns", unknowns_table),
    ("docs/sandbox.md", "parameters", parameters_table),
    ("docs/sandbox.md", "faults", sandbox_faults_table),
    ("docs/unknowns.md", "unknowns", questions_table),
    ("docs/warehouses/README.md", "volume", volume_table),
    ("docs/faults.md", "fates", outcomes_by_request_table),
    ("docs/faults.md", "outcomes", outcomes_table),
)


WHOLE: dict[str, Callable[[], str]] = {
    HUB: hub_definition,
    "docs/report-faults.md": report_file_faults.page,
}
FILES = [*dict.fromkeys(file for file, _, _ in PARTS), *WHOLE]


def tap() -> TapClarity:
    """A tap without a configuration, as for `--discover`."""
    return TapClarity(config={}, parse_env_config=False, validate_config=False)


def streams() -> list[ClarityStream]:
    return [each for each in tap().streams.values() if isinstance(each, ClarityStream)]


def renewed(file: str, text: str) -> str:
    if file in WHOLE:
        return WHOLE[file]()
    for name, make in ((name, make) for path, name, make in PARTS if path == file):
        text = _replace(text, name, make())
    return text


def main(arguments: Sequence[str]) -> int:
    drifted = []
    for file in FILES:
        path = ROOT / file
        text = path.read_text(encoding="utf-8")
        new = renewed(file, text)
        if new != text:
            drifted.append(file)
        if "--check" not in arguments:
            path.write_text(new, encoding="utf-8")
    if "--check" in arguments and drifted:
        print(f"Out of date: {', '.join(drifted)}. Run: python -m tools.generate_docs")
        return 1
    return 0


def _replace(text: str, name: str, body: str) -> str:
    part = re.compile(rf"(?ms)(^[^\n]*\b{name}: begin\b[^\n]*\n).*?(^[^\n]*\b{name}: end\b)")
    new, count = part.subn(lambda found: found[1] + body + found[2], text)
    if count != 1:
        raise LookupError(f"{name}: begin and {name}: end must stand there once, not {count} times")
    return new


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    # Without the empty lines Markdown does not see a table after a comment.
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _types(spec: dict[str, Any]) -> list[str]:
    types = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    return [each for each in types if each != "null"]


def _kind_in_words(spec: dict[str, Any]) -> str:
    kind = _types(spec)[0]
    if "enum" in spec:
        return ", ".join(f"`{value}`" for value in spec["enum"] if value is not None)
    if spec.get("secret"):
        return "string, secret"
    if spec.get("format") == "date-time":
        return "date-time"
    if kind == "array":
        return "array of strings"
    return kind + _bounds(spec)


def _bounds(spec: dict[str, Any]) -> str:
    if "maximum" in spec:
        return f" {spec['minimum']} to {spec['maximum']}"
    return f" ≥ {spec['minimum']}" if "minimum" in spec else ""


def _default(name: str, spec: dict[str, Any]) -> str:
    if name in SCHEMA["required"]:
        return "required"
    if "default" not in spec:
        return ""
    value = spec["default"]
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"


def _meltano_settings() -> list[dict[str, Any]]:
    tap()  # the first tap made adds the SDK's own settings to the schema
    properties = TapClarity.config_jsonschema["properties"]
    chosen = {name: spec for name, spec in properties.items() if name not in NOT_FOR_MELTANO}
    return [_meltano_setting(name, spec) for name, spec in chosen.items()]


def _meltano_select() -> list[str]:
    return [
        f"{stream.name}.*" if stream.selected_by_default else f"!{stream.name}.*"
        for stream in streams()
    ]


def _meltano_setting(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    setting: dict[str, Any] = {"name": name, "kind": _meltano_kind(spec)}
    if "title" in spec:
        setting["label"] = spec["title"]
    setting["description"] = spec["description"]
    if spec.get("secret"):
        setting["sensitive"] = True
    if setting["kind"] == "options":
        values = [value for value in spec["enum"] if value is not None]
        setting["options"] = [{"label": value, "value": value} for value in values]
    if "default" in spec:
        default = spec["default"]
        setting["value"] = str(default) if setting["kind"] == "string" else default
    return setting


def _meltano_kind(spec: dict[str, Any]) -> str:
    if "enum" in spec:
        return "options"
    if spec.get("format") == "date-time":
        return "date_iso8601"
    kind = _types(spec)[0]
    # Meltano has no way to pass a decimal; the tap reads it from text.
    return "string" if kind == "number" else kind


def _yaml(value: dict[str, Any]) -> str:
    dumped = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=96)
    return "".join(f"    {line}\n" for line in dumped.splitlines())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
