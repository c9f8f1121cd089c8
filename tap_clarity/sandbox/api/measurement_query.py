"""What all measurement requests have in common: frequency, metrics, columns and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.api import column_labels
from tap_clarity.sandbox.api.body_fields import choice, flag
from tap_clarity.sandbox.api.errors import bad_request
from tap_clarity.sandbox.api.metric_select import select
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.world import row_positions
from tap_clarity.sandbox.world.metrics import FREQUENCIES, all_metrics

if TYPE_CHECKING:
    from tap_clarity.sandbox.behavior.parameters import Parameters
    from tap_clarity.sandbox.behavior.quirks import Quirks, Switches
    from tap_clarity.sandbox.world.metrics import Frequency, Metric


@dataclass(frozen=True, slots=True)
class MeasurementQuery:
    """The fields that recent and report requests share."""

    frequency: Frequency
    metrics: frozenset[str]
    qc_assessment: bool
    qc_flags: bool
    location_rounding: int
    label_style: str
    quirks: Quirks
    parameters: Parameters

    def columns(self) -> list[Metric]:
        """List the selected metrics in the order of a file's columns."""
        return [metric for metric in all_metrics(self.frequency) if metric.name in self.metrics]

    def attributes(self) -> tuple[str, ...]:
        """Name the columns of one metric, in this order inside its group."""
        qc = "qc" if Quirk.SHORT_QC_NAME in self.quirks else "qcAssessment"
        optional = ((qc, self.qc_assessment), ("qcFlags", self.qc_flags))
        return (*(name for name, wanted in optional if wanted), "raw", "status", "value")


def read_measurement_query(body: dict[str, Any], switches: Switches) -> MeasurementQuery:
    quirks = switches.quirks
    frequency = _frequency(body, quirks)
    style_key = "columnLabelStyle" if "columnLabelStyle" in body else "metricLabelStyle"
    return MeasurementQuery(
        frequency=frequency,
        metrics=selected_metrics(body, frequency),
        qc_assessment=flag(body, "qcAssessment"),
        qc_flags=flag(body, "qcFlags"),
        location_rounding=_rounding(body, quirks),
        label_style=choice(body, style_key, column_labels.STYLES),
        quirks=quirks,
        parameters=switches.parameters,
    )


def selected_metrics(body: dict[str, Any], frequency: Frequency) -> frozenset[str]:
    text = body.get("metricSelect", "default")
    if not isinstance(text, str):
        raise bad_request("metricSelect must be a string")
    try:
        return select(text, frequency)
    except ValueError as error:
        raise bad_request(str(error)) from None


def _frequency(body: dict[str, Any], quirks: Quirks) -> Frequency:
    # The guide names a default, yet requests without a frequency were seen to fail.
    default = "minute" if Quirk.DEFAULT_FREQUENCY in quirks else None
    requested = body.get("outputFrequency", default)
    for frequency in FREQUENCIES:
        if requested == frequency:
            return frequency
    raise bad_request("outputFrequency must be one of minute, hour, day")


def _rounding(body: dict[str, Any], quirks: Quirks) -> int:
    finest = row_positions.decimals(quirks)
    digits = body.get("locationRounding", finest)
    if isinstance(digits, bool) or not isinstance(digits, int) or digits < 0:
        raise bad_request("locationRounding must be a whole number")
    return min(digits, finest)
