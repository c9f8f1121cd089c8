"""Answers like Clarity, at the least cost: one report, ready at once; a process of its own.

python -m benchmarks.stub [--report FILE] [--recent FILE] [--datasources N] [--delay SECONDS]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data import ORG

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT_ID = "JBAAAA0001"
PART = 1 << 18
MAX_IN_FLIGHT_PATH = "/max-in-flight"


class Stub(ThreadingHTTPServer):
    """The server: what it hands out, and how many detail requests are or were in flight."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.options = options
        self.ids = [f"DBENC{number:04d}" for number in range(options.datasources)]
        self.most = 0
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a request as long as it lasts."""
        with self._lock:
            self._in_flight += 1
            self.most = max(self.most, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Or the second part of an answer waits for the receipt of the first.
    disable_nagle_algorithm = True
    server: Stub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        options = self.server.options
        if path == f"/v2/report-requests/{REPORT_ID}":
            self._json(self._record("succeeded", [f"{self.server.url}/files/report.csv.gz?sig=1"]))
        elif path == "/files/report.csv.gz":
            self._file(options.report)
        elif path == "/v2/datasources":
            datasources = [_datasource(id_) for id_ in self.server.ids]
            self._json({"subscribingOrg": ORG, "datasources": datasources})
        elif found := re.fullmatch("/v2/datasources/(.+)", path):
            with self.server.in_flight():
                time.sleep(options.delay)
            self._json(_details(found[1]))
        elif path == MAX_IN_FLIGHT_PATH:
            self._json(self.server.most)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v2/report-requests":
            self._json(self._record("in-progress", []))
        elif self.path == "/v2/recent-datasource-measurements-query":
            self._file(self.server.options.recent)
        else:
            self.send_error(404)

    def _record(self, status: str, urls: list[str]) -> dict[str, Any]:
        return {"reportId": REPORT_ID, "reportStatus": status, "message": "", "urls": urls}

    def _json(self, content: Any) -> None:  # noqa: ANN401
        body = json.dumps(content).encode()
        self._head("application/json", len(body))
        self.wfile.write(body)

    def _file(self, path: Path) -> None:
        kind = "application/json" if ".json" in path.suffixes else "text/csv"
        self._head(kind, path.stat().st_size, "Content-Encoding: gzip")
        with path.open("rb") as file:
            shutil.copyfileobj(file, self.wfile, PART)

    def _head(self, kind: str, length: int, *more: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for header in (*more, "x-clarity-continuation-token: token"):
            self.send_header(*header.split(": "))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _datasource(id_: str) -> dict[str, Any]:
    return {
        "datasourceId": id_,
        "currentSubscriptionId": f"SBENC{id_[5:]}",
        "currentSourceId": f"A{id_[5:]:0>7}",
        "sourceType": "CLARITY_NODE",
        "orgAnnotations": {"name": f"Site {id_[5:]}", "group": None, "tags": []},
    }


def _details(id_: str) -> dict[str, Any]:
    stay = {"sourceId": f"A{id_[5:]:0>7}", "inDate": "2024-01-10T00:00:00.000Z", "outDate": None}
    details: dict[str, Any] = {
        "datasourceId": id_,
        "sourceType": "CLARITY_NODE",
        "currentSourceId": stay["sourceId"],
        "nameProvidedBySourceOperator": None,
        "orgAnnotations": [{"org": ORG, "name": f"Site {id_[5:]}", "group": None, "tags": []}],
        "sourceHistory": [stay],
    }
    return {"request": {"datasourceId": id_, "org": ORG}, "datasource": details}


@contextmanager
def serving(
    *,
    report: Path | None = None,
    recent: Path | None = None,
    datasources: int = 1,
    delay: float = 0,
) -> Iterator[str]:
    """Serve in another process, so that its CPU is nobody's; gives its address."""
    options = [f"--datasources={datasources}", f"--delay={delay}"]
    options += [f"--report={report}"] if report else []
    options += [f"--recent={recent}"] if recent else []
    command = [sys.executable, "-m", "benchmarks.stub", *options]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout  # it was asked for
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def max_in_flight(url: str) -> int:
    """Ask how many requests for details were in flight at once at most."""
    with urllib.request.urlopen(url + MAX_IN_FLIGHT_PATH) as reply:  # noqa: S310 - our own server
        return int(reply.read())


def main() -> None:
    """Serve until told to stop; the first line of output is the address."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", type=Path)
    parser.add_argument("--recent", type=Path)
    parser.add_argument("--datasources", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0)
    server = Stub(parser.parse_args())
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
