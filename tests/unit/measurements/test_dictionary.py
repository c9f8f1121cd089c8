"""The dictionary against lists written by hand, and against what the names themselves say."""

from __future__ import annotations

import csv
import re
from importlib import resources

import pytest

from tap_clarity.measurements.dictionary import Metric, load_dictionary, metrics_at
from tests.support.realistic_files import LABELS

MINUTE = [
    "atmPressureIndividual",
    "bcAllSourcesIndividual",
    "bcBiomassIndividual",
    "bcFossilFuelIndividual",
    "bcSpectralBIndividual",
    "bcSpectralGIndividual",
    "bcSpectralIRIndividual",
    "bcSpectralRIndividual",
    "bcSpectralUVIndividual",
    "no2ConcIndividual",
    "o3ConcIndividual",
    "pm10ConcMassIndividual",
    "pm10ConcNumIndividual",
    "pm1ConcMassIndividual",
    "pm1ConcNumIndividual",
    "pm2_5ConcMassIndividual",
    "pm2_5ConcNumIndividual",
    "relHumidAmbientIndividual",
    "relHumidInternalIndividual",
    "temperatureAmbientIndividual",
    "temperatureInternalIndividual",
    "windDirectionIndividual",
    "windSpeedIndividual",
]

HOUR_BY_DEFAULT = [
    "atmPressure1HourMean",
    "bcAllSources1HourMean",
    "bcBiomass1HourMean",
    "bcFossilFuel1HourMean",
    "bcSpectralB1HourMean",
    "bcSpectralG1HourMean",
    "bcSpectralIR1HourMean",
    "bcSpectralR1HourMean",
    "bcSpectralUV1HourMean",
    "no2Conc1HourMean",
    "no2Conc1HourMeanUsEpaAqi",
    "no2Conc1HourMeanWaDwerAqi",
    "o3Conc1HourMean",
    "o3Conc1HourMeanWaDwerAqi",
    "pm10ConcMass1HourMean",
    "pm10ConcMass1HourMeanWaDwerAqi",
    "pm10ConcMass24HourRollingMean",
    "pm10ConcNum1HourMean",
    "pm10ConcNum24HourRollingMean",
    "pm1ConcMass1HourMean",
    "pm1ConcNum1HourMean",
    "pm2_5ConcMass1HourMean",
    "pm2_5ConcMass1HourMeanWaDwerAqi",
    "pm2_5ConcMass24HourRollingMean",
    "pm2_5ConcMassNowcast",
    "pm2_5ConcMassNowcastUsEpaAqi",
    "pm2_5ConcNum1HourMean",
    "pm2_5ConcNum24HourRollingMean",
    "relHumidAmbient1HourMean",
    "relHumidInternal1HourMean",
    "temperatureAmbient1HourMean",
    "temperatureInternal1HourMean",
    "windDirection1HourMean",
    "windSpeed1HourMean",
]

HOUR_ON_REQUEST = ["pm10ConcMassNowcast", "pm10ConcMassNowcastUsEpaAqi"]

DAY = [
    "no2Conc24HourMean",
    "pm2_5ConcMass24HourMean",
    "pm2_5ConcMass24HourMeanUsEpaAqi",
    "pm2_5ConcNum24HourMean",
    "relHumidInternal24HourMean",
    "temperatureAmbient24HourMean",
    "temperatureInternal24HourMean",
]

UNITS = {
    "pm1ConcMass": "ug/m3",
    "pm2_5ConcMass": "ug/m3",
    "pm10ConcMass": "ug/m3",
    "pm1ConcNum": "#/cm3",
    "pm2_5ConcNum": "#/cm3",
    "pm10ConcNum": "#/cm3",
    "no2Conc": "ppb",
    "o3Conc": None,
    "bcAllSources": "ng/m3",
    "bcBiomass": "ng/m3",
    "bcFossilFuel": "ng/m3",
    "bcSpectralUV": "ng/m3",
    "bcSpectralB": "ng/m3",
    "bcSpectralG": "ng/m3",
    "bcSpectralR": "ng/m3",
    "bcSpectralIR": "ng/m3",
    "temperatureInternal": "degC",
    "temperatureAmbient": "degC",
    "relHumidInternal": "%",
    "relHumidAmbient": "%",
    "windSpeed": "m/s",
    "windDirection": "deg",
    "atmPressure": "atm",
}

AGGREGATIONS = {
    "Individual": ("minute", "individual"),
    "1HourMean": ("hour", "1-hour mean"),
    "24HourRollingMean": ("hour", "24-hour rolling mean"),
    "Nowcast": ("hour", "NowCast"),
    "24HourMean": ("day", "24-hour mean"),
}

INDICES = {"": None, "UsEpaAqi": "US EPA AQI", "WaDwerAqi": "WA DWER AQI"}

NAME = re.compile(rf"(.+?)({'|'.join(AGGREGATIONS)})({'|'.join(INDICES)})")
WORD = re.compile(
    r"^[a-z][a-z0-9_]*"  # the first keeps its digits: pm2_5, no2
    r"|[A-Z][a-z]+"
    r"|[A-Z]+(?![a-z])"  # an abbreviation ends before the next word: UV|Individual
    r"|[0-9]+"
)
ATTRIBUTES = ("raw", "value", "status", "qc_assessment", "qc_flags")
POSTGRES_IDENTIFIER = 63

every_metric = pytest.mark.parametrize(
    "metric", load_dictionary().values(), ids=lambda metric: metric.metric
)


