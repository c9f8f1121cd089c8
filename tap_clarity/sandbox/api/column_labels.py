"""Column labels in the three styles: canonical, English and legacy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.behavior.quirks import Quirk, Quirks
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.world.metrics import displayed_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_clarity.sandbox.world.metrics import Metric


STYLES: Final = ("canonical", "english", "legacy")

_ENGLISH_IDS: Final = {
    "datasourceId": "Datasource Id",
    "refSiteId": "Reference Site Id",
    "sourceId": "Source Id",
    "sourceType": "Source Type",
    "outputFrequency": "Output Frequency",
    "time": "Time",
    "startOfPeriod": "Start of Period",
    "endOfPeriod": "End of Period",
    "locationLatitude": "Location Latitude [deg]",
    "locationLongitude": "Location Longitude [deg]",
}
_ENGLISH_QUANTITIES: Final = {
    "atmPressure": "Atmospheric pressure",
    "bcAllSources": "Black carbon, all sources",
    "bcBiomass": "Black carbon, biomass",
    "bcFossilFuel": "Black carbon, fossil fuel",
    "no2Conc": "NO2 concentration",
    "o3Conc": "Ozone",
    "pm10ConcMass": "PM 10 mass concentration",
    "pm10ConcNum": "PM 10 number concentration",
    "pm1ConcMass": "PM 1 mass concentration",
    "pm1ConcNum": "PM 1 number concentration",
    "pm2_5ConcMass": "PM 2.5 mass concentration",
    "pm2_5ConcNum": "PM 2.5 number concentration",
    "relHumidAmbient": "Relative humidity ambient",
    "relHumidInternal": "Relative humidity internal",
    "temperatureAmbient": "Temperature ambient",
    "temperatureInternal": "Temperature internal",
    "windDirection": "Wind direction",
    "windSpeed": "Wind speed",
}
_ENGLISH_AGGREGATES: Final = {
    "Individual": "individual sample",
    "1HourMean": "1-hour mean",
    "24HourRollingMean": "24-hour rolling mean",
    "24HourMean": "24-hour mean",
    "Nowcast": "Nowcast",
}
_LEGACY_QUANTITIES: Final = {"relHumidInternal": "relHumid", "temperatureInternal": "temperature"}
_LEGACY_AGGREGATES: Final = {
    "24HourRollingMean": "_24HourRollingMean",
    "Nowcast": "_NowCast",
}


def style_of(requested: str, quirks: Quirks) -> str:
    """Return the style of the columns: as requested, unless all are English."""
    return "english" if Unknown.ENGLISH_LABELS in quirks else requested


def id_label(name: str, style: str, quirks: Quirks) -> str:
    if style != "english":
        return name
    # In real node reports this one column keeps its canonical name.
    if name == "nodeId":
        return "Node Id" if Quirk.DOCUMENTED_LABELS in quirks else name
    return _ENGLISH_IDS[name]


def cell_label(metric: Metric, attribute: str, style: str, quirks: Quirks) -> str:
    return _CELL_LABELS[style](metric, attribute, quirks)


def _canonical_cell(metric: Metric, attribute: str, quirks: Quirks) -> str:
    separator = "_" if Unknown.UNDERSCORE_COLUMNS in quirks else "."
    if Unknown.CAPITAL_ATTRIBUTES in quirks:
        attribute = attribute[0].upper() + attribute[1:]
    return f"{displayed_name(metric.name, quirks)}{separator}{attribute}"


def _english_cell(metric: Metric, attribute: str, quirks: Quirks) -> str:
    quantity = _ENGLISH_QUANTITIES.get(metric.quantity.name, metric.quantity.name)
    if Quirk.DOCUMENTED_LABELS in quirks:
        quantity = quantity.replace("PM ", "PM")
    index = f", {metric.standard}" if metric.standard else ""
    return f"{quantity}, {_ENGLISH_AGGREGATES[metric.aggregate]}{index} {attribute}"


def _legacy_cell(metric: Metric, attribute: str, _quirks: Quirks) -> str:
    name = metric.quantity.name
    if metric.standard is None:
        legacy = _LEGACY_QUANTITIES.get(name, name)
        return f"{legacy}{_LEGACY_AGGREGATES.get(metric.aggregate, '')}.{attribute}"
    pollutant = name.partition("Conc")[0]
    index = "NowCastAqi" if metric.aggregate == "Nowcast" else metric.standard
    return f"{pollutant}{index}.{attribute}"


_CELL_LABELS: Final[dict[str, Callable[[Metric, str, Quirks], str]]] = {
    "canonical": _canonical_cell,
    "english": _english_cell,
    "legacy": _legacy_cell,
}
