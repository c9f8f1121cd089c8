"""Unknowns of report files: rows, labels, formats and types."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
    default_values,
    fetch,
    values_of_csv,
    values_of_measurements,
)

if TYPE_CHECKING:
    from tests.support.sandbox_client import Key, Values


DAY = ("2026-11-19", "2026-11-20")
# From a real node report of 2024, and the metric that each stands for.
REAL_LABELS = {
    "Atmospheric pressure, 1-hour mean": "atmPressure1HourMean",
    "NO2 concentration, 1-hour mean": "no2Conc1HourMean",
    "NO2 concentration, 1-hour mean, UsEpaAqi": "no2Conc1HourMeanUsEpaAqi",
    "NO2 concentration, 1-hour mean, WaDwerAqi": "no2Conc1HourMeanWaDwerAqi",
    "Ozone, 1-hour mean": "o3Conc1HourMean",
    "Ozone, 1-hour mean, WaDwerAqi": "o3Conc1HourMeanWaDwerAqi",
    "PM 10 mass concentration, 1-hour mean": "pm10ConcMass1HourMean",
    "PM 10 mass concentration, 1-hour mean, WaDwerAqi": "pm10ConcMass1HourMeanWaDwerAqi",
    "PM 10 mass concentration, 24-hour rolling mean": "pm10ConcMass24HourRollingMean",
    "PM 10 number concentration, 1-hour mean": "pm10ConcNum1HourMean",
    "PM 10 number concentration, 24-hour rolling mean": "pm10ConcNum24HourRollingMean",
    "PM 1 mass concentration, 1-hour mean": "pm1ConcMass1HourMean",
    "PM 1 number concentration, 1-hour mean": "pm1ConcNum1HourMean",
    "PM 2.5 mass concentration, 1-hour mean": "pm2_5ConcMass1HourMean",
    "PM 2.5 mass concentration, 1-hour mean, WaDwerAqi": "pm2_5ConcMass1HourMeanWaDwerAqi",
    "PM 2.5 mass concentration, 24-hour rolling mean": "pm2_5ConcMass24HourRollingMean",
    "PM 2.5 mass concentration, Nowcast": "pm2_5ConcMassNowcast",
    "PM 2.5 mass concentration, Nowcast, UsEpaAqi": "pm2_5ConcMassNowcastUsEpaAqi",
    "PM 2.5 number concentration, 1-hour mean": "pm2_5ConcNum1HourMean",
    "PM 2.5 number concentration, 24-hour rolling mean": "pm2_5ConcNum24HourRollingMean",
    "Relative humidity ambient, 1-hour mean": "relHumidAmbient1HourMean",
    "Relative humidity internal, 1-hour mean": "relHumidInternal1HourMean",
    "Temperature ambient, 1-hour mean": "temperatureAmbient1HourMean",
    "Temperature internal, 1-hour mean": "temperatureInternal1HourMean",
    "Wind direction, 1-hour mean": "windDirection1HourMean",
    "Wind speed, 1-hour mean": "windSpeed1HourMean",
}
_WIDE = {
    "datasourceId": "datasourceId",
    "Datasource Id": "datasourceId",
    "Start of Period": "startOfPeriod",
}


def _expected(client: Client) -> dict[Key, Values]:
    return default_values(client.sandbox.expected.measurements("hour", *DAY, NOW))


def _turn_on(client: Client, *labels: str, **parameters: Any) -> None:  # noqa: ANN401
    client.sandbox.switches.set(**parameters)
    client.sandbox.switches.turn_on(*labels)


def _keys(text: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    return [(row["datasourceId"], row["startOfPeriod"]) for row in rows]


def test_rows_grouped_by_datasource(client: Client) -> None:
    plain = client.report("hour", *DAY)
    _turn_on(client, "rows-grouped")
    text = client.report("hour", *DAY)
    assert _keys(text) == sorted(_keys(plain)) != _keys(plain)
    assert values_of_csv(text) == _expected(client)


def test_rows_without_an_order(client: Client) -> None:
    plain = _keys(client.report("hour", *DAY))
    _turn_on(client, "rows-shuffled")
    text = client.report("hour", *DAY)
    assert _keys(text) not in (plain, sorted(plain))
    assert values_of_csv(text) == _expected(client)


@pytest.mark.parametrize("order", [None, "rows-shuffled", "rows-grouped"])
@pytest.mark.parametrize("label", ["rows-repeated", "rows-revised"])
def test_duplicate_rows(client: Client, label: str, order: str | None) -> None:
    _turn_on(client, label, *([order] if order else []))
    header, *rows = client.report("hour", *DAY).splitlines()
    keys = [(row.split(",")[0], row.split(",")[4]) for row in rows]
    repeated = len(keys) - len(set(keys))
    assert repeated == -(-len(set(keys)) // 20)
    last = dict(zip(keys, rows, strict=True))
    assert values_of_csv("\n".join([header, *last.values()])) == _expected(client)
    first = dict(zip(reversed(keys), reversed(rows), strict=True))
    assert (first == last) == (label == "rows-repeated")


def test_rows_outside_the_window(client: Client) -> None:
    _turn_on(client, "rows-outside")
    text = client.report("hour", *DAY, metricSelect="all")
    times = {time for _, time in _keys(text)}
    assert (min(times), max(times)) == ("2026-11-18T23:00:00.000Z", "2026-11-20T00:00:00.000Z")
    wider = client.sandbox.expected.measurements(
        "hour", "2026-11-18T23:00Z", "2026-11-20T01:00Z", NOW
    )
    assert values_of_csv(text) == values_of_measurements(wider)


def test_a_floored_start(client: Client) -> None:
    window = ("2026-11-19T07:30:00Z", "2026-11-20T00:00:00Z")
    first = min(time for _, time in _keys(client.report("hour", *window)))
    assert first == "2026-11-19T08:00:00.000Z"
    _turn_on(client, "floored-start")
    record = client.poll(client.request_report("hour", *window).json["reportId"])
    assert record["query"]["startTime"] == "2026-11-19T07:30:00.000Z"
    text = fetch(record["urls"][0]).body.decode()
    assert min(time for _, time in _keys(text)) == "2026-11-19T07:00:00.000Z"


def _values(text: str, missing: str = "") -> dict[Key, Values]:
    """Read a file with any columns of this page, by hand."""
    found: dict[Key, Values] = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        ids = {_WIDE[name]: cell for name, cell in row.items() if name in _WIDE}
        time = ids.get("startOfPeriod") or row["startOfPeriod"]
        for name, status in row.items():
            if not name.lower().endswith("status") or status == missing:
                continue
            label, separator = name[:-7], name[-7]
            raw, value = "raw", "value"
            if name.endswith("Status"):
                raw, value = "Raw", "Value"
            numbers = (row[f"{label}{separator}{each}"] for each in (raw, value))
            values = [None if each == missing else float(each) for each in numbers]
            metric = REAL_LABELS.get(label, label)
            found[ids["datasourceId"], time, metric] = (values[0], values[1], status)
    return found


def test_english_labels_whatever_is_requested(client: Client) -> None:
    _turn_on(client, "english-labels")
    text = client.report("hour", *DAY, metricLabelStyle="canonical")
    header = next(csv.reader(io.StringIO(text)))
    assert header[1:8] == [
        *("Source Id", "Source Type", "Output Frequency", "Start of Period", "End of Period"),
        *("Location Latitude [deg]", "Location Longitude [deg]"),
    ]
    labels = {f"{label} {each}" for label in REAL_LABELS for each in ("raw", "status", "value")}
    assert labels <= set(header)
    known = {*REAL_LABELS.values()}
    expected = {key: values for key, values in _expected(client).items() if key[2] in known}
    found = {key: values for key, values in _values(text).items() if key[2] in known}
    assert found == expected
    recent = client.recent("hour", format="csv-wide").body.decode()
    assert "PM 2.5 mass concentration, Nowcast, UsEpaAqi status" in recent
    nodes = {"report": "node-measurements", "nodeIds": client.sandbox.expected.node_ids(NOW)}
    assert client.report("hour", *DAY, **nodes).startswith("nodeId,Source Id,Source Type,")


@pytest.mark.parametrize(
    ("labels", "column"),
    [
        ({"underscore-columns"}, "no2Conc1HourMean_raw"),
        ({"capital-attributes"}, "no2Conc1HourMean.Raw"),
        ({"underscore-columns", "capital-attributes"}, "no2Conc1HourMean_Raw"),
    ],
)
def test_other_column_names(client: Client, labels: set[str], column: str) -> None:
    _turn_on(client, *labels)
    text = client.report("hour", *DAY)
    assert column in text.partition("\n")[0].split(",")
    assert _values(text) == _expected(client)


@pytest.mark.parametrize("word", ["NaN", "null", "None", "-"])
def test_words_for_missing_cells(client: Client, word: str) -> None:
    _turn_on(client, "missing-words", missing_word=word)
    text = client.report("hour", *DAY)
    assert f",{word},{word},{word}" in text
    assert ",," not in text
    assert _values(text, word) == _expected(client)


def test_crlf_and_quotes(client: Client) -> None:
    plain = client.report("hour", *DAY)
    _turn_on(client, "crlf-lines")
    assert client.report("hour", *DAY) == plain.replace("\n", "\r\n")
    _turn_on(client, "quoted-cells")
    text = client.report("hour", *DAY)
    assert text.startswith('"datasourceId","sourceId",')
    assert all(line.startswith('"') and line.endswith('"') for line in text.splitlines())
    assert _values(text) == _expected(client)


def test_moving_coordinates(client: Client) -> None:
    _turn_on(client, "moving-coordinates")
    rows = list(csv.DictReader(io.StringIO(client.report("hour", *DAY))))
    first = [row for row in rows if row["datasourceId"] == rows[0]["datasourceId"]]
    places = {(row["locationLatitude"], row["locationLongitude"]) for row in first}
    assert len(places) == 2
    assert {len(each.partition(".")[2]) for place in places for each in place} <= {7, 8}
    expected = {
        (each.datasource_id, each.time.strftime("%Y-%m-%dT%H:%M:%S.000Z")): (
            each.latitude,
            each.longitude,
        )
        for each in client.sandbox.expected.measurements("hour", *DAY, NOW)
    }
    for row in rows:
        place = (float(row["locationLatitude"]), float(row["locationLongitude"]))
        assert place == expected[row["datasourceId"], row["startOfPeriod"]]


@pytest.mark.parametrize(
    ("labels", "requested", "served"),
    [
        ((), {}, "csv"),
        (("parquet-by-default",), {}, "parquet"),
        (("parquet-by-default",), {"format": "csv-wide"}, "csv"),
        (("parquet-by-default",), {"fileFormat": "csv"}, "csv"),
        (("only-format-key",), {"fileFormat": "parquet"}, "csv"),
        (("only-format-key",), {"format": "parquet-wide", "fileFormat": "csv"}, "parquet"),
        (("only-format-key", "parquet-by-default"), {"fileFormat": "csv"}, "parquet"),
        (("only-file-format-key",), {"format": "parquet-wide"}, "csv"),
        (("only-file-format-key", "parquet-by-default"), {"format": "csv-wide"}, "parquet"),
        (("only-file-format-key",), {"fileFormat": "parquet"}, "parquet"),
    ],
)
def test_format_keys_and_defaults(
    client: Client, labels: tuple[str, ...], requested: dict[str, str], served: str
) -> None:
    _turn_on(client, *labels)
    record = client.poll(client.request_report("hour", *DAY, **requested).json["reportId"])
    assert record["query"]["format"] == f"{served}-wide"
    body = fetch(record["urls"][0]).body
    assert body.startswith(b"PAR1") == (served == "parquet")


def _parquet(client: Client, *labels: str) -> pa.Table:
    _turn_on(client, *labels)
    record = client.poll(
        client.request_report("hour", *DAY, format="parquet-wide").json["reportId"]
    )
    return pq.read_table(io.BytesIO(fetch(record["urls"][0]).body))


def test_parquet_in_other_types(client: Client) -> None:
    plain = _parquet(client)
    column = "no2Conc1HourMean.value"
    nan = _parquet(client, "parquet-nan")
    assert nan[column].null_count == 0
    assert plain[column].null_count == pa.compute.sum(pa.compute.is_nan(nan[column])).as_py() > 0
    epoch = _parquet(client, "parquet-epoch-milliseconds")
    assert epoch["startOfPeriod"].type == pa.int64()
    assert epoch["startOfPeriod"].cast(pa.timestamp("ms", tz="UTC")) == plain["startOfPeriod"]
    narrow = _parquet(client, "parquet-float32")
    assert narrow[column].type == pa.float32()
    assert narrow["locationLatitude"] == plain["locationLatitude"]
    coded = _parquet(client, "parquet-dictionary")
    assert pa.types.is_dictionary(coded["datasourceId"].type)
    assert coded["datasourceId"].to_pylist() == plain["datasourceId"].to_pylist()
