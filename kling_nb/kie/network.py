"""Open httpx clients with the environment's proxies and certificates, and describe failures.

Must not depend on the key, the service or the files to fetch. The environment is read here and not
by httpx, which sends requests for loopback addresses to a proxy and raises its own errors for
invalid settings.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import NamedTuple, cast
from urllib.request import getproxies, proxy_bypass

import httpx

from kling_nb.core.addresses import is_loopback
from kling_nb.core.errors import (
    AnswerLost,
    ConfigurationError,
    LedgerError,
    NotSent,
    Unreachable,
)
from kling_nb.core.version import __version__

from .bodies import Limits

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""httpx errors for requests that were certainly not sent: no DNS, no connection, no TLS."""

Transport = httpx.AsyncBaseTransport
"""The transport of requests: the network, or a test double."""

_USER_AGENT = f"kling_nb/{__version__}"
"""A bare library User-Agent gets 403 `error code: 1010` (source: C)."""
_IDLE_S = 5.0
"""Maximum idle time of a connection; httpx has the same default."""
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_UNTRUSTED_HERE = "this machine does not trust its certificate"
_ERROR_NUMBER = re.compile(r"^\[(Errno|WinError) -?\d+\] ")
_CERTIFICATE_SETTINGS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""The environment variables that an SSL context depends on."""


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A proxy that the environment names."""

    variable: str
    """The variable that sets it, e.g. `HTTPS_PROXY`."""
    url: str = field(repr=False)
    """May contain a user name and a password: never shown."""

    def __str__(self) -> str:
        """Return host, port and variable, without a user name or a password."""
        url = self._parse()
        port = f":{url.port}" if url.port else ""
        return f"{url.host}{port} ({self.variable})"

    def open(self, certificates: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
        """Return a transport through this proxy.

        Raises:
            ConfigurationError: httpx cannot use it; the message names the variable.
        """
        try:
            url = self._parse()
            if url.host:
                own = certificates if url.scheme == "https" else None
                proxy = httpx.Proxy(url, ssl_context=own)
                return httpx.AsyncHTTPTransport(verify=certificates, limits=limits, proxy=proxy)
        except ImportError:
            raise ConfigurationError(
                f"{self.variable}: a SOCKS proxy needs the package socksio; "
                f"`pip install 'httpx[socks]'`, or unset {self.variable}"
            ) from None
        except (httpx.InvalidURL, ValueError):
            pass
        shown = "the value" if "@" in self.url else repr(self.url[:100])
        raise ConfigurationError(
            f"{self.variable}: {shown} is not a proxy address; give http://HOST:PORT, or unset "
            f"{self.variable}"
        )

    def _parse(self) -> httpx.URL:
        return httpx.URL(self.url if "://" in self.url else f"http://{self.url}")


def _read_proxies() -> dict[str, _Proxy]:
    """Return the proxies of the environment, or of the system settings."""
    urls, proxies = getproxies(), {}
    for scheme in ("http", "https", "all"):
        if url := urls.get(scheme, "").strip():
            names = [name for name in os.environ if name.lower() == f"{scheme}_proxy"]
            names.sort(key=str.islower, reverse=True)  # as the standard library, lower case first
            variable = names[0] if names else "the proxy settings of the system"
            proxies[scheme] = _Proxy(variable, url)
    return proxies


@dataclass(frozen=True)
class Network:
    """The proxies and certificates of the environment, read when this is created.

    Each is checked at its first use, so that a session without network requests works with any
    environment.
    """

    proxies: Mapping[str, _Proxy] = field(default_factory=_read_proxies, repr=False)
    """By scheme: `http`, `https`, `all`."""
    limits: Limits = field(default_factory=Limits)
    """Limits for the duration of requests and the size of answers."""

    @cached_property
    def certificates(self) -> ssl.SSLContext:
        """Return an SSL context for SSL_CERT_FILE or SSL_CERT_DIR, or for certifi without them.

        All clients of the process with the same settings share one context.

        Raises:
            ConfigurationError: The certificates cannot be read; the message names the variable.
        """
        name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        path = os.environ.get(name, "")
        # OpenSSL accepts a missing folder, and then trusts nothing.
        if path and not (os.path.isfile if name == "SSL_CERT_FILE" else os.path.isdir)(path):
            raise ConfigurationError(f"{name}: {path!r} does not exist; correct or unset it")
        try:
            return _trusting_context(*map(os.environ.get, _CERTIFICATE_SETTINGS))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        names = [each for each in (name, "SSLKEYLOGFILE") if os.environ.get(each)]
        values = " or ".join(repr(os.environ[each]) for each in names)
        raise ConfigurationError(
            f"{' or '.join(names)}: {values} cannot be used ({reason}); correct or unset it"
        )

    def behind(self, transport: Transport | None) -> Network:
        """Return this network, without proxies if a test double replaces the network."""
        return self if transport is None else Network({}, self.limits)

    def check(self) -> None:
        """Check every proxy and the certificates.

        Raises:
            ConfigurationError: One of them cannot be used; the message names the variable.
        """
        limits = httpx.Limits()
        for proxy in self.proxies.values():
            proxy.open(self.certificates, limits)
        _ = self.certificates

    def proxy_for(self, url: httpx.URL) -> _Proxy | None:
        """Return the proxy for a URL, or None. A loopback address never has one."""
        host = url.host
        if is_loopback(host) or proxy_bypass(f"[{host}]" if ":" in host else host):
            return None
        return self.proxies.get(url.scheme) or self.proxies.get("all")

    def failure(self, error: Exception, url: httpx.URL) -> Unreachable:
        """Return our error for a failed request.

        Args:
            error: The error of httpx or of the socket.
            url: The requested URL, if the error has none; redirects may have changed it.
        """
        with suppress(AttributeError, RuntimeError):  # httpx: the request is not set
            url = cast("httpx.RequestError", error).request.url
        if not isinstance(error, _NEVER_SENT):
            return AnswerLost(f"{url.host}: {self._describe(error, url)}")
        reason = self._describe_unreached(error, url)
        failure = NotSent(f"{reason}. The request was not sent; {_advise(error)}.")
        failure.reason = reason
        return failure

    def _describe_unreached(self, error: Exception, url: httpx.URL) -> str:
        """Return why no connection was made."""
        if untrusted := _find_untrusted(error):
            return f"{url.host}: {_UNTRUSTED_HERE} ({untrusted})"
        # A timeout has no message; an error of the system begins with its number.
        cause = _ERROR_NUMBER.sub("", str(error)) or "no connection in time"
        proxy = self.proxy_for(url)
        if proxy is None:
            return f"{url.host} could not be reached ({cause})"
        if isinstance(error, httpx.ProxyError):
            return (
                f"{url.host} could not be reached: the proxy {proxy} refused the request ({cause})"
            )
        return f"{url.host} could not be reached through the proxy {proxy} ({cause})"

    def _describe(self, error: Exception, url: httpx.URL) -> str:
        """Return why the answer was lost."""
        if untrusted := _find_untrusted(error):
            return f"{_UNTRUSTED_HERE} ({untrusted}); {_advise(error)}"
        message = f"{type(error).__name__} {error}".strip()
        proxy = self.proxy_for(url)
        return message if proxy is None else f"failed through the proxy {proxy}: {message}"


class _Route(NamedTuple):
    """The scheme, host, port and proxy of a connection."""

    scheme: str
    host: str
    port: int | None
    proxy: _Proxy | None


@dataclass(frozen=True, slots=True)
class _Idle:
    """A transport with an idle connection, ready for the next request of its route."""

    route: _Route
    transport: httpx.AsyncHTTPTransport
    since_s: float
    """The time at which the connection became idle, in seconds of `time.monotonic`."""


class _Router(httpx.AsyncBaseTransport):
    """Send each request directly or through the proxy for its host, on an idle connection.

    Each transport has at most one open connection. A shared pool of httpx checks every idle
    connection at each request; with eight, that doubles the CPU time of a status request.

    Args:
        network: Proxies and certificates.
        keepalive: Maximum number of idle connections; the longest idle one is closed first.
    """

    def __init__(self, network: Network, keepalive: int) -> None:
        self._network = network
        self._keepalive = keepalive
        self._idle: list[_Idle] = []
        """Sorted by `since_s`, oldest first."""
        self._in_use: set[httpx.AsyncHTTPTransport] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            ConfigurationError: The proxy or the certificates of the environment cannot be used.
        """
        url = request.url
        route = _Route(url.scheme, url.host, url.port, self._network.proxy_for(url))
        transport = self._take_idle(route) or self._open(route)
        self._in_use.add(transport)
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await self._discard(transport)
            raise
        stream = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _Body(stream, partial(self._release, route, transport))
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        transports = [*self._in_use, *(idle.transport for idle in self._idle)]
        self._idle.clear()
        for transport in transports:
            await self._discard(transport)

    def _take_idle(self, route: _Route) -> httpx.AsyncHTTPTransport | None:
        """Remove and return the most recently used idle transport of a route, or None."""
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index].route == route:
                return self._idle.pop(index).transport
        return None

    async def _release(
        self, route: _Route, transport: httpx.AsyncHTTPTransport, was_read: bool
    ) -> None:
        """Keep a transport if its response was read to the end, else close it.

        If it is kept, close idle connections beyond the maximum number or idle time.
        """
        if transport not in self._in_use:  # the router was closed
            return
        if not was_read:
            await self._discard(transport)
            return
        now_s = time.monotonic()
        self._in_use.remove(transport)
        self._idle.append(_Idle(route, transport, now_s))
        while self._idle and (
            len(self._idle) > self._keepalive or self._idle[0].since_s < now_s - _IDLE_S
        ):
            await self._discard(self._idle.pop(0).transport)

    async def _discard(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Close a transport, and ignore errors of closing it."""
        self._in_use.discard(transport)
        with suppress(httpx.HTTPError, OSError):  # the error of the request counts
            await transport.aclose()

    def _open(self, route: _Route) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=1)
        if route.proxy is not None:
            return route.proxy.open(self._network.certificates, limits)
        # Plain HTTP must work even if the certificates of the environment are missing.
        verify = _bare_context() if route.scheme == "http" else self._network.certificates
        return httpx.AsyncHTTPTransport(verify=verify, limits=limits)


