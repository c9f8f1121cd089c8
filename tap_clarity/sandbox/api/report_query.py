"""Report requests: the kind, window, sources and format of a report, and the echo of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.api import report_files
from tap_clarity.sandbox.api.body_fields import choice, required_timestamp
from tap_clarity.sandbox.api.datasource_selection import select_by_sources, select_datasources
from tap_clarity.sandbox.api.errors import bad_request
from tap_clarity.sandbox.api.measurement_query import read_measurement_query, selected_metrics
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, iso
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
class ReportQuery:
    """What a report contains; `source_ids` limits the rows to some devices."""

    kind: str
    datasources: list[Datasource]
    source_ids: frozenset[str] | None
    measurements: MeasurementQuery
    start: int
    end: int
    is_parquet: bool

    @property
    def key(self) -> str:
        """The first column of the files."""
        return _KINDS[self.kind][1]

    @property
    def displayed_kind(self) -> str:
        """The kind as responses write it."""
        underscored = Quirk.UNDERSCORE_REPORT_KIND in self.measurements.quirks
        return _UNDERSCORED if underscored and self.kind == _REFERENCE_SITES else self.kind

    @property
    def window(self) -> Window:
        """The requested window."""
        return Window(self.measurements.frequency, self.start, self.end)

    @property
    def served_window(self) -> Window:
        """The window of the rows, which a quirk may make larger than the requested one."""
        start, end, quirks = self.start, self.end, self.measurements.quirks
        period = DAY if self.measurements.frequency == "day" else HOUR
        if Unknown.FLOORED_START in quirks:
            start -= start % period
        if Unknown.ROWS_OUTSIDE in quirks:
            start, end = start - period, end + period
        return Window(self.measurements.frequency, start, end)

    @property
    def newest_first(self) -> bool:
        return Quirk.REVERSED_ORDER in self.measurements.quirks

    def file_suffix(self, *, zipped: bool) -> str:
        """Return the ending of file names; it does not always match the content."""
        if self.is_parquet and Quirk.FILE_FORMAT_KEY not in self.measurements.quirks:
            return ".parquet"
        return ".csv.gz" if zipped or self.is_parquet else ".csv"

    def echo(self, body: dict[str, Any]) -> dict[str, Any]:
        """Repeat the request as the service does: ids expanded, no org, its own names for keys."""
        quirks = self.measurements.quirks
        content = "parquet" if self.is_parquet else "csv"
        ids = self.source_ids
        if ids is None:
            ids = frozenset(each.datasource_id for each in self.datasources)
        copied = ("metricSelect", "qcAssessment", "qcFlags", "locationRounding")
        has_style_key = Quirk.COLUMN_LABEL_STYLE_KEY in quirks
        style = "columnLabelStyle" if has_style_key else "metricLabelStyle"
        form = {"format": f"{content}-wide"}
        if Quirk.FILE_FORMAT_KEY in quirks:
            form = {"fileFormat": content}
        return {
            _KINDS[self.kind][0]: sorted(ids),
            "startTime": iso(self.start),
            "endTime": iso(self.end),
            "outputFrequency": _echoed_frequency(self.measurements),
            **form,
            style: self.measurements.label_style,
            **{name: body[name] for name in copied if name in body},
        }


def read_report_query(world: World, body: dict[str, Any], now: int) -> ReportQuery:
    kind = _kind(body, world.quirks)
    start, end = required_timestamp(body, "startTime"), required_timestamp(body, "endTime")
    if end <= start:
        raise bad_request("endTime must be after startTime")
    datasources, source_ids = _select(world, kind, body, now)
    measurements = _served_query(read_measurement_query(body, world.switches), body)
    start, end = _clipped(start, end, measurements, now)
    is_parquet = _wants_parquet(body, world.quirks)
    return ReportQuery(kind, datasources, source_ids, measurements, start, end, is_parquet)


def _kind(body: dict[str, Any], quirks: Quirks) -> str:
    if Quirk.UNDERSCORE_REPORT_KIND in quirks and body.get("report") == _UNDERSCORED:
        return _REFERENCE_SITES
    if "report" not in body:
        raise bad_request("report is required")
    return choice(body, "report", tuple(_KINDS))


def _select(
    world: World, kind: str, body: dict[str, Any], now: int
) -> tuple[list[Datasource], frozenset[str] | None]:
    if kind == _DATASOURCES:
        return select_datasources(world, body, now), None
    field, reference_sites = _KINDS[kind][0], kind == _REFERENCE_SITES
    return select_by_sources(world, body, field, now, reference_sites=reference_sites)


def _served_query(query: MeasurementQuery, body: dict[str, Any]) -> MeasurementQuery:
    if Unknown.OTHER_FREQUENCY_SERVED not in query.quirks:
        return query
    other = _OTHER_FREQUENCIES[query.frequency]
    return replace(query, frequency=other, metrics=selected_metrics(body, other))


def _clipped(start: int, end: int, query: MeasurementQuery, now: int) -> tuple[int, int]:
    """Clip a range that the service does not serve as a whole."""
    if Unknown.CLIPPED_START in query.quirks:
        start = min(max(start, now - round(query.parameters.retention_days * DAY)), end)
    if Unknown.CLIPPED_RANGE not in query.quirks:
        return start, end
    max_length = round(query.parameters.max_range_days * DAY)
    if query.parameters.range_cut_at == "start":
        return max(start, end - max_length), end
    return start, min(end, start + max_length)


def _wants_parquet(body: dict[str, Any], quirks: Quirks) -> bool:
    key = _format_key(body, quirks)
    default = "parquet" if Unknown.PARQUET_BY_DEFAULT in quirks else "csv"
    is_parquet = choice({key: body.get(key, default)}, key, _FORMATS).startswith("parquet")
    if is_parquet and not report_files.can_write_parquet():
        raise bad_request(report_files.PARQUET_MISSING)
    return is_parquet


def _format_key(body: dict[str, Any], quirks: Quirks) -> str:
    """Return the key that counts; the service may know both or one."""
    if Unknown.ONLY_FORMAT_KEY in quirks:
        return "format"
    if Unknown.ONLY_FILE_FORMAT_KEY in quirks:
        return "fileFormat"
    return "format" if "format" in body else "fileFormat"


def _echoed_frequency(query: MeasurementQuery) -> Frequency:
    if Unknown.OTHER_FREQUENCY_ECHO in query.quirks:
        return _OTHER_FREQUENCIES[query.frequency]
    return query.frequency
