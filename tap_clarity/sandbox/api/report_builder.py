"""Builds the files of reports in background threads."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillBuilding
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tap_clarity.sandbox.api import report_files
from tap_clarity.sandbox.api.csv_wide import Table
from tap_clarity.sandbox.api.row_order import order_lines
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.world.world import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.csv_wide import Line
    from tap_clarity.sandbox.api.report_query import ReportQuery
    from tap_clarity.sandbox.world.rows import Row
    from tap_clarity.sandbox.world.world import World

_THREADS: Final = 2
_WAIT_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class BuiltFiles:
    """The files of a report; `is_empty` if its window has no measurement."""

    paths: list[Path]
    is_empty: bool


class ReportBuilder:
    """Writes the files of reports to a temporary folder."""

    def __init__(self, world: World, files_per_report: int, *, zipped: bool) -> None:
        self._world = world
        self._files_per_report = files_per_report
        self._zipped = zipped
        self._closing = threading.Event()
        self._folder = TemporaryDirectory(prefix="clarity-sandbox-")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="report")

    def close(self) -> None:
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def start(self, report_id: str, query: ReportQuery, as_of: int) -> Future[BuiltFiles]:
        return self._threads.submit(self._build, report_id, query, as_of)

    def is_empty(self, query: ReportQuery, as_of: int) -> bool:
        """Whether a report would have no lines."""
        table = Table.over(query.measurements, query.key, query.datasources)
        return not any(table.lines(self._rows(query, query.served_window, as_of), as_of))

    def _build(self, report_id: str, query: ReportQuery, as_of: int) -> BuiltFiles:
        suffix = query.file_suffix(zipped=self._zipped)
        paths, is_empty = [], True
        for number, window in enumerate(_split(query, self._files_per_report), start=1):
            name = report_id if self._files_per_report == 1 else f"{report_id}-{number:03d}"
            path = Path(self._folder.name) / f"{name}{suffix}"
            is_empty &= self._write(path, query, self._rows(query, window, as_of), as_of) == 0
            paths.append(path)
        if is_empty and not query.is_parquet:
            self._blank(paths, query)
        return BuiltFiles(paths, is_empty)

    def _rows(self, query: ReportQuery, window: Window, as_of: int) -> Iterator[Row]:
        ids = query.source_ids
        found = self._world.rows(
            query.datasources,
            window,
            newest_first=query.newest_first,
            by_source=ids is not None,
        )
        for row in found:
            if self._closing.is_set():
                return
            if row.arrival <= as_of and (ids is None or row.source_id in ids):
                yield row

    def _write(self, path: Path, query: ReportQuery, rows: Iterator[Row], as_of: int) -> int:
        """Write a file, and return the number of its lines."""
        table = Table.over(query.measurements, query.key, query.datasources)
        found = table.lines(rows, as_of)
        quirks = query.measurements.quirks
        lines = _CountedLines(order_lines(found, quirks, len(table.id_columns())))
        if query.is_parquet:
            report_files.write_parquet(path, table, lines)
        else:
            report_files.write_csv(path, table.csv_parts(lines), zipped=self._zipped)
        return lines.count

    def _blank(self, paths: list[Path], query: ReportQuery) -> None:
        if Unknown.EMPTY_WINDOW_BLANK_FILE in query.measurements.quirks:
            form = query.measurements.parameters.blank_file_as
            for path in paths:
                body = report_files.blank_file(form, query.key)
                report_files.write_csv(path, [body], zipped=self._zipped)


class _CountedLines:
    """Lines, counted while they are read."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[Line]:
        for line in self._lines:
            self.count += 1
            yield line


def is_built(files: Future[BuiltFiles]) -> bool:
    """Wait for the files for some seconds, so that small reports are ready when they are due."""
    try:
        files.result(timeout=_WAIT_SECONDS)
    except StillBuilding:
        return False
    return True


def _split(query: ReportQuery, count: int) -> list[Window]:
    """Split the window into as many parts as there are files, in the order of the files."""
    frequency, start, end = query.served_window
    bounds = [start + (end - start) * number // count for number in range(count + 1)]
    windows = [Window(frequency, *each) for each in pairwise(bounds)]
    return windows[::-1] if query.newest_first else windows
