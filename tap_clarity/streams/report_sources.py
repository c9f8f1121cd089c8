"""The kinds of reports, each of which feeds a stream, and the ids that they are requested for."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tap_clarity.api.response_body import JsonObject
    from tap_clarity.settings import Settings
    from tap_clarity.streams.context import RunContext

STAGES_WITHOUT_DATA = ("purchased", "configured")
"""Life stages in which a node has not measured yet."""


@dataclass(frozen=True)
class Selector:
    """The ids that a report is requested for.

    Attributes:
        field: Their name in a request; None for all datasources of the organization.
        ids: The ids.
    """

    field: str | None = None
    ids: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report on."""
        return self.field is not None and not self.ids

    def to_body(self) -> dict[str, Any]:
        """Give the part of a request that names the ids."""
        return {self.field: [*self.ids]} if self.field else {"allDatasources": True}


@dataclass(frozen=True)
class ReportKind:
    """A kind of report.

    Attributes:
        stream: Name of the stream that it feeds.
        report: Its name in a request.
        id_field: The field of a record that holds the id.
        is_selected_by_default: Whether the stream is.
        configured_ids: Gives the ids that the settings name; None for all of the organization's.
        selector: Gives the ids to request; raises ClarityError if they cannot be looked up.
        access_start: Gives from when on measurements may be read, going by the details that this
            run has read; None if they do not say so.
    """

    stream: str
    report: str
    id_field: str
    is_selected_by_default: bool
    configured_ids: Callable[[Settings], tuple[str, ...] | None]
    selector: Callable[[RunContext], Selector]
    access_start: Callable[[RunContext], datetime | None] = lambda _: None


def select_datasources(run: RunContext) -> Selector:
    """Select the configured datasources, or all that the organization may read."""
    ids = run.settings.datasource_ids
    return Selector() if ids is None else Selector("datasourceIds", ids)


def _datasources_access_start(run: RunContext) -> datetime | None:
    if run.settings.datasource_ids:
        return run.access_starts.earliest(run.settings.datasource_ids)
    listing = run.datasources()
    ids = [item["datasourceId"] for item in listing.objects]
    return None if listing.error else run.access_starts.earliest(ids)


def _select_nodes(run: RunContext) -> Selector:
    ids = run.settings.node_ids
    return Selector("nodeIds", ids or _nodes_with_data(run.nodes().complete()))


def _select_reference_sites(run: RunContext) -> Selector:
    return Selector("refSiteIds", run.settings.reference_site_ids or run.reference_sites())


def _nodes_with_data(nodes: list[JsonObject]) -> tuple[str, ...]:
    stages = {node["nodeId"]: node.get("lifeStage") for node in nodes}
    return tuple(
        id_
        for id_, stage in sorted(stages.items(), key=itemgetter(0))
        if not isinstance(stage, dict) or stage.get("stage") not in STAGES_WITHOUT_DATA
    )


REPORT_KINDS = (
    ReportKind(
        stream="datasource_measurements",
        report="datasource-measurements",
        id_field="datasource_id",
        is_selected_by_default=True,
        configured_ids=lambda settings: settings.datasource_ids,
        selector=select_datasources,
        access_start=_datasources_access_start,
    ),
    ReportKind(
        stream="node_measurements",
        report="node-measurements",
        id_field="node_id",
        is_selected_by_default=False,
        configured_ids=lambda settings: settings.node_ids,
        selector=_select_nodes,
    ),
    ReportKind(
        stream="reference_site_measurements",
        report="reference-site-measurements",
        id_field="reference_site_id",
        is_selected_by_default=False,
        configured_ids=lambda settings: settings.reference_site_ids,
        selector=_select_reference_sites,
    ),
)
"""In the order in which their streams run."""
