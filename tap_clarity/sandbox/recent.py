"""Recent measurements: a cache that reaches back so far, and tokens to go on from."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from tap_clarity.sandbox import shapes, signing
from tap_clarity.sandbox.instants import DAY
from tap_clarity.sandbox.measure import CACHE_DEPTHS, entered_cache
from tap_clarity.sandbox.messages import JSON_TYPE, ApiError, Response, bad
from tap_clarity.sandbox.query import choice, flag, id_list, instant, measurement_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_clarity.sandbox.measure import Row
    from tap_clarity.sandbox.metrics import Frequency
    from tap_clarity.sandbox.network import Datasource
    from tap_clarity.sandbox.world import World

TOKEN_HEADER: Final = "x-clarity-continuation-token"  # noqa: S105 - a header's name
TOKEN_LIFE: Final = DAY
_FORMATS: Final = ("json-long", "csv-wide")
# The cache holds more, but without a startTime no more than this was seen to come back.
_UNASKED: Final[dict[Frequency, int]] = {"minute": DAY, "hour": DAY, "day": 10 * DAY}


@dataclass(frozen=True, slots=True)
class Recent:
    """The recent-measurement calls over a world."""

    world: World
    token_refusal: HTTPStatus = HTTPStatus.BAD_REQUEST

    def query(self, body: dict[str, Any], now: int) -> Response:
        frequency = measurement_query(body).frequency
        oldest = now - CACHE_DEPTHS[frequency]
        asked = instant(body, "startTime")
        start = now - _UNASKED[frequency] if asked is None else max(asked, oldest)
        rows = self._arrived(body, frequency, start, now, after=None)
        wants_token = flag(body, "replyWithContinuationToken")
        return self._answer(body, body, rows, now, wants_token=wants_token)

    def go_on(self, body: dict[str, Any], now: int) -> Response:
        """Answer all that has arrived since the token was issued, late points included."""
        issued, asked = self._open(body, now)
        frequency = measurement_query(asked).frequency
        start = issued - CACHE_DEPTHS[frequency]
        rows = self._arrived(asked, frequency, start, now, after=issued)
        return self._answer(asked, body, rows, now, wants_token=True)

    def _open(self, body: dict[str, Any], now: int) -> tuple[int, dict[str, Any]]:
        token = body.get("continuationToken")
        if not isinstance(token, str):
            raise bad("continuationToken is required")
        content = signing.unpack(self.world.signing_key, token)
        if content is None:
            raise ApiError(self.token_refusal, "continuationToken is not valid")
        issued: int = content["at"]
        if now > issued + TOKEN_LIFE:
            raise ApiError(self.token_refusal, "continuationToken has expired")
        return issued, content["query"]

    def _arrived(
        self,
        body: dict[str, Any],
        frequency: Frequency,
        start: int,
        now: int,
        *,
        after: int | None,
    ) -> Iterator[Row]:
        chosen = chosen_datasources(self.world, body, now)
        found = self.world.rows(chosen, frequency, start, now, newest_first=True)
        return (
            row
            for row in found
            if row.arrival <= now and (after is None or row.arrival > after) and entered_cache(row)
        )

    def _answer(
        self,
        asked: dict[str, Any],
        echo: dict[str, Any],
        rows: Iterator[Row],
        now: int,
        *,
        wants_token: bool,
    ) -> Response:
        query = measurement_query(asked)
        if choice(asked, "format", _FORMATS) == "csv-wide":
            kind, parts = "text/csv; charset=utf-8", shapes.wide(query, rows, now)
        else:
            kind, parts = JSON_TYPE, shapes.long(query, echo, rows, now)
        headers = {"Content-Type": kind}
        if wants_token:
            content = {"at": now, "query": asked}
            headers[TOKEN_HEADER] = signing.pack(self.world.signing_key, content)
        return Response(HTTPStatus.OK, parts, headers)


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
    return [each for each in found if each is not None]
