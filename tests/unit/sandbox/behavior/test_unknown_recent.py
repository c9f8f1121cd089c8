"""Unknowns of recent measurements and continuations."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tap_clarity.sandbox import Sandbox
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import Client, values_of_csv

if TYPE_CHECKING:
    from tests.support.sandbox_client import Response


TOKEN = "x-clarity-continuation-token"  # noqa: S105 - a header's name


def _token(client: Client, frequency: str = "hour", **body: object) -> str:
    return client.recent(frequency, replyWithContinuationToken=True, **body).headers[TOKEN]


def _later(client: Client, token: str, **step: float) -> Response:
    client.sandbox.clock.advance(timedelta(**step))
    return client.continue_recent(token)


@pytest.mark.parametrize("quirks", [[], ["no-token-without-news"]])
@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("nothing", b""),
        ("no-content", b""),
        ("newline", b"\n"),
        ("list", b"[]"),
        ("object", b"{}"),
        ("null-data", b'{"data": null}'),
    ],
)
def test_an_empty_continuation(client: Client, form: str, body: bytes, quirks: list[str]) -> None:
    client.sandbox.switches.set(empty_reply_as=form)
    client.sandbox.switches.turn_on("empty-continuation", *quirks)
    token = _token(client, format="csv-wide")
    response = client.continue_recent(token)
    assert response.status == (204 if form == "no-content" else 200)
    assert response.body == body
    assert (TOKEN in response.headers) == (not quirks)
    news = _later(client, token, hours=2)
    assert values_of_csv(news.body.decode())
    assert news.headers[TOKEN]


def test_a_start_time_at_the_edge_of_the_cache(client: Client) -> None:
    client.sandbox.switches.turn_on("old-start-rejected")
    statuses = {
        start: client.recent("hour", startTime=f"2026-11-18T{start}:00Z").status
        for start in ("13:06", "13:07", "13:11", "13:12")
    }
    assert statuses == {"13:06": 400, "13:07": 400, "13:11": 400, "13:12": 200}
    assert client.recent("hour").status == 200
    client.sandbox.switches.turn_off("unknowns")
    assert client.recent("hour", startTime="2026-11-01").status == 200


def test_late_rows_are_only_in_the_cache() -> None:
    with Sandbox(seed=7, datasources=40, now=NOW, frozen=True) as sandbox:
        client = Client(sandbox)
        token = _token(client, format="csv-wide")
        sandbox.clock.advance(timedelta(hours=5))
        whole = values_of_csv(client.continue_recent(token).body.decode())
        sandbox.switches.turn_on("late-rows-only-in-cache")
        prompt = values_of_csv(client.continue_recent(token).body.decode())
        cache = values_of_csv(client.recent("hour", format="csv-wide").body.decode())
    assert prompt.keys() < whole.keys()
    late = {(key[0], key[1]) for key in whole.keys() - prompt.keys()}
    assert late <= {(key[0], key[1]) for key in cache}
    assert {time for _, time in late} & {key[1] for key in prompt}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_short_lived_tokens(status: int) -> None:
    with Sandbox(
        seed=7,
        datasources=2,
        now=NOW,
        frozen=True,
        token_refusal=status,
        quirks={"short-tokens"},
        parameters={"token_hours": 3},
    ) as sandbox:
        client = Client(sandbox)
        token = _token(client)
        assert _later(client, token, hours=3).status == 200
        assert _later(client, token, seconds=1).status == status
        sandbox.switches.turn_off("short-tokens")
        assert _later(client, token, hours=20).status == 200


def test_unknown_attributes(client: Client) -> None:
    client.sandbox.switches.turn_on("unknown-attributes")
    response = client.recent("hour").json
    assert response["data"][0]["confidence"] == 0.5
    assert response["locations"][0]["altitude"] == 12
    client.sandbox.switches.turn_on("nested-json-long")
    first = client.recent("hour").json["data"][0]
    name = next(name for name in first if name not in {"datasourceId", "time"})
    assert first[name]["confidence"] == 0.5


def test_continuations_return_only_what_the_cache_contains() -> None:
    with Sandbox(seed=7, datasources=30, now=NOW, frozen=True) as sandbox:
        client = Client(sandbox)
        chosen = {"format": "csv-wide", "metricSelect": "only pm1ConcNum*"}
        token = _token(client, "minute", **chosen)
        sandbox.clock.advance(timedelta(hours=23))
        whole = values_of_csv(client.continue_recent(token).body.decode())
        sandbox.switches.turn_on("continuation-within-cache")
        kept = values_of_csv(client.continue_recent(token).body.decode())
    assert kept == {key: each for key, each in whole.items() if key[1] >= "2026-11-20T12:07"}
    assert kept != whole