class _Body(httpx.AsyncByteStream):
    """A response body that releases its transport when it is closed.

    Args:
        stream: The body from the transport.
        release: Called when the body is closed, with True if it was read to the end.
    """

    def __init__(
        self, stream: httpx.AsyncByteStream, release: Callable[[bool], Awaitable[None]]
    ) -> None:
        self._stream = stream
        self._release = release
        self._was_read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece
        self._was_read = True

    async def aclose(self) -> None:
        """Close the body, and release its transport."""
        try:
            await self._stream.aclose()
        finally:
            await self._release(self._was_read)


@cache
def _trusting_context(*_settings: str | None) -> ssl.SSLContext:
    """Return the SSL context for these values of `_CERTIFICATE_SETTINGS`.

    Loading the certificates takes about 26 ms and would block the event loop.
    """
    return httpx.create_ssl_context()


@cache
def _bare_context() -> ssl.SSLContext:
    """Return an SSL context that trusts no certificate."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def open_http(
    *,
    timeout: httpx.Timeout,
    transport: Transport | None,
    keepalive: int = 8,
    network: Network | None = None,
) -> httpx.AsyncClient:
    """Return an httpx client with our User-Agent, no encoded bodies and unlimited connections."""
    return httpx.AsyncClient(
        headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
        timeout=timeout,
        transport=transport or _Router(network or Network(), keepalive),
        follow_redirects=False,
        trust_env=False,
    )


def check_open(http: httpx.AsyncClient) -> None:
    """Check that the session is open; httpx itself raises RuntimeError.

    Raises:
        LedgerError: The session was closed.
    """
    if http.is_closed:
        raise LedgerError("this session is closed; use the session that replaced it")


def _advise(error: Exception) -> str:
    """Return what to do if no connection was made."""
    if not _find_untrusted(error):
        return "check the connection and run the cell again"
    return (
        "if a company's proxy or a virus scanner inspects the traffic, set SSL_CERT_FILE to a PEM "
        "file that contains its certificate, and restart the kernel"
    )


def _find_untrusted(error: BaseException | None) -> str:
    """Return why a certificate was rejected; empty for another cause."""
    reason = ""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or _UNTRUSTED
        if _UNTRUSTED in str(error):
            reason = reason or str(error)
        error = error.__cause__ or error.__context__
    return reason
