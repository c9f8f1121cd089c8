"""The page is self-contained, and data from the file can neither run code nor send requests."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.duckdb_fixture import RECENT, REPORT, hour, load, page_of, row, rows, station

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.duckdb_fixture import Page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} %{y} &lt;b&gt; \u2028 ' ]]>",
    "<b>bold</b>",
]


@pytest.fixture
def hostile(tmp_path: Path) -> Page:
    ids = [f"D{number}" for number in range(len(HOSTILE))]
    stations = [station(id_, name, name) for id_, name in zip(ids, HOSTILE, strict=True)]
    measured = [row(id_, hour(at), org="<i>org</i>") for id_ in ids for at in (0, 3)]
    named = [each | {"org": "<i>org</i>"} for each in stations]
    return page_of(load(tmp_path / "<u>.duckdb", {REPORT: measured, "datasources": named}))


def test_names_are_shown_as_text_everywhere(hostile: Page) -> None:
    shown = [each["label"] for each in hostile.data[0]["series"]["stations"]]
    assert sorted(shown) == sorted(HOSTILE)
    assert set(hostile.data[0]["calendar"]["rows"]) == {"Any station", *HOSTILE}
    table = [row[0] for row in hostile.table[1:]]
    assert all(any(cell.strip().startswith(name) for cell in table) for name in HOSTILE)
    assert "Air quality of <i>org</i>" in hostile.texts_in("h1")[0]
    assert "<u>.duckdb" in hostile.text


def test_names_add_no_element(hostile: Page, tmp_path: Path) -> None:
    harmless = load(
        tmp_path / "w.duckdb",
        {
            REPORT: [row(f"D{n}", hour(at)) for n in range(len(HOSTILE)) for at in (0, 3)],
            "datasources": [station(f"D{n}", f"Name {n}", "group") for n in range(len(HOSTILE))],
        },
    )
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in page_of(harmless).elements]


def test_the_page_requests_nothing(hostile: Page) -> None:
    tags = {tag for tag, _ in hostile.elements}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form", "a", "svg"}
    urls = [attrs.keys() & {"src", "href", "srcset", "action"} for _, attrs in hostile.elements]
    assert not any(urls)
    style = "".join(hostile.texts_in("style"))
    assert "url(" not in style
    assert "@import" not in style


def test_its_policy_allows_its_own_scripts_and_no_network(hostile: Page) -> None:
    metas = [attrs for tag, attrs in hostile.elements if tag == "meta"]
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    run = re.findall(r"<script>(.*?)</script>", hostile.html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in run]
    assert len(run) == 2
    assert rules == {
        "default-src": "'none'",
        "script-src": " ".join(f"'sha256-{each}'" for each in hashes),
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_same_file_and_clock_give_the_same_page(tmp_path: Path) -> None:
    records = [row(f"D{n}", hour(at), (n * at) % 7 / 3) for n in range(9) for at in range(40)]
    file = load(tmp_path / "w.duckdb", {REPORT: records[::-1], RECENT: records[100:]})
    pages = {page_of(file).html for _ in range(2)}
    file.unlink()
    load(file, {REPORT: records, RECENT: records[:99:-1]})
    assert pages == {page_of(file).html}


def test_a_hundred_stations_cost_little_more_than_the_library(tmp_path: Path) -> None:
    few, many = (
        len(page_of(load(tmp_path / f"{n}.duckdb", {REPORT: _many(n)})).html) for n in (1, 100)
    )
    assert few < 5_200_000
    assert many - few < 99 * 1000  # characters for two days of a station


def _many(stations: int) -> list[dict[str, object]]:
    return [each for n in range(stations) for each in rows(f"D{n:03}", range(48), value=12.25)]


def test_the_tap_starts_without_what_only_the_page_needs() -> None:
    code = (
        "import sys, tap_clarity.tap, tap_clarity.page.cli;"
        "sys.exit(bool({'duckdb', 'jinja2', 'plotly'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
