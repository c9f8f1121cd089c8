"""The report quota, and the quirks that change it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tap_clarity.sandbox import Sandbox
from tests.support.constants import SANDBOX_NOW as NOW
from tests.support.sandbox_client import (
    Client,
)

if TYPE_CHECKING:
    from collections.abc import Callable


DAY = ("2026-11-19", "2026-11-20")


def test_the_quota_is_thirty_a_day(client: Client) -> None:
    statuses = [client.request_report("hour", "2026-11-19", "2026-11-20").status for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    client.sandbox.clock.set("2026-11-21T00:00:00Z")
    assert client.request_report("hour", "2026-11-19", "2026-11-20").status == 200


def _with_quota(use: Callable[[Client], None], *quirks: str, **parameters: object) -> None:
    with Sandbox(
        seed=7,
        datasources=1,
        now=NOW,
        frozen=True,
        report_seconds=0,
        daily_quota=3,
        quirks=quirks,
        parameters=parameters,
    ) as sandbox:
        use(Client(sandbox))


def _grants(client: Client, count: int = 4) -> int:
    return [client.request_report("hour", *DAY).status for _ in range(count)].count(200)


def test_the_quota_day_begins_at_another_hour() -> None:
    def use(client: Client) -> None:
        assert _grants(client) == 3  # 13:07
        client.sandbox.clock.set("2026-11-21T08:29:59Z")
        assert _grants(client) == 0
        client.sandbox.clock.set("2026-11-21T08:30:00Z")
        assert _grants(client) == 3

    _with_quota(use, "quota-day-shifted", quota_hour=8.5)


def test_other_users_use_a_part_of_the_quota() -> None:
    def use(client: Client) -> None:
        assert _grants(client) == 1
        client.sandbox.clock.set("2026-11-21T00:00:00Z")
        assert _grants(client) == 1

    _with_quota(use, "shared-quota", requests_by_others=2)


def test_the_quota_is_that_of_the_last_24_hours() -> None:
    def use(client: Client) -> None:
        assert _grants(client, 1) == 1
        client.sandbox.clock.advance(timedelta(hours=20))
        assert _grants(client) == 2
        client.sandbox.clock.advance(timedelta(hours=4, seconds=-1))
        rejected = client.request_report("hour", *DAY)
        assert (rejected.status, rejected.headers["Retry-After"]) == (429, "1")
        client.sandbox.clock.advance(1)
        assert _grants(client) == 1

    _with_quota(use, "rolling-quota", "quota-retry-after")


def test_retry_after_is_sent_only_with_its_quirk() -> None:
    def use(client: Client) -> None:
        assert _grants(client) == 3
        assert "Retry-After" not in client.request_report("hour", *DAY).headers
        client.sandbox.switches.turn_on("quota-retry-after")
        headers = client.request_report("hour", *DAY).headers
        assert headers["Retry-After"] == str(10 * 3600 + 53 * 60)

    _with_quota(use)
