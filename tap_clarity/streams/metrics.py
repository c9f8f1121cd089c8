"""The dictionary of metrics, shipped with the tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_clarity.measurements.dictionary import load_dictionary
from tap_clarity.measurements.schema import key
from tap_clarity.streams.base import ClarityStream, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context


class Metrics(ClarityStream):
    """What each metric measures, in which unit, over which period."""

    name = "metrics"
    source = "dictionary shipped with the tap"
    primary_keys = ("metric",)
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        key("metric", "Canonical name of the metric, as Clarity writes it."),
        key("column", "Stem of the metric's columns in the wide layout."),
        key("quantity", "Pollutant or other quantity that is measured, or that an index is of."),
        th.Property(
            "unit",
            th.StringType,
            description="Unit of raw and value; index for an air-quality index; null if unknown.",
        ),
        key("output_frequency", "Frequency at which Clarity delivers it: minute, hour or day."),
        key("averaging_period", "How it is averaged, such as 1-hour mean; individual: a sample."),
        th.Property(
            "index_standard",
            th.StringType,
            description="Standard of an air-quality index; null if it is no index.",
        ),
        th.Property(
            "english_label", th.StringType, description="Clarity's English name; null if unknown."
        ),
        th.Property(
            "cloud_calibrated",
            th.BooleanType,
            description="Whether value is raw, calibrated by Clarity; null if unknown.",
        ),
        th.Property(
            "category",
            th.StringType,
            description="Accessory module that senses it; null if none, or unknown.",
        ),
    ).to_dict()

    def records(self, context: Context | None) -> Iterator[Record]:  # noqa: ARG002
        for metric in load_dictionary().values():
            yield metric._asdict()
