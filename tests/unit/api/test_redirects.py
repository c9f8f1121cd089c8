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
from tests.support.file_server import Host, hang_up, host, reply
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


def ask(transport: Transport, call: Request = GET) -> Any:  # noqa: ANN401
    return transport.request(call, lambda answer: read_json(answer.body))


def redirect(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: reply(handler, b"", status, Location=to)


@contextmanager
def encrypted() -> Iterator[Host]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with host(reply, tls) as here:
        yield here


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [GET, POST], ids=str)
def test_the_key_stays_behind_when_a_redirect_leads_to_another_host(
    connect: Connect, call: Request, status: int
) -> None:
    with host(reply) as there, host(redirect(f"{there.url}/y", status)) as here:
        assert ask(connect(here.url), call) == {}
    assert here.asked[0].headers[KEY] == "sandbox-key"
    (asked,) = there.asked
    assert KEY not in asked.headers
    assert "sandbox-key" not in str(asked)


def test_the_key_does_not_come_back_by_a_second_redirect(connect: Connect) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/x":
            redirect(f"{there.url}/y")(handler)
        else:
            reply(handler)

    def send_back(handler: BaseHTTPRequestHandler) -> None:
        redirect(f"{here.url}/z")(handler)

    with host(answer) as here, host(send_back) as there:
        ask(connect(here.url))
    assert [KEY in asked.headers for asked in [*here.asked, *there.asked]] == [True, False, False]


def test_a_redirect_on_the_same_host_takes_the_key_along(connect: Connect) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/x":
            redirect("/y")(handler)
        else:
            reply(handler)

    with host(answer) as here:
        ask(connect(here.url))
    assert [asked.headers[KEY] for asked in here.asked] == ["sandbox-key"] * 2


@pytest.mark.parametrize("call", [GET, POST], ids=str)
def test_a_redirect_out_of_encryption_is_not_followed(
    connect: Connect, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, call: Request
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with (
        host(reply) as plain,
        host(redirect(plain.url), tls) as here,
        pytest.raises(UnavailableError, match="/x: a redirect out of encryption, which is not"),
    ):
        ask(connect(here.url), call)
    assert here.asked[0].headers[KEY] == "sandbox-key"
    assert not plain.asked
    assert not clock.pauses


def test_the_body_of_a_redirect_is_not_read(connect: Connect) -> None:
    def lead_on(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", there.url)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 1000)

    with host(reply) as there, host(lead_on) as here:
        assert ask(connect(here.url)) == {}


def test_no_cookie_is_kept(connect: Connect) -> None:
    with host(lambda handler: reply(handler, Set_Cookie="a=b")) as here:
        transport = connect(here.url)
        ask(transport)
        ask(transport)
    assert [asked.headers.get("cookie") for asked in here.asked] == [None, None]


def test_a_circle_of_redirects_is_said(connect: Connect, clock: FakeClock) -> None:
    with (
        host(redirect("/x")) as here,
        pytest.raises(UnavailableError, match="GET /x: redirected in a circle: check the setting"),
    ):
        ask(connect(here.url))
    assert not clock.pauses


def test_files_are_fetched_without_the_key(connect: Connect) -> None:
    with host(reply) as here:
        connect(here.url).download(f"{here.url}/file", lambda answer: answer.body.close())
    assert "sandbox-key" not in str(here.asked)


def test_passwords_of_netrc_are_sent_to_nobody(connect: Connect, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login ada password swordfish\n")
    netrc.chmod(0o600)
    with host(reply) as there, host(redirect(there.url)) as here:
        transport = connect(here.url)
        ask(transport)
        transport.download(here.url, lambda answer: answer.body.close())
    for asked in [*here.asked, *there.asked]:
        assert "authorization" not in asked.headers


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy(
    connect: Connect, clock: FakeClock
) -> None:
    with encrypted() as here, pytest.raises(UnavailableError) as caught:
        ask(connect(here.url))
    assert str(caught.value) == (
        "GET /x: the server's certificate is not trusted: name your authority's file in "
        "REQUESTS_CA_BUNDLE"
    )
    assert not here.asked
    assert not clock.pauses


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_may_be_named_in_the_environment(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(CERTIFICATE))
    with encrypted() as here:
        transport = connect(here.url)
        assert ask(transport) == {}
        transport.download(here.url, lambda answer: answer.body.close())
    assert len(here.asked) == 2


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_certificates_that_is_not_there_is_said(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, variable: str
) -> None:
    monkeypatch.setenv(variable, "/nowhere/ca.pem")
    with encrypted() as here, pytest.raises(UnavailableError, match=f"certificates .*{variable}"):
        ask(connect(here.url))
    assert not clock.pauses


def test_a_report_may_be_asked_for_again_when_encryption_fails(connect: Connect) -> None:
    with host(hang_up) as plain, pytest.raises(ClarityError, match=r"connection|encrypted"):
        ask(connect(plain.url.replace("http:", "https:")), POST)
    assert not plain.asked


def forward(handler: BaseHTTPRequestHandler) -> None:
    """Pass a request on, or open a tunnel."""
    if handler.command != "CONNECT":
        reply(handler, b'{"through": "proxy"}')
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
    with host(forward) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert ask(connect("http://clarity.invalid")) == {"through": "proxy"}
    assert proxy.asked[0].target == "http://clarity.invalid/x"


def test_https_goes_through_the_proxy_in_a_tunnel_and_the_key_stays_hidden(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with encrypted() as here, host(forward) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert ask(connect(here.url)) == {}
    (tunnel,) = proxy.asked
    assert (tunnel.method, tunnel.target) == ("CONNECT", urlsplit(here.url).netloc)
    assert "sandbox-key" not in str(tunnel)
    assert here.asked[0].headers[KEY] == "sandbox-key"


def test_no_proxy_is_honoured(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(reply) as here, host(forward) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.org,localhost")
        assert ask(connect(here.url)) == {}
    assert not proxy.asked


@pytest.mark.parametrize("call", [GET, POST], ids=str)
def test_a_proxy_that_is_not_there_is_said_and_nothing_was_sent(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, call: Request
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="proxy does not let it through: check HTTPS_PROXY"):
        ask(connect("http://clarity.invalid"), call)
    assert clock.pauses


def test_an_unknown_host_is_said(connect: Connect) -> None:
    with pytest.raises(UnavailableError, match="no connection: check the network and the setting"):
        ask(connect("http://clarity.invalid"))


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
def test_a_link_that_is_none_is_said_and_not_followed(
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

    with host(misspell) as here:
        connect(here.url).download(
            f"{here.url}/?Signature=canary", lambda answer: answer.body.close()
        )
    assert "canary" not in caplog.text


def test_a_dropped_request_for_a_report_is_not_sent_again(
    connect: Connect, clock: FakeClock
) -> None:
    with host(hang_up) as here, pytest.raises(AmbiguousError):
        ask(connect(here.url), POST)
    assert len(here.asked) == 1
    assert not clock.pauses
