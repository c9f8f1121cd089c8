"""Files in the format of real ones are loaded completely, in any style of CSV.

The expected values were calculated by hand from `tests.support.realistic_files`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import NOW
from tests.support.measurement_files import csv_of
from tests.support.realistic_files import (
    DAILY_REPORT,
    DATASOURCES,
    LABELS,
    NODE_REPORT,
    NODES,
    daily_report,
    node_report,
)
from tests.support.reports.harness import bookmark_of, warnings
from tests.support.tap_in_process import run_in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.support.realistic_files import Row
    from tests.support.tap_process import Record, TapRun

NODE_STREAM, DAILY_STREAM = "node_measurements", "datasource_measurements"
HOURLY = {"start_date": "2026-03-01", "end_date": "2026-03-02", "output_frequency": "hour"}
DAILY = {"start_date": "2026-02-01", "end_date": "2026-03-01", "output_frequency": "day"}


def quoted(text: str) -> str:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows(csv.reader(io.StringIO(text)))
    return file.getvalue()


def with_nan(text: str) -> str:
    """Write `NaN` where a number is missing, as pandas does."""
    rows = csv.reader(io.StringIO(text))
    return csv_of([cell or "NaN" for cell in row] for row in rows).decode()


def newest_first(text: str) -> str:
    header, *rows = text.splitlines()
    return "\n".join([header, *reversed(rows)])


STYLES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "all cells quoted": quoted,
    "all cells quoted, CRLF": lambda text: quoted(text).replace("\n", "\r\n"),
    "byte order mark": lambda text: f"\ufeff{text}",
    "words for missing cells": with_nan,
    "newest row first": newest_first,
}
GUIDE = {"labels as in the guide": lambda text: text.replace("PM 2.5 ", "PM2.5 ")}
every_style = pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=3, datasources=3, now=NOW, frozen=True, report_seconds=0) as running:
        yield running


def load(sandbox: Sandbox, stream: str, body: str, **settings: Any) -> TapRun:  # noqa: ANN401
    """Let a report's file be this one."""
    sandbox.faults.inject("status", path="/files/*", status=200, body=body, times=None)
    now = sandbox.clock.now()
    return run_in_process(
        sandbox, streams=[stream], node_ids=sandbox.expected.node_ids(now)[:1], **settings
    )


def covered(run: TapRun, stream: str) -> list[list[str]]:
    found: list[list[str]] = bookmark_of(run, stream)["covered"]
    return found


@pytest.mark.parametrize("style", [*STYLES.values(), *GUIDE.values()], ids=[*STYLES, *GUIDE])
def test_node_report_with_english_labels_is_loaded_completely(
    sandbox: Sandbox, style: Callable[[str], str]
) -> None:
    run = load(sandbox, NODE_STREAM, style(NODE_REPORT.read_text("utf-8")), **HOURLY).check()
    assert warnings(run) == []
    assert covered(run, NODE_STREAM) == [["2026-03-01", "2026-03-02"]]
    records = run.upserted(NODE_STREAM).values()
    # Cells that say only "empty" are measurements: the status is sent.
    assert Counter(record["metric"] for record in records) == dict.fromkeys(LABELS, 2 * 12)
    assert {record["node_id"] for record in records} == {*NODES}
    assert only_record(records, NODES[0], "pm2_5ConcMass1HourMean", 2) == {
        "org": sandbox.org,
        "node_id": "A7Q0X3B1",
        "source_id": "A7Q0X3B1",
        "source_type": "CLARITY_NODE",
        "output_frequency": "hour",
        "metric": "pm2_5ConcMass1HourMean",
        "time": "2026-03-01T02:00:00.000Z",
        "period_end": "2026-03-01T03:00:00.000Z",
        "raw": 15.1,  # the 14th metric (13), and two hours
        "value": 15.9,
        "status": "calibrated-ready",
        "qc_assessment": None,
        "qc_flags": None,
        "latitude": 37.7193391,
        "longitude": -122.4000125,
    }
    assert reading(only_record(records, NODES[0], "pm2_5ConcMassNowcastUsEpaAqi", 3)) == (
        *(None, 25, "calibrated-ready"),
    )
    assert reading(only_record(records, NODES[1], "no2Conc1HourMean", 5)) == (
        *(-6.25, None, "calibration-error"),
    )
    assert reading(only_record(records, NODES[1], "o3Conc1HourMean", 5)) == (None, None, "empty")
    places = {
        hour: location(only_record(records, NODES[1], "windSpeed1HourMean", hour))
        for hour in range(12)
    }
    assert places == {
        hour: (38.7193391, -121.4000125) if hour < 7 else (38.7203391, -121.3990125)
        for hour in range(12)
    }


