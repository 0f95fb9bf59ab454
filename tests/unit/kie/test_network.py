"""Test `network`: proxies, certificates and messages for failures."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from kling_nb.core.secret import Key
from kling_nb.errors import ConfigurationError, MediaError, NotSent
from kling_nb.jobs.connect import connect
from kling_nb.jobs.session import Session
from kling_nb.jobs.settings import resolve
from kling_nb.kie.client import Client
from kling_nb.kie.http import Downloader
from kling_nb.kie.network import Network, open_http
from kling_nb.notebook.doctor.environment import check_network
from kling_nb.notebook.doctor.report import examine
from tests.support.service import KEY

API = httpx.URL("https://api.kie.ai/api/v1/chat/credit")
REFUSED = [
    ("ALL_PROXY", "socks5://127.0.0.1:1080", r"socksio.*pip install"),
    ("HTTP_PROXY", "proxy.example:port", "not a proxy address"),
    ("https_proxy", "ftp://proxy.example", "not a proxy address"),
    ("HTTPS_PROXY", "http://", "not a proxy address"),
    ("HTTPS_PROXY", "http://me:s3cret@proxy.example:port", "not a proxy address"),
    ("SSL_CERT_FILE", "/no/such/file.pem", "does not exist"),
    ("SSL_CERT_DIR", "/no/such/folder", "does not exist"),
    ("SSLKEYLOGFILE", "/no/such/folder/keys.log", "cannot be used"),
]
"""Settings of the environment that httpx cannot use, and the words of the error."""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network setting of the machine that runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("SSL_CERT", "SSLKEYLOG")):
            monkeypatch.delenv(name)


@asynccontextmanager
async def serving(
    seen: list[str], text: bytes = b'{"code": 200, "data": 5}', status: bytes = b"200 OK"
) -> AsyncIterator[int]:
    """Run a server on this machine that answers each request so; give its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append("request")
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (status, len(text)) + text)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def balance(**options: Any) -> float:
    """Request the balance with a client that is closed afterwards."""
    client = Client(Key(KEY), **options)
    try:
        return await client.balance()
    finally:
        await client.aclose()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_loopback_has_no_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key for an API on this machine goes unencrypted, so it goes through no proxy."""
    seen_by_api: list[str] = []
    seen_by_proxy: list[str] = []

    async def play() -> float:
        async with serving(seen_by_api) as api, serving(seen_by_proxy) as proxy:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy}")
            return await balance(api_url=f"http://127.0.0.1:{api}")

    assert asyncio.run(play()) == 5
    assert (len(seen_by_api), len(seen_by_proxy)) == (1, 0)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "localhost", "localhost.", "[::1]", "127.1", "2130706433"]
)
def test_every_form_of_loopback_has_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the short and the odd forms that name resolution accepts."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:8080")
    assert Network().proxy_for(httpx.URL(f"http://{host}:8787/")) is None


def test_everything_else_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """By scheme, with ALL_PROXY for the rest; NO_PROXY in any of its forms excepts hosts."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:8080")
    monkeypatch.setenv("ALL_PROXY", "http://other.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,[::1],.intern.example")
    network = Network()
    assert str(network.proxy_for(API)) == "proxy.example:8080 (HTTPS_PROXY)"
    assert str(network.proxy_for(httpx.URL("http://a.example"))) == "other.example:3128 (ALL_PROXY)"
    assert network.proxy_for(httpx.URL("https://files.intern.example/a")) is None
    monkeypatch.setenv("NO_PROXY", "*")
    assert network.proxy_for(API) is None


