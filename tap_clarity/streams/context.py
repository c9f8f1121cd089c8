"""What the streams of one run share: the client, the settings, the clock, and lists read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tap_clarity.api.client import ClarityClient
from tap_clarity.api.errors import ClarityError
from tap_clarity.api.listing import Listing
from tap_clarity.api.report_waits import WaitBudget
from tap_clarity.api.transport import Transport
from tap_clarity.core.validators import is_valid_id
from tap_clarity.streams.access_starts import AccessStarts
from tap_clarity.streams.prefetch import Workers
from tap_clarity.streams.report_plan import ReportPlan
from tap_clarity.streams.report_quota import SharedQuota

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_clarity.core.clock import Clock
    from tap_clarity.settings import Settings
    from tap_clarity.streams.measurements import MeasurementStream
    from tap_clarity.streams.reports import ReportStream


REFERENCE_SITE = "REFERENCE_SITE"


@dataclass
class RunContext:
    """One run of the tap.

    Attributes:
        settings: As the user gave them, defaults applied.
        clock: The only source of time.
        user_agent: The User-Agent header, unless a setting names another one.
        emit_state: Writes a STATE message now, if the state has changed.
        measurement_streams: Gives all streams that request reports.
        report_streams: Gives the report streams that are selected.
        failed: Names of the streams that have failed.
        access_starts: From when on measurements may be read, as the details of this run say.
    """

    settings: Settings
    clock: Clock
    user_agent: str
    emit_state: Callable[[], None]
    measurement_streams: Callable[[], Sequence[MeasurementStream]]
    report_streams: Callable[[], Sequence[ReportStream]]
    failed: set[str] = field(default_factory=set)
    access_starts: AccessStarts = field(default_factory=AccessStarts)
    _lists: dict[str, Listing] = field(default_factory=dict)

    @cached_property
    def client(self) -> ClarityClient:
        """The API of the organization, over one pool of connections."""
        transport = Transport(
            api_url=self.settings.api_url,
            api_key=self.settings.api_key,
            user_agent=self.settings.user_agent or self.user_agent,
            read_timeout=self.settings.request_timeout,
            clock=self.clock,
        )
        transport.secrets.install()
        return ClarityClient(transport, self.settings.org)

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
        """The threads that prefetch."""
        return Workers()

    def datasources(self) -> Listing:
        """Give the organization's datasources, or why they cannot be read; requested once."""
        return self._read_once("datasources", self.client.list_datasources)

    def nodes(self) -> Listing:
        """Give the organization's nodes, or why they cannot be read; requested once."""
        return self._read_once("nodes", self.client.list_nodes)

    def reference_sites(self) -> tuple[str, ...]:
        """Give the ids of the reference sites behind the organization's datasources.

        Raises:
            ClarityError: If not all datasources could be read.
        """
        ids = (
            item.get("currentSourceId")
            for item in self.datasources().complete()
            if item.get("sourceType") == REFERENCE_SITE
        )
        sites = {id_ for id_ in ids if is_valid_id(id_)}
        return tuple(sorted(sites))

    def _read_once(self, name: str, read: Callable[[], Listing]) -> Listing:
        if name not in self._lists:
            try:
                self._lists[name] = read()
            except ClarityError as error:
                self._lists[name] = Listing([], error=error)
        return self._lists[name]
