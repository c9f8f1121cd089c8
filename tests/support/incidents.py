"""What goes wrong in a run of a simulation: faults that the emulator injects."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_clarity.sandbox.api.file_links import FILES_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.sandbox import Sandbox

ALL_PATHS, RECENT_PATHS = "/v2/*", "/v2/recent*"
REQUEST, REPORTS, REPORT_FILES = "/v2/report-requests", "/v2/report-request*", f"{FILES_PATH}*"


@dataclass(frozen=True)
class Incident:
    """A fault that the emulator injects, with its parameters."""

    kind: str
    details: tuple[tuple[str, Any], ...]

    @contextmanager
    def injected(self, sandbox: Sandbox) -> Iterator[None]:
        sandbox.faults.inject(self.kind, **dict(self.details))
        try:
            yield
        finally:
            sandbox.faults.clear()


def incident(kind: str, path: str, **details: Any) -> Incident:  # noqa: ANN401
    return Incident(kind, (("path", path), *details.items()))


INCIDENTS = (
    # The whole API.
    incident("status", ALL_PATHS, times=2),
    incident("status", ALL_PATHS, times=None),
    incident("status", ALL_PATHS, probability=0.3, seed=5),
    incident("status", ALL_PATHS, times=None, status=401),
    incident("status", ALL_PATHS, times=1, status=429, headers={"Retry-After": "20"}),
    incident("drop", ALL_PATHS, times=2),
    incident("drop", ALL_PATHS, probability=0.2, seed=7),
    # The recent measurements.
    incident("cut", RECENT_PATHS),
    incident("truncate", RECENT_PATHS),
    incident("garbage", RECENT_PATHS, times=2),
    incident("html", RECENT_PATHS),
    incident("status", "/v2/*continuation", status=400),
    incident("partial-content", RECENT_PATHS),
    # Report requests.
    incident("drop", REQUEST, method="POST"),
    incident("garbage", REQUEST, method="POST"),
    incident("status", REQUEST, method="POST", times=None, status=429),
    incident("status", REQUEST, method="POST", status=429, headers={"Retry-After": "30"}),
    incident("status", REQUEST, method="POST", status=500),
    incident("status", REQUEST, method="POST", status=400),
    # Reports.
    incident("failed-report", REPORTS, times=2),
    incident("never-ending-report", REPORTS, times=3),
    incident("report-status", REPORTS, word="cancelled"),
    incident("report-without-urls", REPORTS),
    incident("poll-without-urls", REPORTS, times=3),
    incident("forgotten-report", f"{REPORTS}/*"),
    incident("purged-files", REPORTS),
    incident("purged-files", REPORTS, status=404),
    incident("html", f"{REPORTS}/*", times=3),
    # Files.
    incident("cut", REPORT_FILES, times=2),
    incident("truncate", REPORT_FILES, times=None),
    incident("truncate-lying", REPORT_FILES),
    incident("cut-gzip", REPORT_FILES, times=2),
    incident("flip-byte", REPORT_FILES, times=None),
    incident("garbage", REPORT_FILES),
    incident("expired-link", REPORT_FILES, times=2),
    incident("partial-content", REPORT_FILES, times=None),
    incident("other-status", REPORT_FILES, status=203),
    incident("row-width", REPORT_FILES, at=0.7),
    incident("row-not-a-number", REPORT_FILES, times=None, at=0.7),
    incident("row-twice", REPORT_FILES),
)
