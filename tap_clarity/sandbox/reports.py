"""The life of a historical report: asked for, built, signed, fetched."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillBuilding
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import shapes, signing
from tap_clarity.sandbox.instants import DAY, SECOND, iso
from tap_clarity.sandbox.messages import ApiError, Response, bad, json_response
from tap_clarity.sandbox.mixing import blend, code
from tap_clarity.sandbox.query import choice, measurement_query, required_instant
from tap_clarity.sandbox.recent import chosen_datasources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_clarity.sandbox.network import Datasource
    from tap_clarity.sandbox.query import MeasurementQuery
    from tap_clarity.sandbox.world import World

FILES: Final = "/files/historical/"
_DIGITS: Final = "0123456789ABCDEFGHJKLMNPQRSTVWXYZ"
_BUILDERS: Final = 2
_PATIENCE: Final = 2.0
_PART: Final = 1 << 16
_LINK_BROKEN: Final = "Request has expired"


@dataclass(frozen=True, slots=True)
class ReportTerms:
    """How long reports take and links live, and how many a day are granted."""

    seconds: float = 20
    url_seconds: float = 900
    daily_quota: int = 30


@dataclass(frozen=True, slots=True)
class Order:
    """What a report is to contain."""

    datasources: list[Datasource]
    query: MeasurementQuery
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Report:
    """A report in the making; it tells the data as of the instant when it is ready."""

    report_id: str
    kind: str
    echo: dict[str, Any]
    ready_at: int
    file: Future[Path]


@dataclass
class ReportDesk:
    """Takes report requests, builds the files in the background and hands them out."""

    world: World
    base_url: str
    terms: ReportTerms
    _reports: dict[str, Report] = field(default_factory=dict)
    _asked: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._shelf = TemporaryDirectory(prefix="clarity-sandbox-")
        self._builders = ThreadPoolExecutor(_BUILDERS, thread_name_prefix="report")

    def close(self) -> None:
        self._closing.set()
        self._builders.shutdown(cancel_futures=True)
        self._shelf.cleanup()

    def request(self, body: dict[str, Any], now: int) -> Response:
        kind = choice(body, "report", ("datasource-measurements",))
        order = self._order(body, now)
        with self._lock:
            report_id = self._number(now)
            ready_at = now + round(self.terms.seconds * SECOND)
            file = self._builders.submit(self._build, report_id, order, ready_at)
            report = Report(report_id, kind, _echo(body, order), ready_at, file)
            self._reports[report_id] = report
        return json_response(self._record(report, now))

    def poll(self, report_id: str, now: int) -> Response:
        report = self._reports.get(report_id)
        if report is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "no such report")
        return json_response(self._record(report, now))

    def fetch(self, name: str, query: Mapping[str, str], now: int) -> Response:
        """Hand out a file to whoever brings a link that is still good, as S3 does."""
        expires = query.get("X-Amz-Expires", "")
        mark = signing.seal(self.world.signing_key, f"{name} {expires}".encode())
        report = self._reports.get(Path(name).parent.name)
        if report is None or query.get("X-Amz-Signature") != mark or now >= int(expires):
            return _denied(_LINK_BROKEN)
        path = report.file.result()
        headers = {
            "Content-Type": "text/csv",
            "Content-Encoding": "gzip",
            "Content-Length": str(path.stat().st_size),
        }
        return Response(HTTPStatus.OK, _parts(path), headers)

    def used(self, now: int) -> int:
        """Count today's requests; the day is the UTC day."""
        return self._asked.get(now // DAY, 0)

    def _number(self, now: int) -> str:
        used = self.used(now)
        if used >= self.terms.daily_quota:
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "report quota of the organization used up")
        self._asked[now // DAY] = used + 1
        return "JB" + code(blend(self.world.seed, now, len(self._reports)), _DIGITS, 8)

    def _order(self, body: dict[str, Any], now: int) -> Order:
        choice(body, "metricLabelStyle", ("canonical",))
        start, end = required_instant(body, "startTime"), required_instant(body, "endTime")
        if end <= start:
            raise bad("endTime must be after startTime")
        return Order(chosen_datasources(self.world, body, now), measurement_query(body), start, end)

    def _build(self, report_id: str, order: Order, as_of: int) -> Path:
        path = Path(self._shelf.name) / f"{report_id}.csv.gz"
        found = self.world.rows(order.datasources, order.query.frequency, order.start, order.end)
        rows = (row for row in found if row.arrival <= as_of)
        with gzip.open(path, "wb", compresslevel=3) as file:
            for part in shapes.wide(order.query, rows, as_of):
                if self._closing.is_set():
                    break
                file.write(part)
        return path

    def _record(self, report: Report, now: int) -> dict[str, Any]:
        done = now >= report.ready_at and _is_built(report.file)
        record: dict[str, Any] = {
            "reportId": report.report_id,
            "reportStatus": "succeeded" if done else "in-progress",
            "message": "Ready" if done else "Processing",
            "report": report.kind,
            "urls": [],
            "query": report.echo,
        }
        if done:
            expires = now + round(self.terms.url_seconds * SECOND)
            record["urls"] = [self._link(report.report_id, expires)]
            record["urlsExpireAt"] = iso(expires)
        return record

    def _link(self, report_id: str, expires: int) -> str:
        name = f"{report_id}/{report_id}.csv.gz"
        mark = signing.seal(self.world.signing_key, f"{name} {expires}".encode())
        return f"{self.base_url}{FILES}{name}?X-Amz-Expires={expires}&X-Amz-Signature={mark}"


def _is_built(file: Future[Path]) -> bool:
    """Wait a moment for the file, so that small reports are ready the instant they are due."""
    try:
        file.result(timeout=_PATIENCE)
    except StillBuilding:
        return False
    return True


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_PART):
            yield part


def _echo(body: dict[str, Any], order: Order) -> dict[str, Any]:
    """Repeat the request as the service does: ids expanded, no org, the format under `format`."""
    passed = ("metricSelect", "qcAssessment", "qcFlags", "locationRounding")
    return {
        "datasourceIds": [each.datasource_id for each in order.datasources],
        "startTime": iso(order.start),
        "endTime": iso(order.end),
        "outputFrequency": order.query.frequency,
        "format": "csv-wide",
        "metricLabelStyle": "canonical",
        **{name: body[name] for name in passed if name in body},
    }


def _denied(message: str) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
    )
    return Response(HTTPStatus.FORBIDDEN, text.encode(), {"Content-Type": "application/xml"})
