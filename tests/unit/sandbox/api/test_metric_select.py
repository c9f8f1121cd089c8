"""The metricSelect language, with every example that has been seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox.api.metric_select import select
from tap_clarity.sandbox.world.metrics import all_metrics, default_metric_names

if TYPE_CHECKING:
    from tests.support.sandbox_client import Client

DEFAULT = default_metric_names("hour")
ALL = frozenset(metric.name for metric in all_metrics("hour"))


def _named(*starts: str) -> frozenset[str]:
    return frozenset(name for name in ALL if name.startswith(starts))


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", DEFAULT),
        ("default", DEFAULT),
        ("ALL", ALL),
        ("none", frozenset()),
        ("only", frozenset()),
        ("only pm2_5* + pm10*", _named("pm2_5", "pm10")),
        ("only *nowcast*", frozenset(name for name in ALL if "Nowcast" in name)),
        ("default - *aqi*", frozenset(name for name in DEFAULT if "Aqi" not in name)),
        ("only :pm25 + :internal", _named("pm2_5", "relHumidInternal", "temperatureInternal")),
        ("only + :pm25 + :internal", _named("pm2_5", "relHumidInternal", "temperatureInternal")),
        ("only pm2_5ConcMass24HourRollingMean", {"pm2_5ConcMass24HourRollingMean"}),
        ("none + no2* - *aqi*", {"no2Conc1HourMean"}),
        ("- *", frozenset()),
        ("- * pm* + no2Conc1HourMean", {"no2Conc1HourMean"}),
        ("only NO2*-*AQI*", {"no2Conc1HourMean"}),
        ("only :blackcarbon", _named("bc")),
        ("only :no2", _named("no2")),
        ("only :pollutant", _named("pm", "no2", "o3", "bc")),
        ("only :node2", _named("pm", "no2", "relHumidInternal", "temperatureInternal")),
        ("default + *nowcast*", DEFAULT | {n for n in ALL if "Nowcast" in n}),
        ("only unheardOf", frozenset()),
    ],
)
def test_examples(text: str, chosen: frozenset[str]) -> None:
    assert select(text, "hour") == chosen


def test_default_is_less_than_all() -> None:
    on_request = {"pm10ConcMassNowcast", "pm10ConcMassNowcastUsEpaAqi"}
    assert ALL - on_request == DEFAULT


def test_the_selection_narrows_all_answers(client: Client) -> None:
    long = client.recent("hour", metricSelect="only :pm25").json
    assert {each["metric"] for each in long["data"]} == _named("pm2_5")
    wide = client.report("hour", "2026-11-19", "2026-11-20", metricSelect="only no2Conc1HourMean")
    assert wide.splitlines()[0].split(",")[8:] == [
        "no2Conc1HourMean.raw",
        "no2Conc1HourMean.status",
        "no2Conc1HourMean.value",
    ]
    assert client.recent("hour", metricSelect="only :nonsense").status == 400
    assert client.recent("hour", metricSelect=["pm*"]).status == 400