@pytest.mark.parametrize(("variable", "value", "words"), REFUSED)
def test_unusable_settings_are_errors_live(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Live a ConfigurationError, in the doctor a warning; both name the variable, no password."""
    monkeypatch.setenv(variable, value)
    chosen = resolve(environ={}, folder=tmp_path, mode="live", api_key=KEY)
    with pytest.raises(ConfigurationError) as caught:
        connect(chosen, None, lambda: None, asyncio.sleep)  # type: ignore[arg-type, return-value]
    found = check_network()
    assert found.status == "warn"
    for text in (str(caught.value), found.message):
        assert re.search(f"(?s)^{variable}: .*{words}", text)
        assert "s3cret" not in text


@pytest.mark.parametrize(("variable", "value", "_words"), REFUSED)
def test_the_emulator_works_with_unusable_settings(
    variable: str, value: str, _words: str, monkeypatch: pytest.MonkeyPatch, open_session
) -> None:
    """In this process, and served on this machine."""
    monkeypatch.setenv(variable, value)
    assert open_session(mode="emulator").balance() == 5916

    async def play() -> float:
        async with serving([]) as port:
            return await balance(api_url=f"http://127.0.0.1:{port}")

    assert asyncio.run(play()) == 5


def test_media_by_url_with_unusable_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MediaError that names the variable; the emulator uses a placeholder instead."""
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    with pytest.raises(MediaError, match="could not be fetched: SSL_CERT_FILE: "):
        asyncio.run(Downloader().fetch("https://media.example/a.png", 1000))


def test_settings_that_break_later_are_no_unknown_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """A createTask without a connection certainly made no task."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy.example")
    outcome = asyncio.run(Client(Key(KEY)).create_task({"model": "m", "input": {}}))
    assert not isinstance(outcome, str)
    assert isinstance(outcome.error, ConfigurationError)
    assert not outcome.may_exist


def test_httpx_reads_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client opens with any settings; errors come at its use."""
    for variable, value, _ in REFUSED:
        monkeypatch.setenv(variable, value)
    assert not open_http(timeout=httpx.Timeout(1), transport=None).trust_env


def test_the_doctor_works_without_a_session(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Live with unusable settings: it names the variable and checks the rest."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://proxy.example")

    def opening() -> Session:
        return Session(mode="live", api_key=KEY, folder=tmp_path / "clips")

    found = {finding.name: finding for finding in examine(opening, "terminal")}
    assert found["Settings"].status == "bad"
    assert found["Settings"].message.startswith("HTTPS_PROXY: ")
    assert {"Python", "Folder"} <= found.keys()


def test_the_doctor_names_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows no password."""
    assert check_network().message == "no proxy"
    monkeypatch.setenv("HTTPS_PROXY", "http://me:s3cret@proxy.example:8080")
    assert check_network().message == "through proxy.example:8080 (HTTPS_PROXY)"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_ssl_context_is_built_once(
    scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For all clients and all connections of a process: it takes longer than a request."""
    certificates = shutil.copy(certifi.where(), tmp_path / "own.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    built: list[object] = []
    create = ssl.SSLContext.__new__

    def count(kind: type[ssl.SSLContext], *given: Any) -> ssl.SSLContext:
        built.append(kind)
        return create(kind, *given)

    monkeypatch.setattr(ssl.SSLContext, "__new__", count)

    async def play() -> None:
        async with serving([]) as port:
            url = f"{scheme}://127.0.0.1:{port}"
        for client in [Client(Key(KEY), api_url=url) for _ in range(2)]:
            await client.create_task({"model": "m", "input": {}})
            await client.create_task({"model": "m", "input": {}})
            await client.aclose()

    asyncio.run(play())
    assert len(built) <= 1


# --- connections -------------------------------------------------------------------------------


class KeepAlive:
    """A server that keeps connections open."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = asyncio.Semaphore(0)
        """Released for each connection that the client has closed."""
        self._serving: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of a connection."""
        self.opened += 1
        self._serving.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.closed.release()
        writer.close()
        await writer.wait_closed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Run the server until the client has closed all connections; yield its URL."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await asyncio.gather(*filter(None, self._serving))


async def get_concurrently(http: httpx.AsyncClient, url: str, count: int) -> None:
    """Send requests that all wait for a connection before the first answer is closed."""
    requests = [http.send(http.build_request("GET", url), stream=True) for _ in range(count)]
    for response in await asyncio.gather(*requests):
        assert await response.aread() == b"ok"


def test_connections_are_kept_and_used_again() -> None:
    """As many as `keepalive`; the others are closed."""
    service = KeepAlive()

    async def play() -> list[int]:
        opened = []
        async with (
            service.running() as url,
            open_http(timeout=httpx.Timeout(5), transport=None, keepalive=2) as http,
        ):
            for count in (1, 1, 4, 2, 4):
                await get_concurrently(http, url, count)
                opened.append(service.opened)
            for _ in range(4):
                await service.closed.acquire()
        return opened

    assert asyncio.run(play()) == [1, 1, 4, 4, 6]


def test_a_closed_client_closes_all_connections() -> None:
    """Including a connection whose answer was not read completely."""
    service = KeepAlive()

    async def play() -> None:
        async with service.running() as url:
            async with open_http(timeout=httpx.Timeout(5), transport=None) as http:
                await get_concurrently(http, url, 2)
                request = http.build_request("GET", url)
                response = await http.send(request, stream=True)
            for _ in range(2):
                await service.closed.acquire()
            await response.aclose()

    asyncio.run(asyncio.wait_for(play(), 30))


def test_only_a_connection_whose_answer_was_read_is_used_again() -> None:
    """Requests that fail close no other connection."""
    service, gone = KeepAlive(), KeepAlive()

    async def play() -> list[int]:
        opened = []
        async with gone.running() as closed_url:
            pass
        async with (
            service.running() as url,
            open_http(timeout=httpx.Timeout(5), transport=None, keepalive=2) as http,
        ):
            await get_concurrently(http, url, 1)
            for _ in range(3):
                with pytest.raises(httpx.ConnectError):
                    await http.get(closed_url)
            await get_concurrently(http, url, 1)
            opened.append(service.opened)
            response = await http.send(http.build_request("GET", url), stream=True)
            await response.aclose()
            await get_concurrently(http, url, 1)
            opened.append(service.opened)
        return opened

    assert asyncio.run(play()) == [1, 2]


def test_hosts_do_not_share_a_connection() -> None:
    """Requests that alternate between two hosts open one connection to each."""
    services = KeepAlive(), KeepAlive()

    async def play() -> None:
        async with (
            services[0].running() as one,
            services[1].running() as other,
            open_http(timeout=httpx.Timeout(5), transport=None) as http,
        ):
            for url in (one, other) * 3:
                await get_concurrently(http, url, 1)

    asyncio.run(play())
    assert [service.opened for service in services] == [1, 1]


# --- messages ----------------------------------------------------------------------------------


def test_a_certificate_that_is_not_trusted() -> None:
    """The error gives the reason and the variable that adds a certificate."""
    inner = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
    inner.verify_message = "self-signed certificate in certificate chain"
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.__cause__ = inner
    words = str(Network().failure(error, API))
    assert words.startswith("api.kie.ai: this machine does not trust its certificate (self-signed")
    assert "SSL_CERT_FILE" in words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("All connection attempts failed"), "could not be reached through"),
        (httpx.ProxyError("403 Forbidden"), "refused the request (403 Forbidden)"),
        (httpx.ReadError("reset"), "ReadError reset"),
    ],
)
def test_a_proxy_is_named(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy failed or passed the failure on; its password is not shown."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:s3cret@proxy.example:8080")
    text = str(Network().failure(error, API))
    assert "the proxy proxy.example:8080 (HTTPS_PROXY)" in text
    assert words in text
    assert "s3cret" not in text