@every_style
def test_daily_report_grouped_by_datasource_is_loaded_completely(
    sandbox: Sandbox, style: Callable[[str], str]
) -> None:
    run = load(sandbox, DAILY_STREAM, style(DAILY_REPORT.read_text("utf-8")), **DAILY).check()
    (warning,) = warnings(run)
    assert warning == "Columns that the tap does not know are left out (1): ['Name']"
    assert covered(run, DAILY_STREAM) == [["2026-02-01", "2026-03-01"]]
    records = run.upserted(DAILY_STREAM).values()
    assert Counter(record["metric"] for record in records) == {
        "pm2_5ConcMass24HourMean": 3 * 8 - 1,
        "pm2_5ConcMass24HourMeanUsEpaAqi": 3 * 8,
        "pm2_5ConcNum24HourMean": 3 * 8,
        "relHumidInternal24HourMean": 3 * 8,
        "temperatureInternal24HourMean": 3 * 8,
    }
    assert {record["datasource_id"] for record in records} == {id_ for id_, _ in DATASOURCES}
    for record in records:
        assert record["time"].endswith("T00:00:00.000Z")
        assert record["period_end"].endswith("T00:00:00.000Z")
    last = {
        record["metric"]: reading(record)[:2]
        for record in records
        if (record["datasource_id"], record["time"][:10]) == ("DTVWX6650", "2026-02-08")
    }
    assert last == {
        "pm2_5ConcMass24HourMean": (27.4, 27.125),
        "pm2_5ConcMass24HourMeanUsEpaAqi": (None, 54),
        "pm2_5ConcNum24HourMean": (None, 27.75),
        "relHumidInternal24HourMean": (47.5, None),
        "temperatureInternal24HourMean": (22, None),
    }


def test_wide_records_have_columns_for_all_metrics_of_the_files(sandbox: Sandbox) -> None:
    text = DAILY_REPORT.read_text("utf-8")
    run = load(sandbox, DAILY_STREAM, text, measurement_layout="wide", **DAILY).check()
    records = run.records(DAILY_STREAM)
    assert len(records) == 3 * 8
    assert all(record["other_metrics"] is None for record in records)
    assert records[-1]["pm2_5_conc_mass_24_hour_mean_us_epa_aqi_value"] == 54
    assert records[-1]["pm2_5_conc_num_24_hour_mean_value"] == 27.75


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.replace("concentration", "level").replace("mean", "average"),
        lambda name: name.partition(" ")[0],
    ],
    ids=["reworded labels", "no attributes"],
)
def test_report_with_unknown_labels_keeps_its_window_open(
    sandbox: Sandbox, change: Callable[[str], str]
) -> None:
    header, *rows = csv.reader(NODE_REPORT.read_text("utf-8").splitlines())
    ids, labels = header[:8], [f"{number}{change(each)}" for number, each in enumerate(header[8:])]
    body = csv_of([[*ids, *labels], *rows]).decode()
    run = load(sandbox, NODE_STREAM, body, **HOURLY)
    assert run.status == 1
    (error_line,) = run.error_lines
    assert "file 1 of 1: row 2: no column holds a metric; the first are ['nodeId'," in error_line
    assert covered(run, NODE_STREAM) == []
    assert run.records(NODE_STREAM) == []


def test_files_in_the_repository_are_generated() -> None:
    for path, rows in ((NODE_REPORT, node_report()), (DAILY_REPORT, daily_report())):
        found: list[Row] = list(csv.reader(path.read_text("utf-8").splitlines()))
        assert found == [list(row) for row in rows]
        assert len({len(row) for row in found}) == 1
    assert len(next(node_report())) == 86


def only_record(records: Iterable[Record], node: str, metric: str, hour: int) -> Record:
    (found,) = (
        record
        for record in records
        if (record["node_id"], record["metric"]) == (node, metric)
        and record["time"] == f"2026-03-01T{hour:02}:00:00.000Z"
    )
    return found


def reading(record: Record) -> tuple[object, ...]:
    return record["raw"], record["value"], record["status"]


def location(record: Record) -> tuple[object, ...]:
    return record["latitude"], record["longitude"]
