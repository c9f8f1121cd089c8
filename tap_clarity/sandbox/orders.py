"""What a report request orders: three kinds of reports over the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import devices, files
from tap_clarity.sandbox.instants import iso
from tap_clarity.sandbox.messages import ApiError, bad
from tap_clarity.sandbox.query import choice, id_list, measurement_query, required_instant
from tap_clarity.sandbox.quirks import Quirk
from tap_clarity.sandbox.recent import chosen_datasources

if TYPE_CHECKING:
    from tap_clarity.sandbox.network import Datasource
    from tap_clarity.sandbox.query import MeasurementQuery
    from tap_clarity.sandbox.world import World

_DATASOURCES: Final = "datasource-measurements"
_REFERENCE_SITES: Final = "reference-site-measurements"
# Kind of report: the field that lists the ids, and the first column of the file.
_KINDS: Final = {
    _DATASOURCES: ("datasourceIds", "datasourceId"),
    "node-measurements": ("nodeIds", "nodeId"),
    _REFERENCE_SITES: ("refSiteIds", "refSiteId"),
}
_UNDERSCORED: Final = "reference-site_measurements"
_FORMATS: Final = ("csv-wide", "csv", "parquet-wide", "parquet")


@dataclass(frozen=True, slots=True)
class Order:
    """What a report is to contain; `sources` narrows the rows to some devices."""

    kind: str
    datasources: list[Datasource]
    sources: frozenset[str] | None
    query: MeasurementQuery
    start: int
    end: int
    is_parquet: bool

    @property
    def key(self) -> str:
        return _KINDS[self.kind][1]

    @property
    def newest_first(self) -> bool:
        return Quirk.REVERSED_ORDER in self.query.quirks

    def ending(self, *, zipped: bool) -> str:
        """End the file's name; it does not always tell what is in the file."""
        if self.is_parquet and Quirk.FILE_FORMAT_KEY not in self.query.quirks:
            return ".parquet"
        return ".csv.gz" if zipped or self.is_parquet else ".csv"


def read_order(world: World, body: dict[str, Any], now: int) -> Order:
    kind = _kind(body, world.quirks)
    start, end = required_instant(body, "startTime"), required_instant(body, "endTime")
    if end <= start:
        raise bad("endTime must be after startTime")
    datasources, sources = _choose(world, kind, body, now)
    query = measurement_query(body, world.quirks)
    return Order(kind, datasources, sources, query, start, end, _wants_parquet(body))


def _kind(body: dict[str, Any], quirks: frozenset[Quirk]) -> str:
    if Quirk.UNDERSCORE_REPORT_KIND in quirks and body.get("report") == _UNDERSCORED:
        return _REFERENCE_SITES
    if "report" not in body:
        raise bad("report is required")
    return choice(body, "report", tuple(_KINDS))


def kind_of(order: Order, quirks: frozenset[Quirk]) -> str:
    """Name the kind as the answers do."""
    swapped = Quirk.UNDERSCORE_REPORT_KIND in quirks and order.kind == _REFERENCE_SITES
    return _UNDERSCORED if swapped else order.kind


def _wants_parquet(body: dict[str, Any]) -> bool:
    key = "format" if "format" in body else "fileFormat"
    is_parquet = choice(body, key, _FORMATS).startswith("parquet")
    if is_parquet and not files.can_write_parquet():
        raise bad(files.PARQUET_MISSING)
    return is_parquet


def _choose(
    world: World, kind: str, body: dict[str, Any], now: int
) -> tuple[list[Datasource], frozenset[str] | None]:
    if kind == _DATASOURCES:
        return chosen_datasources(world, body, now), None
    name = _KINDS[kind][0]
    asked = frozenset(id_list(body, name) or ())
    if not asked:
        raise bad(f"{name} is required")
    if kind == _REFERENCE_SITES:
        own = {
            each.stays[0].source_id
            for each in world.visible(now)
            if each.source_type == "REFERENCE_SITE"
        }
    else:
        own = {node.node_id for node in devices.nodes_of(world, now)}
    if asked - own:
        raise ApiError(HTTPStatus.FORBIDDEN, f"an id in {name} is not yours to read")
    fed = [
        datasource
        for datasource in world.visible(now)
        if any(stay.source_id in asked for stay in datasource.stays)
    ]
    return fed, asked


def echo(body: dict[str, Any], order: Order) -> dict[str, Any]:
    """Repeat the request as the service does: ids expanded, no org, its own names for keys."""
    quirks = order.query.quirks
    content = "parquet" if order.is_parquet else "csv"
    ids = order.sources if order.sources is not None else _ids(order)
    passed = ("metricSelect", "qcAssessment", "qcFlags", "locationRounding")
    style = "columnLabelStyle" if Quirk.COLUMN_LABEL_STYLE_KEY in quirks else "metricLabelStyle"
    form = {"format": f"{content}-wide"}
    if Quirk.FILE_FORMAT_KEY in quirks:
        form = {"fileFormat": content}
    return {
        _KINDS[order.kind][0]: sorted(ids),
        "startTime": iso(order.start),
        "endTime": iso(order.end),
        "outputFrequency": order.query.frequency,
        **form,
        style: order.query.label_style,
        **{name: body[name] for name in passed if name in body},
    }


def _ids(order: Order) -> list[str]:
    return [each.datasource_id for each in order.datasources]
