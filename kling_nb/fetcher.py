"""Files from anywhere, without the key: clips, and what a person names by URL.

Owns the httpx settings that all requests of this package share. It never holds the key, so that
no redirect and no host can get it.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from . import __version__
from .errors import AnswerLost, LedgerError, MediaError, NotSent, ServiceError, Unreachable

__all__ = [
    "NEVER_SENT",
    "Fetcher",
    "Progress",
    "Received",
    "Transport",
    "check_open",
    "open_http",
    "read_number",
    "reason",
]

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""What httpx raises when a request surely did not leave: no name, no connection, no TLS."""

Transport = httpx.AsyncBaseTransport
"""What carries requests: the network, or a stand-in."""

Progress = Callable[[int, int | None], None]
"""Called with bytes so far and bytes in all, the latter None where the server does not tell."""

_USER_AGENT = f"kling_nb/{__version__}"
"""A bare library User-Agent gets 403 `error code: 1010` (source: C)."""

_IN_FLIGHT = 4
_CLIP_LIMIT_BYTES = 2_000_000_000
_DIGITS = 15
"""No honest header has more."""


@dataclass(frozen=True, slots=True)
class Received:
    """A file that arrived whole."""

    size_bytes: int
    sha256: str
    mime_type: str


def open_http(
    *, timeout: httpx.Timeout, transport: Transport | None, keepalive: int = 8
) -> httpx.AsyncClient:
    """An httpx client as this package uses it: own User-Agent, a pool that never makes wait."""
    return httpx.AsyncClient(
        headers={"User-Agent": _USER_AGENT},
        timeout=timeout,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=keepalive),
        transport=transport,
        follow_redirects=False,
    )


def check_open(http: httpx.AsyncClient) -> None:
    """See that nothing is sent by a session that is over; httpx itself says RuntimeError.

    Raises:
        LedgerError: The session was closed.
    """
    if http.is_closed:
        raise LedgerError("this session was closed; use the one that took its place")


class Fetcher:
    """GETs without a key.

    Args:
        transport: Replaces the network, for the emulator and for tests. None is the real one.
    """

    def __init__(self, *, transport: Transport | None = None) -> None:
        self._http = open_http(timeout=httpx.Timeout(30.0, connect=15.0), transport=transport)
        # Requests queue here: httpx itself collapses when many wait for its pool.
        self._turn = asyncio.Semaphore(_IN_FLIGHT)

    async def download(self, url: str, path: Path, progress: Progress | None = None) -> Received:
        """Fetch a file without the key and write it to `path`; whole, or an error.

        Raises:
            Unreachable: It broke off, or is shorter than its Content-Length.
            ServiceError: HTTP status other than 200, e.g. 404 for a result that has expired.
        """
        digest = hashlib.sha256()
        received = 0
        async with self._turn, self._stream(url) as response:
            total = _length(response)
            with path.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    await asyncio.to_thread(file.write, chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    if received > _CLIP_LIMIT_BYTES:
                        raise MediaError(f"{url} is larger than {_CLIP_LIMIT_BYTES / 1e9:g} GB")
                    if progress is not None:
                        progress(received, total)
        if total is not None and received != total:
            raise AnswerLost(f"{received:,} of {total:,} bytes arrived")
        mime_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Received(received, digest.hexdigest(), mime_type)

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """What a person named by URL, fetched once and without the key.

        Raises:
            MediaError: It cannot be had; the message says why.
        """
        content = bytearray()
        try:
            async with self._turn, self._stream(url) as response:
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > max_bytes:
                        raise MediaError(f"{url} is larger than {max_bytes / 1e6:g} MB")
        except (Unreachable, ServiceError, ValueError) as error:
            raise MediaError(f"{url} could not be fetched: {error}") from None
        return bytes(content)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    @asynccontextmanager
    async def _stream(self, url: str) -> AsyncIterator[httpx.Response]:
        check_open(self._http)
        try:
            async with self._http.stream("GET", url, follow_redirects=True) as response:
                if response.status_code != 200:
                    code = response.status_code
                    raise ServiceError(code, f"HTTP {code}", advice=f"{url} is not there.")
                yield response
        except NEVER_SENT as error:
            raise NotSent(f"{httpx.URL(url).host}: {reason(error)}") from None
        except httpx.InvalidURL as error:
            raise MediaError(f"{url!r} is not a URL: {error}") from None
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise AnswerLost(f"{httpx.URL(url).host}: {reason(error)}") from None


def _length(response: httpx.Response) -> int | None:
    encoded = response.headers.get("content-encoding")
    return None if encoded else read_number(response, "content-length")


def read_number(response: httpx.Response, header: str) -> int | None:
    """The whole number that a header holds; None where it holds none."""
    text = response.headers.get(header, "").strip()
    # `isdigit` alone takes in superscripts, which `int` does not.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def reason(error: Exception) -> str:
    """An exception in words, without its request."""
    return f"{type(error).__name__} {error}".strip()
