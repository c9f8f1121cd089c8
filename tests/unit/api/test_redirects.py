"""On the way: redirects, certificates and proxies, and what the API key does there."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tap_clarity.api.errors import AmbiguousError, ClarityError, UnavailableError
from tap_clarity.api.response_body import read_json
from tap_clarity.api.transport import Request
from tests.support.http_server import HttpServer, drop_connection, send_response, serve_http
from tests.support.paths import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tap_clarity.api.transport import Transport
    from tests.support.api_types import Connect
    from tests.support.fake_clock import FakeClock

CERTIFICATE = DATA / "localhost.pem"
"""Of localhost, by itself, until 2124; with its key, which opens nothing else."""
KEY = "x-api-key"
GET = Request("GET", "/x")
POST = Request("POST", "/x", body={"a": 1}, is_idempotent=False)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxies, certificates or passwords of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def send(transport: Transport, call: Request = GET) -> Any:  # noqa: ANN401
    return transport.request(call, lambda answer: read_json(answer.body))


def redirect(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send_response(handler, b"", status, Location=to)


@contextmanager
def encrypted() -> Iterator[HttpServer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with serve_http(send_response, tls) as here:
        yield here


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [GET, POST], ids=str)
def test_the_key_stays_behind_when_a_redirect_leads_to_another_host(
    connect: Connect, call: Request, status: int
) -> None:
    with serve_http(send_response) as there, serve_http(redirect(f"{there.url}/y", status)) as here:
        assert send(connect(here.url), call) == {}
    assert here.requests[0].headers[KEY] == "sandbox-key"
    (asked,) = there.requests
    assert KEY not in asked.headers
    assert "sandbox-key" not in str(asked)


def test_the_key_does_not_come_back_by_a_second_redirect(connect: Connect) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/x":
            redirect(f"{there.url}/y")(handler)
        else:
            send_response(handler)

    def send_back(handler: BaseHTTPRequestHandler) -> None:
        redirect(f"{here.url}/z")(handler)

    with serve_http(answer) as here, serve_http(send_back) as there:
        send(connect(here.url))
    assert [KEY in asked.headers for asked in [*here.requests, *there.requests]] == [
        True,
        False,
        False,
    ]


def test_a_redirect_on_the_same_host_takes_the_key_along(connect: Connect) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/x":
            redirect("/y")(handler)
        else:
            send_response(handler)

    with serve_http(answer) as here:
        send(connect(here.url))
    assert [asked.headers[KEY] for asked in here.requests] == ["sandbox-key"] * 2


@pytest.mark.parametrize("call", [GET, POST], ids=str)
def test_a_redirect_out_of_encryption_is_not_followed(
    connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, call: Request
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with (
        serve_http(send_response) as plain,
        serve_http(redirect(plain.url), tls) as here,
        pytest.raises(UnavailableError, match="/x: a redirect out of encryption, which is not"),
    ):
        send(connect(here.url), call)
    assert here.requests[0].headers[KEY] == "sandbox-key"
    assert not plain.requests
    assert not clock.pauses


def test_the_body_of_a_redirect_is_not_read(connect: Connect) -> None:
    def lead_on(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", there.url)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 1000)

    with serve_http(send_response) as there, serve_http(lead_on) as here:
        assert send(connect(here.url)) == {}


def test_no_cookie_is_kept(connect: Connect) -> None:
    with serve_http(lambda handler: send_response(handler, Set_Cookie="a=b")) as here:
        transport = connect(here.url)
        send(transport)
        send(transport)
    assert [asked.headers.get("cookie") for asked in here.requests] == [None, None]


def test_no_cookie_is_sent_along_a_chain_of_redirects(connect: Connect) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        to = {"/x": f"{there.url}/y", "/z": "/end"}.get(handler.path)
        if to:
            send_response(handler, b"", 302, Location=to, Set_Cookie=f"a{handler.path[1:]}=b")
        else:
            send_response(handler)

    def send_back(handler: BaseHTTPRequestHandler) -> None:
        send_response(handler, b"", 302, Location=f"{here.url}/z", Set_Cookie="c=d; Path=/")

    with serve_http(answer) as here, serve_http(send_back) as there:
        send(connect(here.url))
    assert [asked.target for asked in here.requests] == ["/x", "/z", "/end"]
    for asked in [*here.requests, *there.requests]:
        assert "cookie" not in asked.headers


def test_a_circle_of_redirects_is_an_error(connect: Connect, clock: FakeClock) -> None:
    with (
        serve_http(redirect("/x")) as here,
        pytest.raises(UnavailableError, match="GET /x: redirected in a circle: check the setting"),
    ):
        send(connect(here.url))
    assert not clock.pauses


def test_files_are_fetched_without_the_key(connect: Connect) -> None:
    with serve_http(send_response) as here:
        connect(here.url).download(f"{here.url}/file", lambda answer: answer.body.close())
    assert "sandbox-key" not in str(here.requests)


def test_passwords_of_netrc_are_sent_to_nobody(connect: Connect, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login ada password swordfish\n")
    netrc.chmod(0o600)
    with serve_http(send_response) as there, serve_http(redirect(there.url)) as here:
        transport = connect(here.url)
        send(transport)
        transport.download(here.url, lambda answer: answer.body.close())
    for asked in [*here.requests, *there.requests]:
        assert "authorization" not in asked.headers


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy(
    connect: Connect, clock: FakeClock
) -> None:
    with encrypted() as here, pytest.raises(UnavailableError) as caught:
        send(connect(here.url))
    assert str(caught.value) == (
        "GET /x: the server's certificate is not trusted: name your authority's file in "
        "REQUESTS_CA_BUNDLE"
    )
    assert not here.requests
    assert not clock.pauses


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_may_be_named_in_the_environment(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(CERTIFICATE))
    with encrypted() as here:
        transport = connect(here.url)
        assert send(transport) == {}
        transport.download(here.url, lambda answer: answer.body.close())
    assert len(here.requests) == 2


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_missing_file_of_certificates_is_an_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, variable: str
) -> None:
    monkeypatch.setenv(variable, "/nowhere/ca.pem")
    with encrypted() as here, pytest.raises(UnavailableError, match=f"certificates .*{variable}"):
        send(connect(here.url))
    assert not clock.pauses


def test_a_report_may_be_asked_for_again_when_encryption_fails(connect: Connect) -> None:
    with (
        serve_http(drop_connection) as plain,
        pytest.raises(ClarityError, match=r"connection|encrypted"),
    ):
        send(connect(plain.url.replace("http:", "https:")), POST)
    assert not plain.requests


def forward(handler: BaseHTTPRequestHandler) -> None:
    """Pass a request on, or open a tunnel."""
    if handler.command != "CONNECT":
        send_response(handler, b'{"through": "proxy"}')
        return
    name, port = handler.path.split(":")
    with socket.create_connection((name, int(port))) as upstream:
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        ends = [handler.connection, upstream]
        while ready := select.select(ends, [], [], 2)[0]:
            for end in ready:
                data = end.recv(65536)
                if not data:
                    return
                ends[end is handler.connection].sendall(data)


def test_http_goes_through_the_proxy_of_the_environment(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_http(forward) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert send(connect("http://clarity.invalid")) == {"through": "proxy"}
    assert proxy.requests[0].target == "http://clarity.invalid/x"


def test_https_goes_through_the_proxy_in_a_tunnel_and_the_key_stays_hidden(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with encrypted() as here, serve_http(forward) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert send(connect(here.url)) == {}
    (tunnel,) = proxy.requests
    assert (tunnel.method, tunnel.target) == ("CONNECT", urlsplit(here.url).netloc)
    assert "sandbox-key" not in str(tunnel)
    assert here.requests[0].headers[KEY] == "sandbox-key"


def test_no_proxy_is_honoured(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_http(send_response) as here, serve_http(forward) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.org,localhost")
        assert send(connect(here.url)) == {}
    assert not proxy.requests


@pytest.mark.parametrize("call", [GET, POST], ids=str)
def test_a_missing_proxy_is_an_error_and_nothing_was_sent(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, call: Request
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="proxy does not let it through: check HTTPS_PROXY"):
        send(connect("http://clarity.invalid"), call)
    assert clock.pauses


def test_an_unknown_host_is_an_error(connect: Connect) -> None:
    with pytest.raises(UnavailableError, match="no connection: check the network and the setting"):
        send(connect("http://clarity.invalid"))


LINKS = {
    "https://clarity.invalid": ["http://localhost:1/a", "http://clarity.invalid/a"],
    "http://clarity.invalid": [
        "file:///etc/hostname",
        "ftp://localhost/a",
        "HTTP",
        "//localhost/a",
    ],
}
NO_LINKS = [
    "",
    "no address",
    "http://",
    "http://a:b",
    "http://[",
    "https:a",
    "https://?a",
    "data:,a",
]


@pytest.mark.parametrize(
    ("url", "link"),
    [(url, link) for url, links in LINKS.items() for link in [*links, *NO_LINKS]],
)
def test_a_link_that_is_none_is_an_error_and_not_followed(
    connect: Connect, clock: FakeClock, url: str, link: str
) -> None:
    with pytest.raises(
        UnavailableError, match=r"file download: its link is no (\w+ or )?https add"
    ):
        connect(url).download(link, lambda answer: answer)
    assert not clock.pauses


def test_what_a_server_does_wrong_in_its_headers_is_not_logged_with_the_address(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    def misspell(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")

    with serve_http(misspell) as here:
        connect(here.url).download(
            f"{here.url}/?Signature=canary", lambda answer: answer.body.close()
        )
    assert "canary" not in caplog.text


def test_a_dropped_request_for_a_report_is_not_sent_again(
    connect: Connect, clock: FakeClock
) -> None:
    with serve_http(drop_connection) as here, pytest.raises(AmbiguousError):
        send(connect(here.url), POST)
    assert len(here.requests) == 1
    assert not clock.pauses