def test_a_proxy_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the client, with a port that is closed."""

    async def play() -> None:
        async with serving([]) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        await balance()

    with pytest.raises(NotSent, match=r"through the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\)"):
        asyncio.run(play())


PAGE = b"<html><head><title>x</title></head><body><h1>Blocked</h1> by <b>ACME</b></body></html>"


def test_a_proxy_that_refuses_with_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the start of the page and the proxy, for the API and for media by URL."""

    async def play() -> tuple[str, str]:
        async with serving([], PAGE, b"403 Forbidden") as port:
            monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
            client, downloader = Client(Key(KEY), api_url="http://api.example"), Downloader()
            outcome = await client.create_task({"model": "m", "input": {}})
            assert not isinstance(outcome, str)
            with pytest.raises(MediaError) as caught:
                await downloader.fetch("http://media.example/a.png", 1000)
            await client.aclose()
            await downloader.aclose()
            return str(outcome.error), str(caught.value)

    for text in asyncio.run(play()):
        assert "HTTP 403" in text
        assert "Blocked by ACME" in text
        assert re.search(r"through the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\)", text)


def test_a_proxy_that_refuses_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the proxy refuses CONNECT, nothing was sent, and the error names the proxy."""

    async def play() -> None:
        async with serving([], PAGE, b"403 Forbidden") as port:
            monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
            await balance()

    words = r"the proxy 127\.0\.0\.1:\d+ \(ALL_PROXY\) refused the request \(.*403"
    with pytest.raises(NotSent, match=words):
        asyncio.run(play())


def test_the_emulator_has_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a fault of the emulator names no proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:8080")

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(NotSent, match=r"^api\.kie\.ai could not be reached \(refused\)\. "):
        asyncio.run(balance(transport=httpx.MockTransport(refuse)))


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (httpx.ConnectError("[Errno -2] Name or service not known"), "Name or service not known"),
        (httpx.ConnectError("[WinError 10061] No connection"), "No connection"),
        (httpx.ConnectTimeout(""), "no connection in time"),
    ],
)
def test_a_host_that_cannot_be_reached(error: Exception, cause: str) -> None:
    """One line: the host, the cause, that nothing was sent, and what to do."""
    failure = Network({}).failure(error, API)
    assert isinstance(failure, NotSent)
    assert failure.reason == f"api.kie.ai could not be reached ({cause})"
    assert str(failure) == (
        f"{failure.reason}. The request was not sent; check the connection and run the cell again."
    )
