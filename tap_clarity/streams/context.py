"""What the streams of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tap_clarity.api.errors import AccessRefusedError, OrgRefusedError
from tap_clarity.api.metadata import JsonObject, Listing, list_resource
from tap_clarity.api.report_waits import WaitBudget
from tap_clarity.api.transport import Connection
from tap_clarity.streams.prefetch import Workers
from tap_clarity.streams.report_plan import ReportPlan
from tap_clarity.streams.report_quota import SharedQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tap_clarity.core.clock import Clock
    from tap_clarity.settings import Settings
    from tap_clarity.streams.measurements import MeasurementStream
    from tap_clarity.streams.reports import ReportStream


REFERENCE_SITE = "REFERENCE_SITE"


@dataclass
class Run:
    """One run of the tap.

    Attributes:
        settings: As the user gave them, defaults applied.
        clock: The only source of time.
        user_agent: How to call ourselves.
        emit_state: Writes a STATE message now, if the state has changed.
        failed: Names of the streams that have failed.
        measurement_streams: Gives all streams that request reports.
        report_streams: Gives the report streams that are selected.
        access_starts: From when on the measurements of a datasource may be read, by its id, as the
            details of this run say; None if they do not say so.
    """

    settings: Settings
    clock: Clock
    user_agent: str
    emit_state: Callable[[], None]
    measurement_streams: Callable[[], Sequence[MeasurementStream]]
    report_streams: Callable[[], Sequence[ReportStream]]
    failed: set[str] = field(default_factory=set)
    access_starts: dict[str, datetime | None] = field(default_factory=dict)

    @cached_property
    def connection(self) -> Connection:
        """The one connection pool."""
        return Connection(
            api_url=self.settings.api_url,
            api_key=self.settings.api_key,
            user_agent=self.settings.user_agent or self.user_agent,
            read_timeout=self.settings.request_timeout,
            clock=self.clock,
        )

    @cached_property
    def quota(self) -> SharedQuota:
        """The report quota, which all streams share."""
        return SharedQuota(self.measurement_streams, self.settings.report_daily_limit, self.clock)

    @cached_property
    def report_plan(self) -> ReportPlan:
        """What this run does about reports, decided when the first report stream runs."""
        return ReportPlan(self, self.report_streams(), self.clock.now())

    @cached_property
    def wait_budget(self) -> WaitBudget:
        """How long this run still waits for reports."""
        return WaitBudget(self.settings.report_wait_timeout)

    @cached_property
    def workers(self) -> Workers:
        """The threads that ask ahead."""
        return Workers()

    @cached_property
    def datasource_list(self) -> Listing:
        """The organisation's datasources, read once however many streams ask."""
        try:
            return self.list_of("/v2/datasources", "datasources", "datasourceId")
        except AccessRefusedError as error:
            raise OrgRefusedError(str(error)) from error

    @property
    def datasources(self) -> list[JsonObject]:
        """The organisation's datasources; raises ClarityError if some could not be read."""
        return self.datasource_list.whole()

    @property
    def knows_datasources(self) -> bool:
        """Whether the list has been read already, to its end."""
        return "datasource_list" in vars(self) and not self.datasource_list.error

    @cached_property
    def node_list(self) -> Listing:
        """The organisation's nodes, read once however many streams ask."""
        return self.list_of("/v2/devices/nodes", "nodes", "nodeId")

    @property
    def nodes(self) -> list[JsonObject]:
        """The organisation's nodes; raises ClarityError if some could not be read."""
        return self.node_list.whole()

    @property
    def reference_sites(self) -> tuple[str, ...]:
        """Ids of the reference sites behind the organisation's datasources."""
        sites = {
            item.get("currentSourceId")
            for item in self.datasources
            if item.get("sourceType") == REFERENCE_SITE
        }
        return tuple(sorted(site for site in sites if isinstance(site, str)))

    def list_of(self, path: str, wrapper: str, *keys: str) -> Listing:
        """Read a resource whole; each object has a text under each of the keys."""
        return list_resource(self.connection, path, wrapper, keys, self.settings.org)
