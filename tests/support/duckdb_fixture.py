"""DuckDB files with given rows, and the page parsed back without the page's own code."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from functools import cached_property
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tap_clarity.page.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("plotly")

PM25 = "pm2_5ConcMass1HourMean"
START = datetime(2026, 3, 1)  # noqa: DTZ001 - as a loader writes it: UTC, without a time zone
REPORT, RECENT = "datasource_measurements", "recent_measurements"
LOCATION = "43.2500, \N{MINUS SIGN}30.5000"
"""Where all stations are, as the page writes it."""
_VOID_TAGS = {"meta", "br"}


def hour(number: float) -> datetime:
    """The time of an hour, counted from START."""
    return START + timedelta(hours=number)


def row(id_: str, time: datetime, value: float | None = 5.0, **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """A measurement in the long layout."""
    return {
        "org": "org1",
        "datasource_id": id_,
        "output_frequency": "hour",
        "metric": PM25,
        "time": time,
        "raw": 4.0,
        "value": value,
        "status": "calibrated-ready",
        "qc_assessment": "valid",
        "latitude": 43.25,
        "longitude": -30.5,
    } | others


def rows(id_: str, hours: Iterable[int], **others: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [row(id_, hour(each), **others) for each in hours]


def wide_rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Convert measurements of the long layout, all of PM2.5, to the wide layout."""
    prefix = "pm2_5_conc_mass_1_hour_mean"
    moved = ("raw", "value", "status", "qc_assessment")
    return [
        {name: each for name, each in record.items() if name not in {"metric", *moved}}
        | {f"{prefix}_{name}": record[name] for name in moved}
        | {"other_metrics": None}
        for record in records
    ]


def station(id_: str, name: str, group: str | None = None, **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """A station in `datasources`."""
    annotations = json.dumps({"name": name, "group": group, "tags": []})
    return {
        "org": "org1",
        "datasource_id": id_,
        "current_source_id": "A1",
        "org_annotations": annotations,
    } | others


def load(
    file: Path, tables: Mapping[str, Sequence[dict[str, Any]]], schema: str = "clarity"
) -> Path:
    """Write tables to a file, new or not."""
    quoted = schema.replace('"', '""')
    with closing(duckdb.connect()) as database:
        database.execute(f"ATTACH '{file}' AS loaded")
        database.execute(f'CREATE SCHEMA loaded."{quoted}"')
        for name, records in tables.items():
            database.register("records", pa.Table.from_pylist(records))
            database.execute(f'CREATE TABLE loaded."{quoted}".{name} AS FROM records')
    return file


class Page(HTMLParser):
    """A parsed page: its elements, its table, its texts and its data."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.table: list[list[str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID_TAGS:
            self._open.append(tag)
        if tag == "tr":
            self.table.append([])
        if tag in {"td", "th"}:
            self.table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))
        if {"td", "th"} & {*self._open}:
            self.table[-1][-1] += data

    def texts_in(self, tag: str) -> list[str]:
        """The texts directly in elements of a kind."""
        return [text.strip() for within, text in self.texts if within == tag and text.strip()]

    @property
    def text(self) -> str:
        """All visible text, in one line."""
        shown = (text for within, text in self.texts if within not in {"script", "style"})
        return " ".join(" ".join(shown).split())

    @property
    def stations(self) -> dict[str, list[str]]:
        """The table's rows by station, without the small print of the name."""
        cells = [[" ".join(cell.split()) for cell in row] for row in self.table]
        return {row[0]: row[1:] for row in cells if row[0] != "Station"}

    @cached_property
    def data(self) -> Any:  # noqa: ANN401
        index = next(n for n, (_, attrs) in enumerate(self.elements) if attrs.get("id") == "data")
        before = sum(tag == "script" for tag, _ in self.elements[:index])
        return json.loads(self.texts_in("script")[before])

    def line(self, label: str, kind: str = "value", network: int = 0) -> Any:  # noqa: ANN401
        """The series of a station: a value for each period, or the times and values of markers."""
        found = [s for s in self.data[network]["series"]["stations"] if s["label"] == label]
        return found[0][kind]

    def calendar(self, network: int = 0) -> dict[str, list[tuple[int, int]]]:
        """For each row and day: how many periods are present, of how many expected."""
        chart = self.data[network]["calendar"]
        return {
            label: [tuple(cell) for cell in cells]
            for label, cells in zip(chart["rows"], chart["cells"], strict=True)
        }

    @property
    def gaps(self) -> list[str]:
        lines, within = [], False
        for tag, text in self.texts:
            within = within or text == "The longest gaps"
            if within and tag in {"b", "li", "span"} and text.strip():
                lines.append(("\n" if tag == "b" else "") + " ".join(text.split()))
        return " ".join(lines).replace(" \n", "\n").strip().splitlines()


def page_of(file: Path, now: datetime | None = None) -> Page:
    """Run the command with a fixed clock, and parse the page."""
    page = file.with_suffix(".html")
    now_text = (now or hour(48)).isoformat()
    assert main([str(file), str(page), f"--now={now_text}"]) == 0
    return Page(page.read_text(encoding="utf-8"))
