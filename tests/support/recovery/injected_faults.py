"""Faults that the emulator injects into the runs of a simulation."""

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
class InjectedFault:
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


def fault(kind: str, path: str, **details: Any) -> InjectedFault:  # noqa: ANN401
    return InjectedFault(kind, (("path", path), *details.items()))


INJECTED_FAULTS = (
    # The whole API.
    fault("status", ALL_PATHS, times=2),
    fault("status", ALL_PATHS, times=None),
    fault("status", ALL_PATHS, probability=0.3, seed=5),
    fault("status", ALL_PATHS, times=None, status=401),
    fault("status", ALL_PATHS, times=1, status=429, headers={"Retry-After": "20"}),
    fault("drop", ALL_PATHS, times=2),
    fault("drop", ALL_PATHS, probability=0.2, seed=7),
    # The recent measurements.
    fault("cut", RECENT_PATHS),
    fault("truncate", RECENT_PATHS),
    fault("garbage", RECENT_PATHS, times=2),
    fault("html", RECENT_PATHS),
    fault("status", "/v2/*continuation", status=400),
    fault("partial-content", RECENT_PATHS),
    # Report requests.
    fault("drop", REQUEST, method="POST"),
    fault("garbage", REQUEST, method="POST"),
    fault("status", REQUEST, method="POST", times=None, status=429),
    fault("status", REQUEST, method="POST", status=429, headers={"Retry-After": "30"}),
    fault("status", REQUEST, method="POST", status=500),
    fault("status", REQUEST, method="POST", status=400),
    # Reports.
    fault("failed-report", REPORTS, times=2),
    fault("never-ending-report", REPORTS, times=3),
    fault("report-status", REPORTS, word="cancelled"),
    fault("report-without-urls", REPORTS),
    fault("poll-without-urls", REPORTS, times=3),
    fault("forgotten-report", f"{REPORTS}/*"),
    fault("purged-files", REPORTS),
    fault("purged-files", REPORTS, status=404),
    fault("html", f"{REPORTS}/*", times=3),
    # Files.
    fault("cut", REPORT_FILES, times=2),
    fault("truncate", REPORT_FILES, times=None),
    fault("truncate-lying", REPORT_FILES),
    fault("cut-gzip", REPORT_FILES, times=2),
    fault("flip-byte", REPORT_FILES, times=None),
    fault("garbage", REPORT_FILES),
    fault("expired-link", REPORT_FILES, times=2),
    fault("partial-content", REPORT_FILES, times=None),
    fault("other-status", REPORT_FILES, status=203),
    fault("row-width", REPORT_FILES, at=0.7),
    fault("row-not-a-number", REPORT_FILES, times=None, at=0.7),
    fault("row-twice", REPORT_FILES),
)
