"""Recent measurements: queries of the recent cache, and continuations from a token."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tap_clarity.sandbox.api import csv_wide, json_long, tokens
from tap_clarity.sandbox.api.body_fields import choice, flag, timestamp
from tap_clarity.sandbox.api.datasource_selection import select_datasources
from tap_clarity.sandbox.api.errors import ApiError, bad_request
from tap_clarity.sandbox.api.measurement_query import read_measurement_query
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE
from tap_clarity.sandbox.http.http_types import JSON_TYPE, Response
from tap_clarity.sandbox.world.rows import CACHE_DEPTHS, entered_cache, is_late
from tap_clarity.sandbox.world.world import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.measurement_query import MeasurementQuery
    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.network import Datasource
    from tap_clarity.sandbox.world.rows import Row
    from tap_clarity.sandbox.world.world import World

TOKEN_HEADER: Final = "x-clarity-continuation-token"  # noqa: S105 - a header's name
_TOKEN_LIFE: Final = DAY
_START_MARGIN: Final = 5 * MINUTE
_EMPTY_BODIES: Final = {
    "newline": b"\n",
    "list": b"[]",
    "object": b"{}",
    "null-data": b'{"data": null}',
}
Format = Literal["json-long", "csv-wide"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
# The cache holds more, but without a startTime responses were seen to have no more than this.
_DEFAULT_DEPTHS: Final[dict[Frequency, int]] = {"minute": DAY, "hour": DAY, "day": 10 * DAY}


@dataclass(frozen=True, slots=True)
class RecentQuery:
    """A query or continuation: the fields of the first request, and the body of this one."""

    fields: dict[str, Any]
    body: dict[str, Any]
    measurements: MeasurementQuery
    datasources: list[Datasource]
    now: int

    @property
    def is_csv(self) -> bool:
        return choice(self.fields, "format", FORMATS) == "csv-wide"

    @property
    def cache_start(self) -> int:
        return self.now - CACHE_DEPTHS[self.measurements.frequency]


@dataclass(frozen=True, slots=True)
class RecentMeasurements:
    """Handles the requests for recent measurements of a world."""

    world: World
    token_refusal: HTTPStatus = HTTPStatus.BAD_REQUEST
    forced_format: Format | None = None
    """Format of all responses, whatever is requested."""

    def query(self, body: dict[str, Any], now: int) -> Response:
        query = self._read(body, body, now)
        rows = self._arrived(query, _start(query), after=None)
        return self._response(query, rows, with_token=flag(body, "replyWithContinuationToken"))

    def continuation(self, body: dict[str, Any], now: int) -> Response:
        """Return all that has arrived since the token was issued, late rows included."""
        issued_at, fields = self._decode_token(body, now)
        query = self._read(fields, body, now)
        oldest = issued_at - CACHE_DEPTHS[query.measurements.frequency]
        if Unknown.CONTINUATION_WITHIN_CACHE in self.world.quirks:
            oldest = query.cache_start
        rows = self._arrived(query, oldest, after=issued_at)
        if Unknown.LATE_ROWS_ONLY_IN_CACHE in self.world.quirks:
            rows = (row for row in rows if not is_late(row))
        first = next(rows, None)
        if first is not None:
            return self._response(query, chain([first], rows), with_token=True)
        return self._empty_continuation(query)

    def _empty_continuation(self, query: RecentQuery) -> Response:
        with_token = Unknown.NO_TOKEN_WITHOUT_NEWS not in self.world.quirks
        response = self._response(query, [], with_token=with_token)
        if Unknown.EMPTY_CONTINUATION not in self.world.quirks:
            return response
        form = self.world.parameters.empty_reply_as
        status = HTTPStatus.NO_CONTENT if form == "no-content" else response.status
        return Response(status, _EMPTY_BODIES.get(form, b""), response.headers)

    def _read(self, fields: dict[str, Any], body: dict[str, Any], now: int) -> RecentQuery:
        if self.forced_format:
            fields = {**fields, "format": self.forced_format}
        measurements = read_measurement_query(fields, self.world.switches)
        datasources = select_datasources(self.world, fields, now)
        return RecentQuery(fields, body, measurements, datasources, now)

    def _decode_token(self, body: dict[str, Any], now: int) -> tuple[int, dict[str, Any]]:
        token = body.get("continuationToken")
        if not isinstance(token, str):
            raise bad_request("continuationToken is required")
        content = tokens.decode(self.world.signing_key, token)
        if content is None:
            raise ApiError(self.token_refusal, "continuationToken is not valid")
        issued_at: int = content["at"]
        if now > issued_at + self._token_life():
            raise ApiError(self.token_refusal, "continuationToken has expired")
        return issued_at, content["query"]

    def _token_life(self) -> int:
        if Unknown.SHORT_TOKENS in self.world.quirks:
            return round(self.world.parameters.token_hours * HOUR)
        return _TOKEN_LIFE

    def _arrived(self, query: RecentQuery, start: int, *, after: int | None) -> Iterator[Row]:
        measurements, now = query.measurements, query.now
        window = Window(measurements.frequency, start, now)
        newest_first = Quirk.REVERSED_ORDER not in measurements.quirks
        return (
            row
            for row in self.world.rows(query.datasources, window, newest_first=newest_first)
            if row.arrival <= now and (after is None or row.arrival > after) and entered_cache(row)
        )

    def _response(self, query: RecentQuery, rows: Iterable[Row], *, with_token: bool) -> Response:
        headers = {"Content-Type": "text/csv; charset=utf-8" if query.is_csv else JSON_TYPE}
        if with_token:
            content = {"at": query.now, "query": query.fields}
            headers[TOKEN_HEADER] = tokens.encode(self.world.signing_key, content)
        return Response(HTTPStatus.OK, _body(query, rows), headers)


def _start(query: RecentQuery) -> int:
    """Return where a query starts: as requested but within the cache, or by default."""
    quirks, oldest = query.measurements.quirks, query.cache_start
    requested = timestamp(query.fields, "startTime")
    if requested is None:
        whole_cache = Quirk.FULL_CACHE_UNASKED in quirks
        return oldest if whole_cache else query.now - _DEFAULT_DEPTHS[query.measurements.frequency]
    if Unknown.OLD_START_REJECTED in quirks and requested < oldest + _START_MARGIN:
        raise bad_request("startTime is older than the recent measurements")
    return max(requested, oldest)


def _body(query: RecentQuery, rows: Iterable[Row]) -> Iterator[bytes]:
    if not query.is_csv:
        return json_long.json_parts(query.measurements, query.body, rows, query.now)
    table = csv_wide.Table.over(query.measurements, "datasourceId", query.datasources)
    return table.csv_parts(table.lines(rows, query.now))
