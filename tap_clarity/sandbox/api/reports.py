"""The life of a historical report: asked for, built, signed, fetched."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillBuilding
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox.api import report_files as files
from tap_clarity.sandbox.api import tokens as signing
from tap_clarity.sandbox.api.csv_wide import Table
from tap_clarity.sandbox.api.quota import Quota
from tap_clarity.sandbox.api.report_query import echo, kind_of, read_order
from tap_clarity.sandbox.api.report_records import (
    NO_DATA,
    SUCCEEDED,
    Built,
    Outcome,
    RecordWriter,
    Report,
    url_fields,
)
from tap_clarity.sandbox.api.row_order import arranged
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import HOUR, SECOND
from tap_clarity.sandbox.http.http_types import ApiError, Response, bad, json_response
from tap_clarity.sandbox.world.rng import blend, code
from tap_clarity.sandbox.world.world import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_clarity.sandbox.api.csv_wide import Line
    from tap_clarity.sandbox.api.report_files import Gzip
    from tap_clarity.sandbox.api.report_query import Order
    from tap_clarity.sandbox.world.measurements import Row
    from tap_clarity.sandbox.world.world import World

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


@dataclass
class ReportDesk:
    """Takes report requests, builds the files in the background and hands them out."""

    world: World
    base_url: str
    terms: ReportTerms
    _reports: dict[str, Report] = field(default_factory=dict)
    _polls: Counter[str] = field(default_factory=Counter)
    _windows: set[tuple[str, Window]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._shelf = TemporaryDirectory(prefix="clarity-sandbox-")
        self._builders = ThreadPoolExecutor(_BUILDERS, thread_name_prefix="report")
        self._quota = Quota(self.world.switches, self.terms.daily_quota)

    def close(self) -> None:
        self._closing.set()
        self._builders.shutdown(cancel_futures=True)
        self._shelf.cleanup()

    def request(self, body: dict[str, Any], now: int) -> Response:
        order = read_order(self.world, body, now)
        ready_at = now + round(self.terms.seconds * SECOND)
        self._reject_if_empty(order, ready_at)
        with self._lock:
            self._quota.take(now)
            report_id = "JB" + code(blend(self.world.seed, now, len(self._reports)), _DIGITS, 8)
            window = (order.kind, Window(order.query.frequency, order.start, order.end))
            report = Report(
                report_id,
                kind_of(order, self.world.quirks),
                order,
                echo(body, order),
                now,
                ready_at,
                window not in self._windows,
                self._builders.submit(self._build, report_id, order, ready_at),
            )
            self._windows.add(window)
            self._reports[report_id] = report
        return replace(self.show(report_id, now), status=self._accepted())

    def _accepted(self) -> int:
        if Unknown.REPORT_REQUEST_CREATED in self.world.quirks:
            return HTTPStatus.CREATED
        if Unknown.REPORT_REQUEST_ACCEPTED in self.world.quirks:
            return HTTPStatus.ACCEPTED
        return HTTPStatus.OK

    def _reject_if_empty(self, order: Order, as_of: int) -> None:
        """Reject a window without data, where that is how the service says so."""
        if Unknown.EMPTY_WINDOW_REJECTED in self.world.quirks:
            table = Table.over(order.query, order.key, order.datasources)
            if not any(table.lines(self._rows(order, order.window, as_of), as_of)):
                raise bad(NO_DATA)

    def poll(self, report_id: str, now: int) -> Response:
        report = self._reports.get(report_id)
        if report is None or self._is_forgotten(report, now):
            raise ApiError(HTTPStatus.NOT_FOUND, "no such report")
        return self.show(report_id, now)

    def _is_forgotten(self, report: Report, now: int) -> bool:
        kept = round(self.world.parameters.report_kept_hours * HOUR)
        is_late = Unknown.FORGOTTEN_REPORTS in self.world.quirks and (
            now >= report.requested_at + kept
        )
        return is_late or report.outcome.is_forgotten

    def order_outcome(self, report_id: str, outcome: Outcome) -> None:
        """Let a report end otherwise than it would, for good."""
        with self._lock:
            self._reports[report_id] = replace(self._reports[report_id], outcome=outcome)

    def fetch(self, name: str, query: Mapping[str, str], now: int) -> Response:
        """Hand out a file to whoever brings a link that is still good, as S3 does."""
        expires = query.get("X-Amz-Expires", "")
        mark = signing.seal(self.world.signing_key, f"{name} {expires}".encode())
        report = self._reports.get(Path(name).parent.name)
        if report is None or query.get("X-Amz-Signature") != mark or now >= int(expires):
            return denied()
        purged = self._purged_status(report, now)
        if purged is not None:
            return denied() if purged == HTTPStatus.FORBIDDEN else gone()
        path = next(each for each in report.built.result().paths if each.name == Path(name).name)
        return files.serve(path, self.terms.gzip, is_parquet=report.order.is_parquet)

    def _purged_status(self, report: Report, now: int) -> int | None:
        parameters = self.world.parameters
        until = report.ready_at + round(parameters.file_kept_hours * HOUR)
        if Unknown.PURGED_FILES in self.world.quirks and now >= until:
            return parameters.purged_status
        return report.outcome.purged_status

    def _build(self, report_id: str, order: Order, as_of: int) -> Built:
        ending = order.ending(zipped=self.terms.gzip != "none")
        shelf = Path(self._shelf.name)
        paths, is_empty = [], True
        for turn, window in enumerate(_pieces(order, self.terms.files), start=1):
            name = report_id if self.terms.files == 1 else f"{report_id}-{turn:03d}"
            path = shelf / f"{name}{ending}"
            is_empty &= self._write(path, order, self._rows(order, window, as_of), as_of) == 0
            paths.append(path)
        if is_empty and not order.is_parquet:
            self._blank(paths, order)
        return Built(paths, is_empty)

    def _blank(self, paths: list[Path], order: Order) -> None:
        if Unknown.EMPTY_WINDOW_BLANK_FILE in order.query.quirks:
            text = files.blank_file(order.query.parameters.blank_file_as, order.key)
            for path in paths:
                files.write_csv(path, [text], zipped=self.terms.gzip != "none")

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

    def _write(self, path: Path, order: Order, rows: Iterator[Row], as_of: int) -> int:
        """Write a file, and count its lines."""
        table = Table.over(order.query, order.key, order.datasources)
        found = table.lines(rows, as_of)
        lines = Counted(arranged(found, order.query.quirks, len(table.id_columns())))
        if order.is_parquet:
            files.write_parquet(path, table, lines)
        else:
            files.write_csv(path, table.csv_parts(lines), zipped=self.terms.gzip != "none")
        return lines.count

    def show(self, report_id: str, now: int) -> Response:
        """Answer the record of a report as it is."""
        report = self._reports[report_id]
        is_done = now >= report.ready_at and _is_built(report.built)
        quirks, parameters = self.world.quirks, self.world.parameters
        if is_done:
            self._polls[report_id] += 1
        writer = RecordWriter(quirks, parameters, self._polls[report_id])
        status = writer.status(report, is_done=is_done)
        urls = self._urls(report, now) if status == SUCCEEDED else {}
        return json_response(writer.record(report, status, now, urls))

    def _urls(self, report: Report, now: int) -> dict[str, Any]:
        expires = now + round(self.terms.url_seconds * SECOND)
        names = [f"{report.report_id}/{path.name}" for path in report.built.result().paths]
        return url_fields([self._link(name, expires) for name in names], expires)

    def _link(self, name: str, expires: int) -> str:
        mark = signing.seal(self.world.signing_key, f"{name} {expires}".encode())
        return f"{self.base_url}{FILES}{name}?X-Amz-Expires={expires}&X-Amz-Signature={mark}"


def _pieces(order: Order, count: int) -> list[Window]:
    """Cut the range into as many parts as there are files, in the files' order."""
    _, start, end = order.window
    bounds = [start + (end - start) * turn // count for turn in range(count + 1)]
    pieces = [Window(order.query.frequency, *each) for each in pairwise(bounds)]
    return pieces[::-1] if order.newest_first else pieces


def _is_built(built: Future[Built]) -> bool:
    """Wait a moment for the files, so that small reports are ready the instant they are due."""
    try:
        built.result(timeout=_PATIENCE)
    except StillBuilding:
        return False
    return True


class Counted:
    """Lines on their way into a file, with their number."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[Line]:
        for line in self._lines:
            self.count += 1
            yield line


def denied() -> Response:
    """Refuse as S3 does."""
    return _file_error(HTTPStatus.FORBIDDEN, "AccessDenied", "Request has expired")


def gone() -> Response:
    """Answer as S3 does for a file that was deleted."""
    return _file_error(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.")


def _file_error(status: HTTPStatus, name: str, message: str) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{name}</Code><Message>{message}</Message></Error>"
    )
    return Response(status, text.encode(), {"Content-Type": "application/xml"})