def words_of(metric: Metric) -> tuple[str, str, str]:
    match = NAME.fullmatch(metric.metric)
    assert match, f"{metric.metric} is not base, aggregation and index"
    base, aggregation, index = match.groups()
    return base, aggregation, index


def is_a(metric: Metric, *bases: str) -> bool:
    return metric.metric.startswith(bases)


def names_at(output_frequency: str) -> list[str]:
    return [metric.metric for metric in metrics_at(output_frequency)]


def test_minute_metrics_are_those_of_the_file_in_its_order() -> None:
    assert names_at("minute") == MINUTE


def test_hourly_metrics_are_those_of_the_default_file_and_pm10_nowcast() -> None:
    assert names_at("hour") == sorted(HOUR_BY_DEFAULT + HOUR_ON_REQUEST)
    assert sorted(HOUR_BY_DEFAULT) == HOUR_BY_DEFAULT, "the file's order is ours"


def test_daily_metrics_are_the_confirmed_ones_only() -> None:
    assert names_at("day") == DAY


def test_the_frequencies_together_are_the_dictionary_in_its_order() -> None:
    together = [*metrics_at("minute"), *metrics_at("hour"), *metrics_at("day")]
    assert together == list(load_dictionary().values())


def test_every_row_of_the_file_is_one_metric() -> None:
    """A name twice would otherwise vanish silently: the last row would win."""
    table = resources.files("tap_clarity.measurements") / "metrics.csv"
    rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines(), strict=True))
    assert [row[0] for row in rows[1:]] == list(load_dictionary())
    assert {len(row) for row in rows} == {len(Metric._fields)}
    assert rows[0] == list(Metric._fields)


def test_names_differ_in_more_than_case() -> None:
    names = [name.lower() for name in load_dictionary()]
    assert len(names) == len(set(names))


def test_wide_columns_differ_in_more_than_case() -> None:
    columns = [
        f"{metric.column}_{attribute}".lower()
        for metric in load_dictionary().values()
        for attribute in ATTRIBUTES
    ]
    assert len(columns) == len(set(columns))


def test_no_two_metrics_claim_to_be_the_same_thing() -> None:
    """So that a query by meaning never mixes two metrics."""
    meanings = [
        (metric.quantity, metric.output_frequency, metric.averaging_period, metric.index_standard)
        for metric in load_dictionary().values()
    ]
    assert len(meanings) == len(set(meanings))


@every_metric
def test_column_is_the_name_in_snake_case(metric: Metric) -> None:
    words = WORD.findall(metric.metric)
    assert "".join(words) == metric.metric
    assert metric.column == "_".join(words).lower()


@every_metric
def test_column_is_an_identifier_everywhere(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.column)
    assert len(f"{metric.column}_qc_assessment") < POSTGRES_IDENTIFIER


@every_metric
def test_name_contains_frequency_average_and_index(metric: Metric) -> None:
    _, aggregation, index = words_of(metric)
    assert (metric.output_frequency, metric.averaging_period) == AGGREGATIONS[aggregation]
    assert metric.index_standard == INDICES[index]


@every_metric
def test_unit_is_that_of_the_quantity_or_of_an_index(metric: Metric) -> None:
    base, _, index = words_of(metric)
    assert metric.unit == ("index" if index else UNITS[base])


@every_metric
def test_one_base_is_one_quantity(metric: Metric) -> None:
    base, _, _ = words_of(metric)
    assert metric.quantity == load_dictionary()[f"{base}Individual"].quantity


@every_metric
def test_calibration_is_stated_only_where_documented(metric: Metric) -> None:
    if is_a(metric, "pm1ConcMass", "pm2_5ConcMass", "pm10ConcMass", "no2"):
        assert metric.cloud_calibrated is True
    elif is_a(metric, "o3", "atmPressure"):
        assert metric.cloud_calibrated is None
    else:
        assert metric.cloud_calibrated is False


@every_metric
def test_category_is_the_module_or_unknown(metric: Metric) -> None:
    modules = {"wind": "wind module", "o3": "ozone module", "bc": "black carbon module"}
    expected = [module for base, module in modules.items() if is_a(metric, base)]
    assert metric.category == (expected[0] if expected else None)


def test_english_labels_are_those_of_a_real_file_and_no_others() -> None:
    labels = {
        metric.metric: metric.english_label
        for metric in load_dictionary().values()
        if metric.english_label is not None
    }
    assert labels == LABELS


def test_a_row_as_a_whole() -> None:
    assert load_dictionary()["o3Conc1HourMean"] == Metric(
        metric="o3Conc1HourMean",
        column="o3_conc_1_hour_mean",
        quantity="O3",
        unit=None,
        output_frequency="hour",
        averaging_period="1-hour mean",
        index_standard=None,
        english_label="Ozone, 1-hour mean",
        cloud_calibrated=None,
        category="ozone module",
    )


@every_metric
def test_nothing_is_an_empty_string(metric: Metric) -> None:
    values = [getattr(metric, field) for field in Metric._fields]
    assert all(value is None or isinstance(value, bool) or value.strip() for value in values)


def test_the_dictionary_is_read_once_and_cannot_be_changed() -> None:
    dictionary = load_dictionary()
    assert load_dictionary() is dictionary
    assert not hasattr(dictionary, "__setitem__")


def test_an_unknown_metric_is_absent_not_an_error() -> None:
    assert load_dictionary().get("pm10ConcMass24HourMean") is None
