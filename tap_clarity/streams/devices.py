"""The devices of the organisation and their health: always read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_clarity.measurements.schema import ORG, key
from tap_clarity.streams.object_streams import (
    ADDITIONAL_FIELDS,
    ChildObjectStream,
    ObjectStream,
    string,
    timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from singer_sdk.helpers.types import Context

    from tap_clarity.api.listing import Listing
    from tap_clarity.api.response_body import JsonObject
    from tap_clarity.streams.base import Record

NODE_ID = key("node_id", "Id of the node, as printed on it.")
UNSEEN = th.ObjectType(additional_properties=True)


class Nodes(ObjectStream):
    """The organisation's sensor nodes."""

    name = "nodes"
    source = "GET /v2/devices/nodes"
    primary_keys = ("org", "node_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        NODE_ID,
        string("sku", "Clarity's article number."),
        string("model", "Name of the model."),
        th.Property(
            "life_stage",
            th.ObjectType(
                string("stage", "Such as purchased, configured, working or decommissioned."),
                timestamp("when", "When the node entered the stage"),
            ),
            description="Where the node stands in its life.",
        ),
        th.Property(
            "paired_accessory_modules",
            th.ArrayType(
                th.ObjectType(
                    string("accessory_id", "Id of the module."),
                    string("sku", "Clarity's article number of the module."),
                )
            ),
            description="Accessory modules that are paired with the node.",
        ),
        th.Property(
            "location",
            th.ObjectType(
                string("type", "Kind of the GeoJSON geometry: Point."),
                th.Property(
                    "coordinates",
                    th.ArrayType(th.NumberType),
                    description="Longitude east and latitude north, in degrees, in this order.",
                ),
            ),
            description="Place as configured, a GeoJSON point; null before configuration.",
        ),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def fetch(self) -> Listing:
        return self.run.nodes()

    def generate_child_contexts(
        self,
        record: Record,
        context: Context | None,  # noqa: ARG002
    ) -> Iterator[Context | None]:
        yield {"node_id": record["node_id"]}


class NodeStatusSummaries(ObjectStream):
    """How each node is, in a few words."""

    name = "node_status_summaries"
    source = "GET /v2/devices/nodes/status-summary"
    primary_keys = ("org", "node_id")
    # Older pages of the guide have these names.
    synonyms: ClassVar[Mapping[str, str]] = {
        "batteryCharge": "batteryChargePercent",
        "alarm": "alarmCategory",
    }
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        NODE_ID,
        string("overall_status", "Such as healthy, needs attention or offline."),
        timestamp("last_reading_received_at", "When the node last reported; null if never"),
        th.Property(
            "summary_per_category",
            th.ArrayType(
                th.ObjectType(
                    string(
                        "alarm_category",
                        "Such as activity, communication, power, internalsensors, accessorymodule.",
                    ),
                    string("summary", "OK or ALARMS."),
                )
            ),
            description="Whether there are alarms, by category, in no particular order.",
        ),
        th.Property(
            "battery_charge_percent", th.NumberType, description="Charge of the battery in percent."
        ),
        string("signal_level", "1-marginal, 2-ok, 3-good, 4-excellent or unknown."),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def fetch(self) -> Listing:
        return self.run.client.list_node_status_summaries()


class NodeStatuses(ChildObjectStream):
    """How each node is, in detail."""

    name = "node_statuses"
    source = "GET /v2/devices/nodes/:id/status, child of `nodes`"
    selected_by_default = False
    parent_stream_type = Nodes
    primary_keys = ("org", "node_id")
    # Older pages of the guide have these names.
    synonyms: ClassVar[Mapping[str, str]] = {
        "received": "receivedHistogram",
        "startOfOldest": "startOfOldestBucket",
        "endOfMostRecent": "endOfMostRecentBucket",
    }
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        NODE_ID,
        string("summary", "Such as healthy, needs attention or offline."),
        th.Property(
            "activity",
            th.ObjectType(
                string("summary", "OK or ALARMS."),
                string("online", "online or offline."),
                timestamp("last_reading_received_at", "When the node last reported; null if never"),
                th.Property(
                    "received_histogram",
                    th.ObjectType(
                        th.Property(
                            "buckets",
                            th.ArrayType(th.NumberType),
                            description=(
                                "Readings received per hour, in Clarity's order; its pages "
                                "contradict each other on which end is the newest."
                            ),
                        ),
                        timestamp("start_of_oldest_bucket", "When the oldest hour begins"),
                        timestamp("end_of_most_recent_bucket", "When the newest hour ends"),
                    ),
                    description="Readings received over the last two days.",
                ),
            ),
            description="Whether readings arrive.",
        ),
        th.Property("behavior", UNSEEN, description="What the node says of itself, as sent."),
        th.Property("operational", UNSEEN, description="State of operation, as sent."),
        ADDITIONAL_FIELDS,
    ).to_dict()

    @property
    def fetch(self) -> Callable[[str], JsonObject]:
        return self.run.client.get_node_status


class NodeAlarms(ChildObjectStream):
    """The alarms of each node, active and cleared."""

    name = "node_alarms"
    source = "GET /v2/devices/nodes/:id/alarms, child of `nodes`"
    selected_by_default = False
    parent_stream_type = Nodes
    primary_keys = ("org", "node_id", "alarm_type", "started_at")
    synonyms: ClassVar[Mapping[str, str]] = {"alarm": "alarmCategory"}
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        NODE_ID,
        key("alarm_type", "Kind of the alarm."),
        key("started_at", "When it began, in UTC.", th.DateTimeType()),
        string("alarm_category", "Category of the alarm, as in node_status_summaries."),
        timestamp("last_extended_at", "When its condition was last seen"),
        timestamp("cleared_at", "When it ended; null while active"),
        ADDITIONAL_FIELDS,
    ).to_dict()

    @property
    def fetch(self) -> Callable[[str], Listing]:
        return self.run.client.list_node_alarms


class AccessoryModules(ObjectStream):
    """The modules that extend nodes: wind, ozone, black carbon."""

    name = "accessory_modules"
    source = "GET /v2/devices/accessory-modules"
    primary_keys = ("org", "module_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("module_id", "Id of the module."),
        string("sku", "Clarity's article number."),
        string("status", "Such as paired, not paired or disabled."),
        string("paired_node", "Id of the node that it is paired with; null if none."),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def fetch(self) -> Listing:
        return self.run.client.list_accessory_modules()
