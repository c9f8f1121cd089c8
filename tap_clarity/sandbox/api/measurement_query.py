"""What a measurement request asks for, read from its body as strictly as the API does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.api import column_labels as labels
from tap_clarity.sandbox.api.metric_select import select
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.core import timestamps as instants
from tap_clarity.sandbox.http.http_types import bad
from tap_clarity.sandbox.world import positions
from tap_clarity.sandbox.world.metrics import FREQUENCIES, catalogue

if TYPE_CHECKING:
    from tap_clarity.sandbox.behavior.parameters import Parameters
    from tap_clarity.sandbox.behavior.quirks import Quirks, Switches
    from tap_clarity.sandbox.world.metrics import Frequency, Metric


@dataclass(frozen=True, slots=True)
class MeasurementQuery:
    """The part of a request that every kind of measurement call shares."""

    frequency: Frequency
    metrics: frozenset[str]
    qc_assessment: bool
    qc_flags: bool
    location_rounding: int
    label_style: str
    quirks: Quirks
    parameters: Parameters

    def columns(self) -> list[Metric]:
        """List the chosen metrics in the order of a file's columns."""
        return [metric for metric in catalogue(self.frequency) if metric.name in self.metrics]

    def attributes(self) -> tuple[str, ...]:
        """Name the columns of one metric; inside a group they stand in this order."""
        qc = "qc" if Quirk.SHORT_QC_NAME in self.quirks else "qcAssessment"
        asked = ((qc, self.qc_assessment), ("qcFlags", self.qc_flags))
        return (*(name for name, wanted in asked if wanted), "raw", "status", "value")


def measurement_query(body: dict[str, Any], switches: Switches) -> MeasurementQuery:
    quirks = switches.current
    frequency = _frequency(body, quirks)
    style_key = "columnLabelStyle" if "columnLabelStyle" in body else "metricLabelStyle"
    return MeasurementQuery(
        frequency=frequency,
        metrics=metrics_of(body, frequency),
        qc_assessment=flag(body, "qcAssessment"),
        qc_flags=flag(body, "qcFlags"),
        location_rounding=_rounding(body, quirks),
        label_style=choice(body, style_key, labels.STYLES),
        quirks=quirks,
        parameters=switches.parameters,
    )


def _frequency(body: dict[str, Any], quirks: Quirks) -> Frequency:
    # The guide names a default, yet requests without a frequency were seen to fail.
    default = "minute" if Quirk.DEFAULT_FREQUENCY in quirks else None
    asked = body.get("outputFrequency", default)
    for frequency in FREQUENCIES:
        if asked == frequency:
            return frequency
    raise bad("outputFrequency must be one of minute, hour, day")


def metrics_of(body: dict[str, Any], frequency: Frequency) -> frozenset[str]:
    text = body.get("metricSelect", "default")
    if not isinstance(text, str):
        raise bad("metricSelect must be a string")
    try:
        return select(text, frequency)
    except ValueError as error:
        raise bad(str(error)) from None


def _rounding(body: dict[str, Any], quirks: Quirks) -> int:
    finest = positions.decimals(quirks)
    digits = body.get("locationRounding", finest)
    if isinstance(digits, bool) or not isinstance(digits, int) or digits < 0:
        raise bad("locationRounding must be a whole number")
    return min(digits, finest)


def flag(body: dict[str, Any], name: str) -> bool:
    """Read a switch; the string "true" passes for one, as it does with the real service."""
    given = body.get(name, False)
    if given not in (True, False, "true", "false"):
        raise bad(f"{name} must be a boolean")
    return given in (True, "true")


def id_list(body: dict[str, Any], name: str) -> list[str] | None:
    """Read a list of ids; a single id that is not in a list is refused."""
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise bad(f"{name} must be an array of strings")
    return given


def choice(body: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """Read one of some words; the first is the default."""
    given = body.get(name, choices[0])
    if given not in choices:
        raise bad(f"{name} must be one of {', '.join(choices)}")
    return str(given)


def instant(body: dict[str, Any], name: str) -> int | None:
    given = body.get(name)
    if given is None:
        return None
    try:
        return instants.parse(given)
    except (TypeError, ValueError):
        raise bad(f"{name} must be an ISO 8601 time") from None


def required_instant(body: dict[str, Any], name: str) -> int:
    found = instant(body, name)
    if found is None:
        raise bad(f"{name} is required")
    return found
