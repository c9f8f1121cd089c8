"""Recent measurements: a cache that reaches back so far, and tokens to go on from."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tap_clarity.sandbox.api import csv_wide as wide
from tap_clarity.sandbox.api import json_long as long
from tap_clarity.sandbox.api import tokens as signing
from tap_clarity.sandbox.api.measurement_query import (
    choice,
    flag,
    id_list,
    instant,
    measurement_query,
)
from tap_clarity.sandbox.behavior.quirks import Quirk
from tap_clarity.sandbox.behavior.unknowns import Unknown
from tap_clarity.sandbox.core.timestamps import DAY, HOUR, MINUTE
from tap_clarity.sandbox.http.http_types import JSON_TYPE, ApiError, Response, bad
from tap_clarity.sandbox.world.measurements import CACHE_DEPTHS, entered_cache, is_late
from tap_clarity.sandbox.world.world import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_clarity.sandbox.api.measurement_query import MeasurementQuery
    from tap_clarity.sandbox.world.measurements import Row
    from tap_clarity.sandbox.world.metrics import Frequency
    from tap_clarity.sandbox.world.network import Datasource
    from tap_clarity.sandbox.world.world import World

TOKEN_HEADER: Final = "x-clarity-continuation-token"  # noqa: S105 - a header's name
TOKEN_LIFE: Final = DAY
_EDGE: Final = 5 * MINUTE
_EMPTY_BODIES: Final = {
    "newline": b"\n",
    "list": b"[]",
    "object": b"{}",
    "null-data": b'{"data": null}',
}
Format = Literal["json-long", "csv-wide"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
# The cache holds more, but without a startTime no more than this was seen to come back.
_UNASKED: Final[dict[Frequency, int]] = {"minute": DAY, "hour": DAY, "day": 10 * DAY}


@dataclass(frozen=True, slots=True)
class _Call:
    """One question: what the first request asked, and what this one sent."""

    asked: dict[str, Any]
    sent: dict[str, Any]
    query: MeasurementQuery
    chosen: list[Datasource]
    now: int

    @property
    def is_csv(self) -> bool:
        return choice(self.asked, "format", FORMATS) == "csv-wide"


@dataclass(frozen=True, slots=True)
class Recent:
    """The recent-measurement calls over a world."""

    world: World
    token_refusal: HTTPStatus = HTTPStatus.BAD_REQUEST
    answer_format: Format | None = None
    """Format of all answers, whatever is asked."""

    def query(self, body: dict[str, Any], now: int) -> Response:
        call = self._call(body, body, now)
        _check_start(call)
        rows = self._arrived(call, _first_start(call), after=None)
        return self._answer(call, rows, wants_token=flag(body, "replyWithContinuationToken"))

    def go_on(self, body: dict[str, Any], now: int) -> Response:
        """Answer all that has arrived since the token was issued, late points included."""
        issued, asked = self._open(body, now)
        call = self._call(asked, body, now)
        in_cache = Unknown.CONTINUATION_WITHIN_CACHE in self.world.quirks
        oldest = (now if in_cache else issued) - CACHE_DEPTHS[call.query.frequency]
        rows = self._arrived(call, oldest, after=issued)
        if Unknown.LATE_ROWS_ONLY_IN_CACHE in self.world.quirks:
            rows = (row for row in rows if not is_late(row))
        first = next(rows, None)
        if first is not None:
            return self._answer(call, chain([first], rows), wants_token=True)
        return self._without_news(call)

    def _without_news(self, call: _Call) -> Response:
        wants_token = Unknown.NO_TOKEN_WITHOUT_NEWS not in self.world.quirks
        response = self._answer(call, [], wants_token=wants_token)
        if Unknown.EMPTY_CONTINUATION in self.world.quirks:
            return empty_reply(response, self.world.parameters.empty_reply_as)
        return response

    def _call(self, asked: dict[str, Any], sent: dict[str, Any], now: int) -> _Call:
        if self.answer_format:
            asked = {**asked, "format": self.answer_format}
        query = measurement_query(asked, self.world.switches)
        return _Call(asked, sent, query, chosen_datasources(self.world, asked, now), now)

    def _open(self, body: dict[str, Any], now: int) -> tuple[int, dict[str, Any]]:
        token = body.get("continuationToken")
        if not isinstance(token, str):
            raise bad("continuationToken is required")
        content = signing.unpack(self.world.signing_key, token)
        if content is None:
            raise ApiError(self.token_refusal, "continuationToken is not valid")
        issued: int = content["at"]
        if now > issued + self._token_life():
            raise ApiError(self.token_refusal, "continuationToken has expired")
        return issued, content["query"]

    def _token_life(self) -> int:
        if Unknown.SHORT_TOKENS in self.world.quirks:
            return round(self.world.parameters.token_hours * HOUR)
        return TOKEN_LIFE

    def _arrived(self, call: _Call, start: int, *, after: int | None) -> Iterator[Row]:
        now = call.now
        window = Window(call.query.frequency, start, now)
        newest_first = Quirk.REVERSED_ORDER not in call.query.quirks
        found = self.world.rows(call.chosen, window, newest_first=newest_first)
        return (
            row
            for row in found
            if row.arrival <= now and (after is None or row.arrival > after) and entered_cache(row)
        )

    def _answer(self, call: _Call, rows: Iterable[Row], *, wants_token: bool) -> Response:
        headers = {"Content-Type": "text/csv; charset=utf-8" if call.is_csv else JSON_TYPE}
        if wants_token:
            content = {"at": call.now, "query": call.asked}
            headers[TOKEN_HEADER] = signing.pack(self.world.signing_key, content)
        return Response(HTTPStatus.OK, _drawn(call, rows), headers)


def _check_start(call: _Call) -> None:
    asked = instant(call.asked, "startTime")
    oldest = call.now - CACHE_DEPTHS[call.query.frequency]
    is_rejected = Unknown.OLD_START_REJECTED in call.query.quirks
    if is_rejected and asked is not None and asked < oldest + _EDGE:
        raise bad("startTime is older than the recent measurements")


def empty_reply(response: Response, form: str) -> Response:
    """Answer that there is nothing new, in a form that is neither CSV nor json-long."""
    status = HTTPStatus.NO_CONTENT if form == "no-content" else response.status
    return Response(status, _EMPTY_BODIES.get(form, b""), response.headers)


def _first_start(call: _Call) -> int:
    frequency = call.query.frequency
    oldest = call.now - CACHE_DEPTHS[frequency]
    asked = instant(call.asked, "startTime")
    if asked is not None:
        return max(asked, oldest)
    whole = Quirk.FULL_CACHE_UNASKED in call.query.quirks
    return oldest if whole else call.now - _UNASKED[frequency]


def _drawn(call: _Call, rows: Iterable[Row]) -> Iterator[bytes]:
    if not call.is_csv:
        return long.json_parts(call.query, call.sent, rows, call.now)
    table = wide.Table.over(call.query, "datasourceId", call.chosen)
    return table.csv_parts(table.lines(rows, call.now))


def chosen_datasources(world: World, body: dict[str, Any], now: int) -> list[Datasource]:
    """Find the datasources a body asks for; one that the org does not know is forbidden."""
    ids = id_list(body, "datasourceIds")
    if flag(body, "allDatasources"):
        return world.visible(now)
    if not ids:
        raise bad("either allDatasources or datasourceIds is required")
    found = [world.find(each, now) for each in sorted(set(ids))]
    if None in found:
        raise ApiError(HTTPStatus.FORBIDDEN, "a datasource in datasourceIds is not yours to read")
    chosen = [each for each in found if each is not None]
    check_ids(world, "datasourceIds", frozenset(ids), _stopped(world, chosen, now))
    return chosen


def _stopped(world: World, chosen: list[Datasource], now: int) -> frozenset[str]:
    if Unknown.STOPPED_DATASOURCES_REJECTED not in world.quirks:
        return frozenset()
    return frozenset(each.datasource_id for each in chosen if each.stay_at(now) is None)


def check_ids(world: World, name: str, asked: frozenset[str], refused: frozenset[str]) -> None:
    """Reject a whole request for the sake of one id."""
    if asked & (refused | world.parameters.refused_ids):
        status = HTTPStatus(world.parameters.id_refusal)
        raise ApiError(status, f"an id in {name} cannot be reported on")
