"""The schemas of the measurement streams: a new column is one line here."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

from tap_clarity.measurements.dictionary import Metric, metrics_at
from tap_clarity.measurements.records import OTHER_METRICS

ID_DESCRIPTIONS = {
    "datasource_id": "Id of the datasource: the time series, which outlives its devices.",
    "node_id": "Id of the node that measured.",
    "reference_site_id": "Id of the reference site that measured.",
}
TEXTS = th.ArrayType(th.StringType)


def key(
    name: str, description: str, kind: th.JSONTypeHelper[Any] | None = None
) -> th.Property[Any]:
    """Describe a property that is part of the key, and so never null."""
    return th.Property(
        name, kind or th.StringType(), required=True, nullable=False, description=description
    )


ORG = key("org", "Id of the Clarity organisation whose key was used.")


def measurement_keys(id_field: str, layout: str) -> tuple[str, ...]:
    """Name the key properties of a measurement stream."""
    metric = ("metric",) if layout == "long" else ()
    return ("org", id_field, "output_frequency", *metric, "time")


def measurement_schema(id_field: str, layout: str, output_frequency: str) -> dict[str, Any]:
    """Build the JSON schema of a measurement stream."""
    shared = (
        ORG,
        key(id_field, ID_DESCRIPTIONS[id_field]),
        th.Property(
            "source_id",
            th.StringType,
            description="Id of the node or reference site behind the datasource; null if not sent.",
        ),
        th.Property(
            "source_type",
            th.StringType,
            description="Kind of the source: CLARITY_NODE or REFERENCE_SITE; null if not sent.",
        ),
        key("output_frequency", "Averaging of the measurement: minute, hour or day."),
        key("time", "Instant of the sample, or start of its period, in UTC.", th.DateTimeType()),
        th.Property(
            "period_end",
            th.DateTimeType,
            description="End of the period (exclusive), in UTC; null for single samples.",
        ),
        th.Property("latitude", th.NumberType, description="Latitude in degrees north."),
        th.Property("longitude", th.NumberType, description="Longitude in degrees east."),
    )
    own = _long() if layout == "long" else _wide(output_frequency)
    return th.PropertiesList(*shared, *own).to_dict()


def wide_columns(output_frequency: str) -> dict[str, str]:
    """Map each metric known at a frequency to the stem of its columns."""
    return {metric.metric: metric.column for metric in metrics_at(output_frequency)}


def _long() -> list[th.Property[Any]]:
    return [
        key("metric", "Canonical name of the metric; its unit is in the stream metrics."),
        th.Property("raw", th.NumberType, description="As sensed, in the metric's unit."),
        th.Property(
            "value",
            th.NumberType,
            description="Best value for use, in the metric's unit; null if not calibrated.",
        ),
        th.Property("status", th.StringType, description="State of the calibration."),
        th.Property(
            "qc_assessment",
            th.StringType,
            description="Worst quality-control severity: valid or invalid; null if not asked for.",
        ),
        th.Property(
            "qc_flags",
            TEXTS,
            description="Ids of the quality-control flags; null if not asked for.",
        ),
    ]


def _wide(output_frequency: str) -> list[th.Property[Any]]:
    columns = [
        column for metric in metrics_at(output_frequency) for column in _metric_columns(metric)
    ]
    others = th.Property(
        OTHER_METRICS,
        th.ObjectType(additional_properties=True),
        description="Metrics that the tap's dictionary does not know, whole, by canonical name.",
    )
    return [*columns, others]


def _metric_columns(metric: Metric) -> list[th.Property[Any]]:
    what = f"{metric.quantity}, {metric.averaging_period}"
    if metric.index_standard:
        what += f", {metric.index_standard}"
    unit = f" in {metric.unit}" if metric.unit else ", unit not documented"
    return [
        th.Property(f"{metric.column}_raw", th.NumberType, description=f"{what}: as sensed{unit}."),
        th.Property(
            f"{metric.column}_value",
            th.NumberType,
            description=f"{what}: best value for use{unit}.",
        ),
        th.Property(
            f"{metric.column}_status",
            th.StringType,
            description=f"{what}: state of the calibration.",
        ),
        th.Property(
            f"{metric.column}_qc_assessment",
            th.StringType,
            description=f"{what}: worst quality-control severity.",
        ),
        th.Property(
            f"{metric.column}_qc_flags", TEXTS, description=f"{what}: quality-control flags."
        ),
    ]
