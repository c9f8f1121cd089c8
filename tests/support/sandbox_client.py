"""A client for tests: a few lines that share nothing with the tap or the sandbox."""

from __future__ import annotations

import csv
import gzip
import io
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_clarity.sandbox import Measurement, Sandbox


class Reply(NamedTuple):
    """An answer, whatever its status."""

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
Facts = tuple[float | None, float | None, str]


@dataclass(frozen=True)
class Client:
    """Speaks to a sandbox over real HTTP."""

    sandbox: Sandbox

    def get(self, path: str, *, key: str | None = None, **query: str) -> Reply:
        query = query if path.startswith("/_sandbox") else {"org": self.sandbox.org, **query}
        return self.send("GET", f"{path}?{urllib.parse.urlencode(query)}", None, key)

    def post(self, path: str, body: object, *, key: str | None = None) -> Reply:
        if isinstance(body, dict) and path.startswith("/v2"):
            body = {"org": self.sandbox.org, **body}
        return self.send("POST", path, json.dumps(body).encode(), key)

    def send(self, method: str, path: str, body: bytes | None, key: str | None) -> Reply:
        headers = {"x-api-key": key or self.sandbox.api_key, "Accept-Encoding": "gzip"}
        return fetch(self.sandbox.url + path, method, body, headers)

    def recent(self, frequency: str, **body: object) -> Reply:
        query = {"allDatasources": True, "outputFrequency": frequency, **body}
        return self.post("/v2/recent-datasource-measurements-query", query)

    def go_on(self, token: str) -> Reply:
        body = {"continuationToken": token}
        return self.post("/v2/recent-datasource-measurements-continuation", body)

    def order(self, frequency: str, start: str, end: str, /, **body: object) -> Reply:
        order = {
            "report": "datasource-measurements",
            "outputFrequency": frequency,
            "startTime": start,
            "endTime": end,
            "allDatasources": True,
            **body,
        }
        return self.post("/v2/report-requests", order)

    def poll(self, report_id: str) -> dict[str, Any]:
        record: dict[str, Any] = self.get(f"/v2/report-requests/{report_id}").json
        return record

    def report(self, frequency: str, start: str, end: str, /, **body: object) -> str:
        """Go all the way from the request to the file's text."""
        record = self.poll(self.order(frequency, start, end, **body).json["reportId"])
        return fetch(record["urls"][0]).body.decode()


def fetch(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return _reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _reply(error.code, error.headers, error.read())


def _reply(status: int, headers: Any, body: bytes) -> Reply:  # noqa: ANN401
    zipped = headers.get("Content-Encoding") == "gzip"
    return Reply(status, headers, gzip.decompress(body) if zipped else body)


def facts_of_csv(text: str) -> dict[Key, Facts]:
    """Read a wide table into (datasource, time, metric) -> (raw, value, status)."""
    found: dict[Key, Facts] = {}
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


def facts_of_long(payload: dict[str, Any]) -> dict[Key, Facts]:
    found: dict[Key, Facts] = {}
    for item in payload["data"]:
        key = (item["datasourceId"], item["time"], item["metric"])
        assert key not in found
        found[key] = (item["raw"], item["value"], item["status"])
    return found


def facts_of_truth(told: Iterable[Measurement]) -> dict[Key, Facts]:
    found: dict[Key, Facts] = {}
    for each in told:
        time = each.time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{each.time.microsecond // 1000:03d}Z"
        key = (each.datasource_id, time, each.metric)
        assert key not in found
        found[key] = (each.raw, each.value, each.status)
    return found
