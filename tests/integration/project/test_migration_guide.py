"""docs/migrating.md: each column of a CSV file has the documented counterpart."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.settings import SCHEMA
from tests.support.paths import ROOT
from tests.support.tap_process import run_tap
from tools.generate_docs import streams

if TYPE_CHECKING:
    from tap_clarity.sandbox import Sandbox
    from tests.support.tap_process import Record

PAGE = (ROOT / "docs" / "migrating.md").read_text("utf-8")
STREAM = "datasource_measurements"
START, END = "2026-03-08", "2026-03-09"
METRIC = "pm2_5ConcMass1HourMean"
COLUMNS = re.findall(r"^\| `([\w.]+)` \| `(\w+)`(.*?) \| `(\w+)` \|$", PAGE, re.MULTILINE)


def downloaded(sandbox: Sandbox) -> list[dict[str, str]]:
    """Give the rows of a CSV as Clarity writes it, without the tap."""

    def ask(path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        data = None if body is None else json.dumps(body).encode()
        headers = {"x-api-key": sandbox.api_key, "Content-Type": "application/json"}
        request = urllib.request.Request(sandbox.url + path, data, headers)  # noqa: S310
        with urllib.request.urlopen(request) as reply:  # noqa: S310
            return json.load(reply)

    query = {"org": sandbox.org, "report": "datasource-measurements", "allDatasources": True}
    query |= {"outputFrequency": "hour", "qcAssessment": True, "startTime": START, "endTime": END}
    report = ask("/v2/report-requests", query)["reportId"]
    sandbox.clock.advance(60)
    (url,) = ask(f"/v2/report-requests/{report}?org={sandbox.org}")["urls"]
    with urllib.request.urlopen(url) as reply:  # noqa: S310
        return [*csv.DictReader(io.StringIO(gzip.decompress(reply.read()).decode()))]


def loaded(sandbox: Sandbox, layout: str) -> list[Record]:
    settings: Record = {"measurement_layout": layout, "start_date": START, "end_date": END}
    return run_tap(sandbox, streams=[STREAM], **settings).records(STREAM)


def same(cell: str, value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, int | float):
        return float(cell) == value
    return cell == (value or "")


def test_each_column_of_clarityio_has_the_documented_counterpart(sandbox: Sandbox) -> None:
    long = {(r["datasource_id"], r["time"], r["metric"]): r for r in loaded(sandbox, "long")}
    wide = {(r["datasource_id"], r["time"]): r for r in loaded(sandbox, "wide")}
    rows = [row for row in downloaded(sandbox) if row[f"{METRIC}.status"]]
    assert len(rows) > 100
    assert {name for name, *_ in COLUMNS} >= {name for name in rows[0] if "." not in name}
    for row in rows:
        key = row["datasourceId"], row["startOfPeriod"]
        for column, in_long, _, in_wide in COLUMNS:
            assert same(row[column], long[*key, METRIC][in_long]), column
            assert same(row[column], wide[key][in_wide]), column


@pytest.mark.parametrize("word", ["settings?", "streams?"])
def test_settings_and_streams_on_the_page_exist(word: str) -> None:
    known = {*SCHEMA["properties"], *(stream.name for stream in streams())}
    lists = re.findall(rf"\b{word} ((?:`\w+`(?:, )?)+)", PAGE)
    named = {name for each in lists for name in re.findall(r"\w+", each)}
    assert len(named) > 4
    assert named - known <= {"node_id"}
