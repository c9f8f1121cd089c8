"""The datasources of the organisation, and its rights to them: always read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th

from tap_clarity.api.metadata import Listing, get_details
from tap_clarity.core.timestamps import parse_instant
from tap_clarity.measurements.schema import ORG, TEXTS, key
from tap_clarity.streams.object_streams import (
    ADDITIONAL_FIELDS,
    ResourceStream,
    SubresourceStream,
    instant,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.helpers.types import Context

    from tap_clarity.streams.base import Record

SOURCE_TYPE = text("source_type", "Kind of the source: CLARITY_NODE or REFERENCE_SITE.")
NAME = text("name", "Name that the organisation gave it.")
GROUP = text("group", "Group that the organisation put it in.")
TAGS = th.Property("tags", TEXTS, description="Labels that the organisation put on it.")


class Datasources(ResourceStream):
    """The datasources that the organisation may read."""

    name = "datasources"
    source = "GET /v2/datasources"
    primary_keys = ("org", "datasource_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("datasource_id", "Id of the datasource: a time series, which outlives its devices."),
        text("current_subscription_id", "Id of the subscription attached now; null if none."),
        text("current_source_id", "Id of the node or site installed now; null if stopped."),
        SOURCE_TYPE,
        th.Property(
            "org_annotations",
            th.ObjectType(NAME, GROUP, TAGS),
            description="What the organisation says of the datasource.",
        ),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def listing(self) -> Listing:
        return self.run.datasource_list

    def generate_child_contexts(
        self,
        record: Record,
        context: Context | None,  # noqa: ARG002
    ) -> Iterator[Context | None]:
        wanted = self.run.settings.datasource_ids
        if wanted is None or record["datasource_id"] in wanted:
            yield {"datasource_id": record["datasource_id"]}


class DatasourceDetails(SubresourceStream):
    """Which sources, subscriptions and rights a datasource has had."""

    name = "datasource_details"
    source = "GET /v2/datasources/:id, child of `datasources`"
    parent_stream_type = Datasources
    primary_keys = ("org", "datasource_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("datasource_id", "Id of the datasource."),
        SOURCE_TYPE,
        text("current_source_id", "Id of the node or site installed now; null if stopped."),
        text("name_provided_by_source_operator", "Name given by whoever runs the reference site."),
        th.Property(
            "open_data",
            th.ObjectType(
                th.Property("is_open", th.BooleanType, description="Whether it is open data now."),
                text("open_name", "Name under which it is published."),
                instant("last_opened_at", "When it was last published"),
                instant("last_closed_at", "When it was last withdrawn"),
            ),
            description="Whether the measurements are published as open data.",
        ),
        th.Property(
            "org_annotations",
            th.ArrayType(
                th.ObjectType(
                    text("org", "Id of the organisation that says so."), NAME, GROUP, TAGS
                )
            ),
            description="What each subscribing organisation says of the datasource.",
        ),
        th.Property(
            "source_history",
            th.ArrayType(
                th.ObjectType(
                    text("source_id", "Id of the node or site."),
                    instant("in_date", "When it was installed"),
                    instant("out_date", "When it was taken out; null if still installed"),
                )
            ),
            description="Sources that have fed the datasource; null for reference sites.",
        ),
        th.Property(
            "access_to_measurements",
            th.ArrayType(
                th.ObjectType(
                    text("subscription_id", "Id of the subscription that gives the right."),
                    text("source_id", "Id of the source whose measurements may be read."),
                    instant("access_start", "From when on they may be read"),
                    instant("access_end", "Until when; null if open"),
                )
            ),
            description="Periods whose measurements may be read; null for reference sites.",
        ),
        th.Property(
            "subscription_history",
            th.ArrayType(
                th.ObjectType(
                    text("subscription_id", "Id of the subscription."),
                    text("subscription_type", "Such as licensed, shared, temporary or public."),
                    text("org", "Id of the organisation that holds it."),
                    instant("time_period_start", "When it began"),
                    instant("time_period_end", "When it ends"),
                )
            ),
            description="Subscriptions that the datasource has had; null for reference sites.",
        ),
        th.Property(
            "subscription_attachment_history",
            th.ArrayType(
                th.ObjectType(
                    text("subscription_id", "Id of the subscription."),
                    text("subscription_attachment_id", "Id of the attachment."),
                    text("org", "Id of the organisation that holds the subscription."),
                    instant("attachment_date", "When it was attached"),
                    instant("detachment_date", "When it was detached; null if still attached"),
                )
            ),
            description="When subscriptions were attached to the datasource, and detached.",
        ),
        ADDITIONAL_FIELDS,
    ).to_dict()

    def records_of(self, context: Context) -> Iterator[Record]:
        for record in super().records_of(context):
            starts = [each["access_start"] for each in record["access_to_measurements"] or []]
            known = [parse_instant(start) for start in starts if start]
            # Without a period, or with one of unknown start, measurements may begin anywhere.
            first = min(known, default=None) if len(known) == len(starts) else None
            self.run.access_starts[record["datasource_id"]] = first
            yield record

    def listing_of(self, id_: str) -> Listing:
        return Listing([get_details(self.run.connection, id_, self.run.settings.org)])


class Subscriptions(ResourceStream):
    """The organisation's rights to read datasources."""

    name = "subscriptions"
    source = "GET /v2/subscriptions"
    primary_keys = ("org", "subscription_id")
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        ORG,
        key("subscription_id", "Id of the subscription."),
        text("subscription_type", "Such as public, licensed, shared or temporary."),
        text("attached_to_datasource_id", "Id of the datasource it is attached to; null if loose."),
        instant("time_period_start", "When it began; null if public"),
        instant("time_period_end", "When it ends; null if public"),
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

    def listing(self) -> Listing:
        return self.run.list_of("/v2/subscriptions", "subscriptions", "subscriptionId")
