"""The settings: their schema for users, and their typed view for the code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_clarity.core.frequencies import FREQUENCIES, Frequency
from tap_clarity.core.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DEFAULT_API_URL = "https://clarity-data-api.clarity.io"

_IDS = th.ArrayType(th.StringType(min_length=1))
_HEADER_SAFE = r"^[\x21-\x7e]+\Z"
_WEB_ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#]*)?\Z"
# Settings from the environment arrive as text, and Meltano cannot pass decimals.
_SECONDS = th.CustomType({"type": ["number", "string"]})

SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType(pattern=_HEADER_SAFE),
        required=True,
        secret=True,
        title="API key",
        description="Key of a Clarity user or application, sent to the API only.",
    ),
    th.Property(
        "org",
        th.StringType(min_length=1),
        required=True,
        title="Organisation",
        description="Id of the Clarity organisation whose data to read.",
    ),
    th.Property(
        "api_url",
        th.StringType(pattern=_WEB_ADDRESS),
        default=DEFAULT_API_URL,
        title="API address",
        description="Where the API is; another one for the sandbox.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType(),
        title="Start date",
        description=(
            "First instant that the report streams cover. Without a zone or time it means UTC, "
            "00:00. Left out: 00:00 UTC 30 days before the first run, kept in state."
        ),
    ),
    th.Property(
        "end_date",
        th.DateTimeType(),
        title="End date",
        description="Instant at which the report streams stop (exclusive), for bounded backfills.",
    ),
    th.Property(
        "output_frequency",
        th.StringType(),
        default="hour",
        allowed_values=list(FREQUENCIES),
        title="Output frequency",
        description="Averaging of the measurements: single samples, hourly or daily means.",
    ),
    th.Property(
        "datasource_ids",
        _IDS,
        title="Datasource ids",
        description=(
            "Datasources of the details stream, the recent measurements and the datasource "
            "reports. Left out: all that the organisation may read."
        ),
    ),
    th.Property(
        "node_ids",
        _IDS,
        title="Node ids",
        description="Nodes of the node reports. Left out: the organisation's own.",
    ),
    th.Property(
        "reference_site_ids",
        _IDS,
        title="Reference site ids",
        description="Sites of the reference-site reports. Left out: the organisation's own.",
    ),
    th.Property(
        "metric_select",
        th.StringType(min_length=1),
        title="Metric selection",
        description="Expression in Clarity's metricSelect language, passed through verbatim.",
    ),
    th.Property(
        "qc_assessment",
        th.BooleanType(),
        default=True,
        title="QC assessment",
        description="Whether to ask for the quality-control assessment of each metric.",
    ),
    th.Property(
        "qc_flags",
        th.BooleanType(),
        default=False,
        title="QC flags",
        description="Whether to ask for the quality-control flags of each metric.",
    ),
    th.Property(
        "measurement_layout",
        th.StringType(),
        default="long",
        allowed_values=["long", "wide"],
        title="Measurement layout",
        description="One record per metric (long), or one per datasource and time (wide).",
    ),
    th.Property(
        "report_window_days",
        th.IntegerType(minimum=1),
        title="Report window",
        description=(
            "Longest range asked of one report, in days. Left out: 7 for minute, 31 for hour, "
            "366 for day."
        ),
    ),
    th.Property(
        "report_interval_hours",
        th.IntegerType(minimum=1),
        default=24,
        title="Report interval",
        description=(
            "New data is asked of reports at most once per slot of this many hours, counted "
            "from 00:00 UTC."
        ),
    ),
    th.Property(
        "lookback_days",
        th.IntegerType(minimum=0),
        title="Lookback",
        description=(
            "How many days before the bookmark to read again, so that late and recalibrated "
            "values replace old ones. Left out: 3 for minute and hour, 10 for day."
        ),
    ),
    th.Property(
        "report_daily_limit",
        th.IntegerType(minimum=0, maximum=30),
        default=25,
        title="Report limit",
        description=(
            "Most report requests per UTC day. Clarity allows an organisation 30; the rest is "
            "left for colleagues."
        ),
    ),
    th.Property(
        "report_file_format",
        th.StringType(),
        default="csv",
        allowed_values=["csv", "parquet"],
        title="Report file format",
        description="Format asked of reports. Parquet needs the extra tap-clarity[parquet].",
    ),
    th.Property(
        "report_concurrency",
        th.IntegerType(minimum=1, maximum=10),
        default=3,
        title="Report concurrency",
        description="How many reports Clarity may be building for this tap at once.",
    ),
    th.Property(
        "report_poll_interval",
        _SECONDS,
        default=10,
        title="Poll interval",
        description="First wait between two polls of a report, in seconds; it grows to 60.",
    ),
    th.Property(
        "report_wait_timeout",
        th.IntegerType(minimum=0),
        default=3600,
        title="Report wait",
        description=(
            "How many seconds one run waits for reports, in all, before it leaves them to the "
            "next run."
        ),
    ),
    th.Property(
        "recover_gaps",
        th.BooleanType(),
        default=True,
        title="Recover gaps",
        description="Whether to fill holes in the recent measurements by reports.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType(minimum=1),
        default=60,
        title="Request timeout",
        description="How many seconds to wait for an answer to go on arriving.",
    ),
    th.Property(
        "user_agent",
        th.StringType(pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?\Z"),
        title="User agent",
        description="How the tap names itself to Clarity. Left out: tap-clarity/<version>.",
    ),
    additional_properties=False,
).to_dict()


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run, defaults applied."""

    api_key: str = field(repr=False)
    org: str
    api_url: str
    start_date: datetime | None
    end_date: datetime | None
    frequency: Frequency
    datasource_ids: tuple[str, ...] | None
    node_ids: tuple[str, ...] | None
    reference_site_ids: tuple[str, ...] | None
    metric_select: str | None
    qc_assessment: bool
    qc_flags: bool
    measurement_layout: str
    report_window_days: int
    report_interval_hours: int
    lookback_days: int
    report_daily_limit: int
    report_file_format: str
    report_concurrency: int
    report_poll_interval: float
    report_wait_timeout: int
    recover_gaps: bool
    request_timeout: int
    user_agent: str | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read a validated configuration; an empty one will do for discovery."""
        given = {name: spec.get("default") for name, spec in SCHEMA["properties"].items()}
        given |= {
            name: value for name, value in config.items() if name in given and value is not None
        }
        frequency = FREQUENCIES[given.pop("output_frequency")]
        for name in ("report_window_days", "lookback_days"):
            given[name] = getattr(frequency, name) if given[name] is None else given[name]
        for name in ("start_date", "end_date"):
            given[name] = parse_timestamp(given[name]) if given[name] else None
        for name in ("datasource_ids", "node_ids", "reference_site_ids"):
            given[name] = tuple(sorted(set(given[name]))) if given[name] else None
        return cls(
            **given
            | {
                "api_key": given["api_key"] or "",
                "org": given["org"] or "",
                "api_url": given["api_url"].rstrip("/"),
                "frequency": frequency,
                "report_poll_interval": float(given["report_poll_interval"]),
            }
        )
