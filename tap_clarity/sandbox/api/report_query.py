"""What a report request orders: three kinds of reports over the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.api import report_files as files
from tap_clarity.sandbox.api.measurement_query import (
    choice,
    id_list,
    measurement_query,
    metrics_of,
    required_instant,
)
from tap_clarity.sandbox.api.recent import check_ids, chosen_datasources
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core import timestamps as instants
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, iso
from tap_clarity.sandbox.http.http_types import ApiError, bad
from tap_clarity.sandbox.world import devices
from tap_clarity.sandbox.world.world import Window

if TYPE_CHECKING:
    from tap_clarity.sandbox.api.measurement_query import MeasurementQuery
    from tap_clarity.sandbox.behavior.quirks import Quirks
    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.network import Datasource
    from tap_clarity.sandbox.world.world import World

_DATASOURCES: Final = "datasource-measurements"
_REFERENCE_SITES: Final = "reference-site-measurements"
# Kind of report: the field that lists the ids, and the first column of the file.
_KINDS: Final = {
    _DATASOURCES: ("datasourceIds", "datasourceId"),
    "node-measurements": ("nodeIds", "nodeId"),
    _REFERENCE_SITES: ("refSiteIds", "refSiteId"),
}
_UNDERSCORED: Final = "reference-site_measurements"
_OTHER_FREQUENCIES: Final[dict[Frequency, Frequency]] = {
    "minute": "hour",
    "hour": "day",
    "day": "hour",
}
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
    def window(self) -> Window:
        """The range of the rows, which a quirk may make larger than what is echoed."""
        start, end, quirks = self.start, self.end, self.query.quirks
        period = DAY if self.query.frequency == "day" else HOUR
        if Unknown.FLOORED_START in quirks:
            start -= start % period
        if Unknown.ROWS_OUTSIDE in quirks:
            start, end = start - period, end + period
        return Window(self.query.frequency, start, end)

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
    query = _served_query(measurement_query(body, world.switches), body)
    start, end = _clipped(start, end, query, now)
    return Order(kind, datasources, sources, query, start, end, _wants_parquet(body, world.quirks))


def _served_query(query: MeasurementQuery, body: dict[str, Any]) -> MeasurementQuery:
    if Unknown.OTHER_FREQUENCY_SERVED not in query.quirks:
        return query
    other = _OTHER_FREQUENCIES[query.frequency]
    return replace(query, frequency=other, metrics=metrics_of(body, other))


def _clipped(start: int, end: int, query: MeasurementQuery, now: int) -> tuple[int, int]:
    """Cut a range that the service does not serve as a whole."""
    if Unknown.CLIPPED_START in query.quirks:
        start = min(max(start, now - round(query.parameters.retention_days * DAY)), end)
    if Unknown.CLIPPED_RANGE not in query.quirks:
        return start, end
    longest = round(query.parameters.max_range_days * DAY)
    if query.parameters.range_cut_at == "start":
        return max(start, end - longest), end
    return start, min(end, start + longest)


def _kind(body: dict[str, Any], quirks: Quirks) -> str:
    if Quirk.UNDERSCORE_REPORT_KIND in quirks and body.get("report") == _UNDERSCORED:
        return _REFERENCE_SITES
    if "report" not in body:
        raise bad("report is required")
    return choice(body, "report", tuple(_KINDS))


def kind_of(order: Order, quirks: Quirks) -> str:
    """Name the kind as the answers do."""
    swapped = Quirk.UNDERSCORE_REPORT_KIND in quirks and order.kind == _REFERENCE_SITES
    return _UNDERSCORED if swapped else order.kind


def _wants_parquet(body: dict[str, Any], quirks: Quirks) -> bool:
    key = _format_key(body, quirks)
    default = "parquet" if Unknown.PARQUET_BY_DEFAULT in quirks else "csv"
    asked = {key: body.get(key, default)}
    is_parquet = choice(asked, key, _FORMATS).startswith("parquet")
    if is_parquet and not files.can_write_parquet():
        raise bad(files.PARQUET_MISSING)
    return is_parquet


def _format_key(body: dict[str, Any], quirks: Quirks) -> str:
    """Name the key that counts; the service may know both or one."""
    if Unknown.ONLY_FORMAT_KEY in quirks:
        return "format"
    if Unknown.ONLY_FILE_FORMAT_KEY in quirks:
        return "fileFormat"
    return "format" if "format" in body else "fileFormat"


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
    check_ids(world, name, asked, _refused(world, now))
    fed = [
        datasource
        for datasource in world.visible(now)
        if any(stay.source_id in asked for stay in datasource.stays)
    ]
    return fed, asked


def _refused(world: World, now: int) -> frozenset[str]:
    """Name the nodes and sites that the service does not report on."""
    refused: set[str] = set()
    if Unknown.IDLE_NODES_REJECTED in world.quirks:
        nodes = devices.nodes_of(world, now)
        refused.update(node.node_id for node in nodes if node.stage != "working")
    if Unknown.SITE_REJECTED in world.quirks:
        refused.update(world.reference_site_ids(instants.to_datetime(now))[:1])
    return frozenset(refused)


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
        "outputFrequency": _echoed_frequency(order.query),
        **form,
        style: order.query.label_style,
        **{name: body[name] for name in passed if name in body},
    }


def _echoed_frequency(query: MeasurementQuery) -> Frequency:
    if Unknown.OTHER_FREQUENCY_ECHO in query.quirks:
        return _OTHER_FREQUENCIES[query.frequency]
    return query.frequency


def _ids(order: Order) -> list[str]:
    return [each.datasource_id for each in order.datasources]
