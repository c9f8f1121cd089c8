"""A client of the sandbox for tests, which shares no code with the tap or the sandbox."""

from __future__ import annotations

import csv
import gzip
import io
import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from http.client import HTTPResponse

    from tap_clarity.sandbox import Measurement, Sandbox


class Response(NamedTuple):
    """A response, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


Key = tuple[str, str, str]
Values = tuple[float | None, float | None, str]


@dataclass(frozen=True)
class Client:
    """Sends requests to a sandbox over HTTP."""

    sandbox: Sandbox

    def get(self, path: str, *, key: str | None = None, **query: str) -> Response:
        query = query if path.startswith("/_sandbox") else {"org": self.sandbox.org, **query}
        return self.send("GET", f"{path}?{urllib.parse.urlencode(query)}", None, key)

    def post(self, path: str, body: object, *, key: str | None = None) -> Response:
        if isinstance(body, dict) and path.startswith("/v2"):
            body = {"org": self.sandbox.org, **body}
        return self.send("POST", path, json.dumps(body).encode(), key)

    def send(self, method: str, path: str, body: bytes | None, key: str | None) -> Response:
        headers = {"x-api-key": key or self.sandbox.api_key, "Accept-Encoding": "gzip"}
        return fetch(self.sandbox.url + path, method, body, headers)

    def recent(self, frequency: str, **body: object) -> Response:
        query = {"allDatasources": True, "outputFrequency": frequency, **body}
        return self.post("/v2/recent-datasource-measurements-query", query)

    def continue_recent(self, token: str) -> Response:
        body = {"continuationToken": token}
        return self.post("/v2/recent-datasource-measurements-continuation", body)

    def request_report(self, frequency: str, start: str, end: str, /, **body: object) -> Response:
        fields = {
            "report": "datasource-measurements",
            "outputFrequency": frequency,
            "startTime": start,
            "endTime": end,
            "allDatasources": True,
            **body,
        }
        return self.post("/v2/report-requests", fields)

    def poll(self, report_id: str) -> dict[str, Any]:
        record: dict[str, Any] = self.get(f"/v2/report-requests/{report_id}").json
        return record

    def report(self, frequency: str, start: str, end: str, /, **body: object) -> str:
        """Request a report, and return the text of its file."""
        record = self.poll(self.request_report(frequency, start, end, **body).json["reportId"])
        return fetch(record["urls"][0]).body.decode()


def fetch(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return _response(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _response(error.code, error.headers, error.read())


def _response(status: int, headers: Any, body: bytes) -> Response:  # noqa: ANN401
    zipped = headers.get("Content-Encoding") == "gzip"
    return Response(status, headers, gzip.decompress(body) if zipped else body)


@contextmanager
def open_raw(url: str, **headers: str) -> Iterator[HTTPResponse]:
    """Send a GET, and return the response without decoding it."""
    parts = urllib.parse.urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=5)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        with connection.getresponse() as response:
            yield response


def values_of_csv(text: str) -> dict[Key, Values]:
    """Read a wide table into (datasource, time, metric) -> (raw, value, status)."""
    found: dict[Key, Values] = {}
    for row in csv.DictReader(io.StringIO(text)):
        time = row.get("time") or row["startOfPeriod"]
        for column, status in row.items():
            metric, _, attribute = column.rpartition(".")
            if attribute == "status" and status:
                raw, value = row[f"{metric}.raw"], row[f"{metric}.value"]
                key = (row["datasourceId"], time, metric)
                assert key not in found
                found[key] = (_number(raw), _number(value), status)
    return found


def _number(text: str) -> float | None:
    return float(text) if text else None


def values_of_json_long(payload: dict[str, Any]) -> dict[Key, Values]:
    found: dict[Key, Values] = {}
    for item in payload["data"]:
        key = (item["datasourceId"], item["time"], item["metric"])
        assert key not in found
        found[key] = (item["raw"], item["value"], item["status"])
    return found


def values_of_measurements(measurements: Iterable[Measurement]) -> dict[Key, Values]:
    found: dict[Key, Values] = {}
    for each in measurements:
        time = each.time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{each.time.microsecond // 1000:03d}Z"
        key = (each.datasource_id, time, each.metric)
        assert key not in found
        found[key] = (each.raw, each.value, each.status)
    return found


def default_values(measurements: Iterable[Measurement]) -> dict[Key, Values]:
    """Return the values of the metrics that a request without metricSelect returns."""
    values = values_of_measurements(measurements)
    return {key: value for key, value in values.items() if "pm10ConcMassNowcast" not in key[2]}
