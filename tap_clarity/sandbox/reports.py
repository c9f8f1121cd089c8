"""The life of a historical report: asked for, built, signed, fetched."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillBuilding
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import files, signing
from tap_clarity.sandbox.instants import DAY, SECOND, iso
from tap_clarity.sandbox.messages import ApiError, Response, json_response
from tap_clarity.sandbox.mixing import blend, code
from tap_clarity.sandbox.orders import echo, kind_of, read_order
from tap_clarity.sandbox.quirks import Quirk
from tap_clarity.sandbox.wide import Table
from tap_clarity.sandbox.world import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_clarity.sandbox.files import Gzip
    from tap_clarity.sandbox.measure import Row
    from tap_clarity.sandbox.orders import Order
    from tap_clarity.sandbox.world import World

FILES: Final = "/files/historical/"
_DIGITS: Final = "0123456789ABCDEFGHJKLMNPQRSTVWXYZ"
_BUILDERS: Final = 2
_PATIENCE: Final = 6.0


@dataclass(frozen=True, slots=True)
class ReportTerms:
    """How long reports take and links live, how many a day are granted, and their files."""

    seconds: float = 20
    url_seconds: float = 900
    daily_quota: int = 30
    files: int = 1
    gzip: Gzip = "declared"


@dataclass(frozen=True, slots=True)
class Report:
    """A report in the making; it tells the data as of the instant when it is ready."""

    report_id: str
    kind: str
    order: Order
    echo: dict[str, Any]
    ready_at: int
    paths: Future[list[Path]]
    failure: str | None = None


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
        order = read_order(self.world, body, now)
        with self._lock:
            report_id = self._number(now)
            ready_at = now + round(self.terms.seconds * SECOND)
            report = Report(
                report_id,
                kind_of(order, self.world.quirks),
                order,
                echo(body, order),
                ready_at,
                self._builders.submit(self._build, report_id, order, ready_at),
            )
            self._reports[report_id] = report
        return json_response(self._record(report, now))

    def poll(self, report_id: str, now: int) -> Response:
        report = self._reports.get(report_id)
        if report is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "no such report")
        return json_response(self._record(report, now))

    def fail(self, report_id: str, message: str) -> None:
        """Let a report end badly, for good."""
        with self._lock:
            self._reports[report_id] = replace(self._reports[report_id], failure=message)

    def fetch(self, name: str, query: Mapping[str, str], now: int) -> Response:
        """Hand out a file to whoever brings a link that is still good, as S3 does."""
        expires = query.get("X-Amz-Expires", "")
        mark = signing.seal(self.world.signing_key, f"{name} {expires}".encode())
        report = self._reports.get(Path(name).parent.name)
        if report is None or query.get("X-Amz-Signature") != mark or now >= int(expires):
            return denied()
        path = next(each for each in report.paths.result() if each.name == Path(name).name)
        return files.serve(path, self.terms.gzip, is_parquet=report.order.is_parquet)

    def used(self, now: int) -> int:
        """Count today's requests; the day is the UTC day."""
        return self._asked.get(now // DAY, 0)

    def _number(self, now: int) -> str:
        used = self.used(now)
        if used >= self.terms.daily_quota:
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "report quota of the organization used up")
        self._asked[now // DAY] = used + 1
        return "JB" + code(blend(self.world.seed, now, len(self._reports)), _DIGITS, 8)

    def _build(self, report_id: str, order: Order, as_of: int) -> list[Path]:
        ending = order.ending(zipped=self.terms.gzip != "none")
        shelf = Path(self._shelf.name)
        paths = []
        for turn, window in enumerate(_pieces(order, self.terms.files), start=1):
            name = report_id if self.terms.files == 1 else f"{report_id}-{turn:03d}"
            path = shelf / f"{name}{ending}"
            self._write(path, order, self._rows(order, window, as_of), as_of)
            paths.append(path)
        return paths

    def _rows(self, order: Order, window: Window, as_of: int) -> Iterator[Row]:
        found = self.world.rows(
            order.datasources,
            window,
            newest_first=order.newest_first,
            by_source=order.sources is not None,
        )
        for row in found:
            if self._closing.is_set():
                return
            if row.arrival <= as_of and (order.sources is None or row.source_id in order.sources):
                yield row

    def _write(self, path: Path, order: Order, rows: Iterator[Row], as_of: int) -> None:
        table = Table.over(order.query, order.key, order.datasources)
        lines = table.lines(rows, as_of)
        if order.is_parquet:
            files.write_parquet(path, table, lines)
        else:
            files.write_csv(path, table.csv_parts(lines), zipped=self.terms.gzip != "none")

    def _record(self, report: Report, now: int) -> dict[str, Any]:
        done = report.failure is None and now >= report.ready_at and _is_built(report.paths)
        record: dict[str, Any] = {
            "reportId": report.report_id,
            "reportStatus": _status(report, done=done),
            **self._message(report, done=done),
            "report": report.kind,
            "query": report.echo,
        }
        if done:
            expires = now + round(self.terms.url_seconds * SECOND)
            names = [f"{report.report_id}/{path.name}" for path in report.paths.result()]
            record["urls"] = [self._link(name, expires) for name in names]
            record["urlsExpireAt"] = iso(expires)
        elif Quirk.EMPTY_OR_MISSING not in self.world.quirks:
            record["urls"] = []
        return record

    def _message(self, report: Report, *, done: bool) -> dict[str, str]:
        if report.failure is not None:
            return {"message": report.failure}
        if Quirk.OTHER_MESSAGES in self.world.quirks:
            return {} if done else {"message": "in-progress"}
        return {"message": "Ready" if done else "Processing"}

    def _link(self, name: str, expires: int) -> str:
        mark = signing.seal(self.world.signing_key, f"{name} {expires}".encode())
        return f"{self.base_url}{FILES}{name}?X-Amz-Expires={expires}&X-Amz-Signature={mark}"


def _status(report: Report, *, done: bool) -> str:
    if report.failure is not None:
        return "failed"
    return "succeeded" if done else "in-progress"


def _pieces(order: Order, count: int) -> list[Window]:
    """Cut the range into as many parts as there are files, in the files' order."""
    length = order.end - order.start
    bounds = [order.start + length * turn // count for turn in range(count + 1)]
    pieces = [Window(order.query.frequency, *each) for each in pairwise(bounds)]
    return pieces[::-1] if order.newest_first else pieces


def _is_built(paths: Future[list[Path]]) -> bool:
    """Wait a moment for the files, so that small reports are ready the instant they are due."""
    try:
        paths.result(timeout=_PATIENCE)
    except StillBuilding:
        return False
    return True


def denied() -> Response:
    """Refuse as S3 does."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    )
    return Response(HTTPStatus.FORBIDDEN, text.encode(), {"Content-Type": "application/xml"})
