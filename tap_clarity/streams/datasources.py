"""The datasources of the organisation, and its rights to them: always read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_clarity.measurements.schema import ORG, TEXTS, key
from tap_clarity.streams.object_streams import (
    ADDITIONAL_FIELDS,
    ChildObjectStream,
    ObjectStream,
    string,
    timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context

    from tap_clarity.api.listing import Listing
    from tap_clarity.api.response_body import JsonObject
    from tap_clarity.streams.base import Record

SOURCE_TYPE = string("source_type", "Kind of the source: CLARITY_NODE or REFERENCE_SITE.")
NAME = string("name", "Name that the organisation gave it.")
GROUP = string("group", "Group that the organisation put it in.")
TAGS = th.Property("tags", TEXTS, description="Labels that the organisation put on it.")


class Datasources(ObjectStream):
    """The datasources that the organisation may read."""

    name = "datasources"
    source = "GET /v2/datasources"
    primary_keys = ("org", "datasource_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("datasource_id", "Id of the datasource: a time series, which outlives its devices."),
        string("current_subscription_id", "Id of the subscription attached now; null if none."),
        string("current_source_id", "Id of the node or site installed now; null if stopped."),
        SOURCE_TYPE,
        th.Property(
            "org_annotations",
            th.ObjectType(NAME, GROUP, TAGS),
            description="What the organisation says of the datasource.",
        ),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def fetch(self) -> Listing:
        return self.run.datasources()

    def generate_child_contexts(
        self,
        record: Record,
        context: Context | None,  # noqa: ARG002
    ) -> Iterator[Context | None]:
        wanted = self.run.settings.datasource_ids
        if wanted is None or record["datasource_id"] in wanted:
            yield {"datasource_id": record["datasource_id"]}


class DatasourceDetails(ChildObjectStream):
    """Which sources, subscriptions and rights a datasource has had."""

    name = "datasource_details"
    source = "GET /v2/datasources/:id, child of `datasources`"
    parent_stream_type = Datasources
    primary_keys = ("org", "datasource_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("datasource_id", "Id of the datasource."),
        SOURCE_TYPE,
        string("current_source_id", "Id of the node or site installed now; null if stopped."),
        string(
            "name_provided_by_source_operator", "Name given by whoever runs the reference site."
        ),
        th.Property(
            "open_data",
            th.ObjectType(
                th.Property("is_open", th.BooleanType, description="Whether it is open data now."),
                string("open_name", "Name under which it is published."),
                timestamp("last_opened_at", "When it was last published"),
                timestamp("last_closed_at", "When it was last withdrawn"),
            ),
            description="Whether the measurements are published as open data.",
        ),
        th.Property(
            "org_annotations",
            th.ArrayType(
                th.ObjectType(
                    string("org", "Id of the organisation that says so."), NAME, GROUP, TAGS
                )
            ),
            description="What each subscribing organisation says of the datasource.",
        ),
        th.Property(
            "source_history",
            th.ArrayType(
                th.ObjectType(
                    string("source_id", "Id of the node or site."),
                    timestamp("in_date", "When it was installed"),
                    timestamp("out_date", "When it was taken out; null if still installed"),
                )
            ),
            description="Sources that have fed the datasource; null for reference sites.",
        ),
        th.Property(
            "access_to_measurements",
            th.ArrayType(
                th.ObjectType(
                    string("subscription_id", "Id of the subscription that gives the right."),
                    string("source_id", "Id of the source whose measurements may be read."),
                    timestamp("access_start", "From when on they may be read"),
                    timestamp("access_end", "Until when; null if open"),
                )
            ),
            description="Periods whose measurements may be read; null for reference sites.",
        ),
        th.Property(
            "subscription_history",
            th.ArrayType(
                th.ObjectType(
                    string("subscription_id", "Id of the subscription."),
                    string("subscription_type", "Such as licensed, shared, temporary or public."),
                    string("org", "Id of the organisation that holds it."),
                    timestamp("time_period_start", "When it began"),
                    timestamp("time_period_end", "When it ends"),
                )
            ),
            description="Subscriptions that the datasource has had; null for reference sites.",
        ),
        th.Property(
            "subscription_attachment_history",
            th.ArrayType(
                th.ObjectType(
                    string("subscription_id", "Id of the subscription."),
                    string("subscription_attachment_id", "Id of the attachment."),
                    string("org", "Id of the organisation that holds the subscription."),
                    timestamp("attachment_date", "When it was attached"),
                    timestamp("detachment_date", "When it was detached; null if still attached"),
                )
            ),
            description="When subscriptions were attached to the datasource, and detached.",
        ),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def records(self, context: Context | None) -> Iterator[Record]:
        for record in super().records(context):
            self.run.access_starts.add(record)
            yield record

    @property
    def fetch(self) -> Callable[[str], JsonObject]:
        return self.run.client.get_datasource


class Subscriptions(ObjectStream):
    """The organisation's rights to read datasources."""

    name = "subscriptions"
    source = "GET /v2/subscriptions"
    primary_keys = ("org", "subscription_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("subscription_id", "Id of the subscription."),
        string("subscription_type", "Such as public, licensed, shared or temporary."),
        string(
            "attached_to_datasource_id", "Id of the datasource it is attached to; null if loose."
        ),
        timestamp("time_period_start", "When it began; null if public"),
        timestamp("time_period_end", "When it ends; null if public"),
        th.Property(
            "days_remaining",
            th.IntegerType,
            description="Days until it ends, which changes every day; null if public.",
        ),
        th.Property(
            "shared_with", TEXTS, description="Ids of the organisations that it is shared with."
        ),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def fetch(self) -> Listing:
        return self.run.client.list_subscriptions()
