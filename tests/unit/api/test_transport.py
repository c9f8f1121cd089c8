"""What a call does when it fails: how often it is tried again, how long, and what is said."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.connection import create_connection

from tap_clarity.api.errors import (
    AmbiguousError,
    ClarityError,
    FileError,
    KeyRejectedError,
    MalformedResponseError,
    QuotaExhaustedError,
    RequestRejectedError,
    UnavailableError,
)
from tap_clarity.api.response_body import read_json
from tap_clarity.api.transport import Request, Transport

if TYPE_CHECKING:
    import socket

    from tap_clarity.sandbox import Sandbox
    from tests.support.api_types import Connect
    from tests.support.fake_clock import FakeClock

LIST = "/v2/datasources"
REPORTS = "/v2/report-requests"
DOUBLING = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
"""151 seconds; one more pause of 30 would go beyond three minutes."""


def get_list(transport: Transport, sandbox: Sandbox) -> Any:  # noqa: ANN401
    call = Request("GET", LIST, query={"org": sandbox.org})
    return transport.request(call, lambda reply: read_json(reply.body))


def request_report(transport: Transport, sandbox: Sandbox) -> Any:  # noqa: ANN401
    body = {
        "org": sandbox.org,
        "report": "datasource-measurements",
        "allDatasources": True,
        "outputFrequency": "hour",
        "startTime": "2026-03-09T00:00:00.000Z",
        "endTime": "2026-03-10T00:00:00.000Z",
    }
    call = Request("POST", REPORTS, body=body, is_idempotent=False)
    return transport.request(call, lambda reply: read_json(reply.body))


@pytest.mark.usefixtures("without_jitter")
def test_pauses_double_and_end_after_three_minutes(
    transport: Transport, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.faults.inject("status", path=LIST, times=None)
    with pytest.raises(UnavailableError) as caught:
        get_list(transport, sandbox)
    assert clock.pauses == DOUBLING
    assert len(sandbox.requests) == len(DOUBLING) + 1
    assert str(caught.value) == (
        "GET /v2/datasources: Clarity has a fault of its own (HTTP 503, 'Service Unavailable'); "
        "given up for now, nothing is lost: run again later"
    )


def test_pauses_are_spread_so_that_taps_do_not_come_back_together(
    transport: Transport, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.faults.inject("status", path=LIST, times=4)
    get_list(transport, sandbox)
    bounds = zip(clock.pauses, DOUBLING, strict=False)
    assert all(most / 2 <= pause <= most for pause, most in bounds)
    assert len(set(clock.pauses)) == 4
    assert clock.pauses != DOUBLING[:4]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    sandbox.faults.inject("status", path=LIST, times=2, status=status)
    assert len(get_list(transport, sandbox)["datasources"]) == 2
    assert len(clock.pauses) == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 422])
def test_a_refusal_is_final(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    sandbox.faults.inject("status", path=LIST, status=status, body='{"message": "no"}')
    with pytest.raises(ClarityError, match=rf"GET /v2/datasources: .*\(HTTP {status}, 'no'\)$"):
        get_list(transport, sandbox)
    assert len(sandbox.requests) == 1
    assert not clock.pauses


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 299, 300, 304])
def test_another_success_than_200_is_retried_and_its_body_is_not_quoted(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    sandbox.faults.inject("status", path=LIST, times=2, status=status, body='{"datasources": []}')
    assert len(get_list(transport, sandbox)["datasources"]) == 2
    assert len(clock.pauses) == 2
    sandbox.faults.inject(
        "status", path=LIST, times=None, status=status, body='{"datasources": []}'
    )
    with pytest.raises(UnavailableError) as caught:
        get_list(transport, sandbox)
    assert str(caught.value) == (
        f"GET /v2/datasources: the response has an unexpected status (HTTP {status}); "
        "given up for now, nothing is lost: run again later"
    )


def test_a_request_declares_the_statuses_of_a_complete_response(
    transport: Transport, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.faults.inject("status", path=LIST, status=202, body='"accepted"')
    call = Request("GET", LIST, statuses=frozenset({200, 202}))
    assert transport.request(call, lambda reply: read_json(reply.body)) == "accepted"
    assert not clock.pauses


@pytest.mark.parametrize("status", [202, 206])
def test_a_report_request_with_another_success_is_not_repeated(
    transport: Transport, sandbox: Sandbox, status: int
) -> None:
    sandbox.faults.inject("status", path=REPORTS, status=status)
    with pytest.raises(AmbiguousError, match=rf"unexpected status \(HTTP {status}\); Clarity may"):
        request_report(transport, sandbox)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 299, 300, 304])
def test_only_200_is_a_complete_file(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    sandbox.faults.inject("status", path="/files/*", status=status, body="a part")
    with pytest.raises(FileError) as caught:
        transport.download(f"{sandbox.url}/files/a", lambda reply: reply)
    assert str(caught.value) == (
        f"file download: the response is not a complete file (HTTP {status})"
    )
    assert not clock.pauses


@pytest.mark.usefixtures("without_jitter")
@pytest.mark.parametrize(
    ("asked", "pauses"),
    [
        ("7", [7.0, 7.0, 7.0, 8.0]),
        (" 100 ", [100.0]),
        ("Tue, 10 Mar 2026 09:20:40 GMT", [40.0, 2.0, 4.0, 8.0]),
        ("Tue, 10 Mar 2026 09:19:00 GMT", DOUBLING[:4]),
        ("0", DOUBLING[:4]),
        ("-5", DOUBLING[:4]),
        ("soon", DOUBLING[:4]),
    ],
)
def test_retry_after_is_kept_and_makes_no_pause_shorter(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, asked: str, pauses: list[float]
) -> None:
    fault = {"status": 429, "headers": {"Retry-After": asked}}
    sandbox.faults.inject("status", path=LIST, times=len(pauses), **fault)
    get_list(transport, sandbox)
    assert clock.pauses == pauses


@pytest.mark.parametrize("asked", ["0", "1"])
def test_nobody_is_hammered_however_short_a_wait_is_asked_for(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, asked: str
) -> None:
    sandbox.faults.inject("status", path=LIST, times=None, headers={"Retry-After": asked})
    with pytest.raises(UnavailableError):
        get_list(transport, sandbox)
    assert len(sandbox.requests) < 20
    assert sum(clock.pauses) <= 180


@pytest.mark.parametrize(
    ("asked", "then"),
    [
        ("3600", "2026-03-10 10:20:00"),
        ("181", "2026-03-10 09:23:01"),
        ("Thu, 12 Mar 2026 00:00:00 GMT", "2026-03-12 00:00:00"),
        ("9" * 400, "2027-03-11 09:20:00"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "2027-03-11 09:20:00"),
    ],
)
def test_a_wait_beyond_the_retry_time_limit_fails_at_once_and_names_the_next_time(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, asked: str, then: str
) -> None:
    sandbox.faults.inject("status", path=LIST, status=429, headers={"Retry-After": asked})
    with pytest.raises(UnavailableError, match=rf"nothing is lost: run again after {then} UTC$"):
        get_list(transport, sandbox)
    assert not clock.pauses


@pytest.mark.usefixtures("without_jitter")
def test_a_wait_that_is_asked_for_each_time_ends_too(
    transport: Transport, sandbox: Sandbox, clock: FakeClock
) -> None:
    sandbox.faults.inject("status", path=LIST, times=None, headers={"Retry-After": "50"})
    with pytest.raises(UnavailableError, match="run again after 2026-03-10 09:23:20 UTC"):
        get_list(transport, sandbox)
    assert clock.pauses == [50.0, 50.0, 50.0]


@pytest.mark.usefixtures("without_jitter")
def test_the_time_that_stalled_calls_take_counts(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stall(*_: object, **__: object) -> None:
        clock.at += timedelta(minutes=1)
        raise requests.ReadTimeout(ReadTimeoutError(HTTPConnectionPool("host"), "", ""))

    monkeypatch.setattr(requests.Session, "request", stall)
    with pytest.raises(UnavailableError, match="no answer within the setting request_timeout"):
        get_list(transport, sandbox)
    assert clock.pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_report_is_not_asked_for_twice_if_clarity_may_have_acted(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, status: int
) -> None:
    sandbox.faults.inject("status", path=REPORTS, status=status)
    with pytest.raises(AmbiguousError, match="may have acted on it all the same"):
        request_report(transport, sandbox)
    assert len(sandbox.requests) == 1
    assert not clock.pauses


@pytest.mark.usefixtures("without_jitter")
def test_all_downloads_share_one_retry_time_limit(
    transport: Transport, sandbox: Sandbox, clock: FakeClock
) -> None:
    def fails() -> int:
        sandbox.requests.clear()
        with pytest.raises(UnavailableError, match=r"^file download: "):
            transport.download(f"{sandbox.url}/files/a", lambda reply: reply)
        return len(sandbox.requests)

    sandbox.faults.inject("status", path="/files/*", times=5)
    sandbox.faults.inject("status", path="/files/*", status=200, times=1)
    transport.download(f"{sandbox.url}/files/a", lambda reply: reply.body.close())
    assert clock.pauses == DOUBLING[:5]  # 31 seconds of 180
    sandbox.faults.inject("status", path="/files/*", times=None)
    assert fails() == 1 + 8
    assert clock.pauses[5:] == DOUBLING[:8]  # 121 more; 28 are less than another pause of 30
    assert fails() == 1 + 4
    assert fails() == 1 + 3
    assert [fails() for _ in range(4)] == [1 + 2, 1 + 2, 1, 1]
    assert sum(clock.pauses) == 180
    # Requests to the API have their own.
    sandbox.faults.clear()
    sandbox.faults.inject("status", path=LIST, times=3)
    assert get_list(transport, sandbox)


def test_a_report_is_asked_for_again_if_the_request_was_never_sent(
    connect: Connect, sandbox: Sandbox, clock: FakeClock
) -> None:
    with pytest.raises(UnavailableError, match="POST /v2/report-requests: no connection: check"):
        request_report(connect("http://127.0.0.1:1"), sandbox)
    assert len(clock.pauses) > 5


@pytest.mark.parametrize(("asked", "is_pace"), [("1", True), ("60", True), ("61", False)])
def test_a_429_is_the_days_quota_unless_it_asks_for_a_minute_at_most(
    transport: Transport, sandbox: Sandbox, clock: FakeClock, asked: str, *, is_pace: bool
) -> None:
    sandbox.faults.inject("status", path=REPORTS, status=429, headers={"Retry-After": asked})
    if is_pace:
        assert request_report(transport, sandbox)["reportId"]
        assert clock.pauses
    else:
        with pytest.raises(QuotaExhaustedError):
            request_report(transport, sandbox)
        assert len(sandbox.requests) == 1


def test_a_429_without_a_time_is_the_days_quota(transport: Transport, sandbox: Sandbox) -> None:
    sandbox.faults.inject("status", path=REPORTS, status=429)
    with pytest.raises(QuotaExhaustedError, match="HTTP 429"):
        request_report(transport, sandbox)


@pytest.mark.parametrize("kind", ["cut", "truncate", "truncate-lying"])
def test_the_status_counts_even_if_its_page_cannot_be_read(
    connect: Connect, sandbox: Sandbox, kind: str
) -> None:
    sandbox.faults.inject(kind, path=LIST)
    with pytest.raises(KeyRejectedError, match="check the setting api_key"):
        get_list(connect(sandbox.url, key="other-key"), sandbox)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_the_error_of_a_rejected_file_does_not_mention_keys(
    transport: Transport, sandbox: Sandbox, status: int
) -> None:
    sandbox.faults.inject("status", path="/files/*", status=status, body="<Error/>")
    with pytest.raises(FileError) as caught:
        transport.download(f"{sandbox.url}/files/a", lambda reply: reply)
    assert str(caught.value) == (
        "file download: its link is refused; perhaps it has expired "
        f"(HTTP {status}, 'an HTML or XML page')"
    )


def test_no_message_repeats_the_key_or_the_token(connect: Connect, sandbox: Sandbox) -> None:
    key, token = "k-canary-8812", "t-canary-4471"
    body = f'{{"message": ["{key} may not use {token}"]}}'
    sandbox.faults.inject("status", status=400, body=body)
    call = Request("POST", LIST, body={"continuationToken": token}, secret=token)
    with pytest.raises(RequestRejectedError) as caught:
        connect(sandbox.url, key=key).request(call, lambda reply: reply)
    assert "'*** may not use ***'" in str(caught.value)


@pytest.mark.parametrize("form", ["/files/{0}/a.csv", "{0}", "files%2f{0}", "<Code>{0}</Code>"])
def test_no_message_repeats_a_token_in_the_path_of_a_file(
    transport: Transport, sandbox: Sandbox, form: str
) -> None:
    token = "Canary77pathTOKEN"  # noqa: S105
    sandbox.faults.inject("status", path="/files/*", status=403, body=f"no {form.format(token)}")
    with pytest.raises(FileError, match=r"HTTP 403, 'no .*\*\*\*") as caught:
        transport.download(f"{sandbox.url}/files/{token}/a.csv", lambda reply: reply)
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize(
    "link",
    [
        "http://api.invalid/tenant1/../tenant2/steal",
        "http://api.invalid/tenant1/%2e%2E/tenant2/steal",
        "http://api.invalid/tenant1/v2\\..\\..\\tenant2",
        "http://api.invalid/tenant1/v2%2f..%5c../tenant2",
        "../../tenant2/steal",
        "/tenant2/steal",
        "http://api.invalid/tenant12/steal",
    ],
)
def test_a_link_out_of_the_api_is_rejected(connect: Connect, link: str) -> None:
    message = r"GET /v2/x: the link .* leads out of the API"
    with pytest.raises(MalformedResponseError, match=message):
        connect("http://api.invalid/tenant1").resolve_link(link, "/v2/x")


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("y?page=2&at=../..", "/v2/y?page=2&at=../.."),
        ("../v2/y", "/v2/y"),
        ("?page=2", "/v2/x?page=2"),
        ("/tenant1/v2/a..b/...", "/v2/a..b/..."),
        ("http://api.invalid/tenant1/v2/x?page=2", "/v2/x?page=2"),
    ],
)
def test_a_link_within_the_api_is_followed(connect: Connect, link: str, path: str) -> None:
    assert connect("http://api.invalid/tenant1").resolve_link(link, "/v2/x") == path


def test_a_request_is_named_in_one_short_line() -> None:
    assert str(Request("GET", "/v2/x\x1b[31m\u2028\x0b?org=a")) == "GET /v2/x [31m"
    assert len(str(Request("GET", "/" + "A" * 7_000))) == 200


def test_each_try_is_logged_in_one_line(
    transport: Transport, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.inject("html", path=LIST, times=2)
    get_list(transport, sandbox)
    logged = [record.getMessage().partition(" in ")[0] for record in caplog.records]
    page = "the reply is not JSON (an HTML or XML page)"
    assert logged == [f"GET /v2/datasources: {page}; trying again"] * 2


def test_no_address_is_logged_at_any_level(
    transport: Transport, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
    sandbox.faults.inject("drop", path="/files/*")
    with pytest.raises(FileError):
        transport.download(f"{sandbox.url}/files/a?X-Amz-Signature=canary", lambda reply: reply)
    assert "canary" not in caplog.text
    assert "trying again" in caplog.text


def test_connections_are_kept_and_used_again(
    transport: Transport, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def count(address: tuple[str, int], *more: Any, **options: Any) -> socket.socket:  # noqa: ANN401
        opened.append(f"http://{address[0]}:{address[1]}")
        return create_connection(address, *more, **options)

    monkeypatch.setattr("urllib3.util.connection.create_connection", count)
    for _ in range(5):
        get_list(transport, sandbox)
    assert opened.count(sandbox.url) == 1
