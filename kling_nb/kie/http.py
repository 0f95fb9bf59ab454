"""Fetch files from any host, without the key: clips, and inputs given as URLs.

Has no access to the key, so that no redirect and no host can receive it. Limits each transfer in
time and size.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from kling_nb.core.addresses import is_local_host, without_password
from kling_nb.core.errors import (
    AnswerLost,
    ConfigurationError,
    MediaError,
    ServiceError,
    Unreachable,
)

from .bodies import Limits, announced_bytes, read_excerpt, read_pieces
from .http_log import HttpLog
from .network import Network, Transport, check_open, open_http
from .pages import page_text
from .part_file import PartFile
from .progress import Progress, ProgressReport

_IN_FLIGHT = 4
"""More downloads would share the bandwidth, and each would come closer to its time limit."""
_CLIP_LIMIT_BYTES = 2_000_000_000
_MAX_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Received:
    """A complete file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """The content of a URL that the user gave."""

    content: bytes
    is_local: bool
    """True if its host is this machine or in its network; the service cannot reach it."""


class Downloader:
    """Send GETs without a key.

    Args:
        transport: Replaces the network, for the emulator and for tests. None is the real one.
        network: Proxies, certificates and limits; None reads the environment.
        log: Keeps the last requests, without the files; None keeps them for this object alone.
    """

    def __init__(
        self,
        *,
        transport: Transport | None = None,
        network: Network | None = None,
        log: HttpLog | None = None,
    ) -> None:
        self._log = log or HttpLog()
        self._network = (network or Network()).behind(transport)
        self._limits = self._network.limits
        timeout = httpx.Timeout(self._limits.stalled_s, connect=15.0)
        self._http = open_http(timeout=timeout, transport=transport, network=self._network)
        # Requests wait here; time limits start when a request starts.
        self._turn = asyncio.Semaphore(_IN_FLIGHT)
        self.unfinished: dict[Path, PartFile] = {}
        """Unfinished files by path; the next download to the path continues the file."""

    async def download(self, url: str, path: Path, progress: Progress | None = None) -> Received:
        """Fetch a file without the key and write it to `path`.

        After an `Unreachable`, another call continues the file if the server supports ranges.

        Raises:
            Unreachable: The connection broke, the transfer took too long, or the file is
                shorter than its Content-Length.
            ServiceError: The HTTP status is not 200, e.g. 404 for an expired result.
        """
        report = ProgressReport(progress)
        async with self._turn:
            part = self.unfinished.pop(path, None)
            if part is None or part.url != url:
                part = PartFile(url, path)
            try:
                while not await self._receive(part, report):
                    part = PartFile(url, path)
            except (Unreachable, ServiceError):
                self.unfinished[path] = part
                raise
        return Received(part.size_bytes, part.sha256)

    async def fetch(self, url: str, max_bytes: int) -> Fetched:
        """Fetch the content of a URL that the user gave, once and without the key.

        Raises:
            MediaError: It cannot be fetched; the message gives the reason.
        """
        content = bytearray()
        try:
            async with self._turn, self._transfer(url, max_bytes) as transfer:
                async for piece in transfer.pieces():
                    content += piece
        except (Unreachable, ServiceError, ConfigurationError, ValueError) as error:
            shown = without_password(url)
            raise MediaError(f"{shown} could not be fetched: {error}") from None
        return Fetched(bytes(content), transfer.is_local)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _receive(self, part: PartFile, report: ProgressReport) -> bool:
        """Receive the missing part of a file; return False if the download must start again.

        Raises:
            AnswerLost: The file is still shorter than its Content-Length.
        """
        range_headers = await part.range_headers()
        async with self._transfer(part.url, _CLIP_LIMIT_BYTES, range_headers) as transfer:
            response = transfer.response
            if response.status_code != 200 and not part.is_continued_by(response):
                return False
            async with part.receiving(response):
                received_bytes = part.size_bytes
                async for piece in transfer.pieces():
                    await part.write(piece)
                    received_bytes += len(piece)
                    report.reach(received_bytes, part.total_bytes)
        if part.total_bytes not in (None, part.size_bytes):
            raise AnswerLost(f"received {part.size_bytes:,} of {part.total_bytes:,} bytes")
        return True

    @asynccontextmanager
    async def _transfer(
        self, url: str, max_bytes: int, range_headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Transfer]:
        """Send a GET and yield the response: status 200, or with a range also 206 or 416."""
        allowed = (200, 206, 416) if range_headers else (200,)
        check_open(self._http)
        try:
            async with asyncio.timeout(self._limits.transfer_s(0)) as deadline:
                response, is_local = await self._open(url, range_headers)
                async with aclosing(response):
                    if response.status_code not in allowed:
                        raise await self._refusal(response, url)
                    yield Transfer(response, is_local, max_bytes, self._limits, deadline)
        except httpx.InvalidURL as error:
            raise MediaError(f"{without_password(url)!r} is not a URL: {error}") from None
        except httpx.ReadTimeout:
            stalled_s = self._limits.stalled_s
            raise AnswerLost(
                f"{httpx.URL(url).host}: no data arrived for {stalled_s:g} s"
            ) from None
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise self._network.failure(error, httpx.URL(url)) from None
        except TimeoutError:
            raise AnswerLost(
                f"{httpx.URL(url).host}: slower than {self._limits.bytes_per_s / 1000:g} kB/s; "
                "try again later"
            ) from None

    async def _open(
        self, url: str, headers: Mapping[str, str] | None
    ) -> tuple[httpx.Response, bool]:
        """Follow redirects; return the answer, and whether it is from a local network.

        A page on the internet must not redirect to a local address: its content would be uploaded.
        """
        request = self._http.build_request("GET", url, headers=headers)
        may_be_local = is_local_host(request.url.host)
        for hop in range(_MAX_REDIRECTS):
            if is_local_host(request.url.host) and not may_be_local:
                raise _local_redirect(request.url)
            response = await self._http.send(request, stream=True)
            self._log.add(request, response)
            is_local = self._is_local_peer(response)
            may_be_local |= is_local and hop == 0
            if response.next_request is None and (may_be_local or not is_local):
                return response, may_be_local
            await response.aclose()
            if is_local and not may_be_local:
                raise _local_redirect(request.url)
            request = response.next_request or request
        raise AnswerLost(f"{request.url.host}: more than {_MAX_REDIRECTS} redirects")

    def _is_local_peer(self, response: httpx.Response) -> bool:
        """Return whether an answer comes from a local network."""
        stream = response.extensions.get("network_stream")
        if stream is None or self._network.proxy_for(response.request.url):
            return False
        peer = stream.get_extra_info("server_addr")
        return isinstance(peer, tuple) and is_local_host(str(peer[0]))

    async def _refusal(self, response: httpx.Response, url: str) -> ServiceError:
        code, page = response.status_code, page_text(await read_excerpt(response))
        message = f"HTTP {code}: {page}" if page else f"HTTP {code}"
        proxy = self._network.proxy_for(response.request.url)
        through = f" The request went through the proxy {proxy}." if proxy else ""
        advice = f"{without_password(url)} cannot be fetched.{through}"
        return ServiceError(code, message, advice=advice)


@dataclass(frozen=True, slots=True)
class Transfer:
    """An answer with limits for the size and the time of its body."""

    response: httpx.Response
    is_local: bool
    max_bytes: int
    limits: Limits
    deadline: asyncio.Timeout

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the content; its size sets the time limit.

        Raises:
            MediaError: It is larger than allowed.
        """
        started = asyncio.get_running_loop().time()
        received, total = 0, announced_bytes(self.response)
        self._allow(started, total or 0)
        async for piece in read_pieces(self.response):
            received += len(piece)
            if total is None or received > total:
                self._allow(started, received)
            yield piece

    def _allow(self, started: float, size_bytes: int) -> None:
        """Check the size, and set the time limit for it."""
        if size_bytes > self.max_bytes:
            url = without_password(str(self.response.request.url))
            raise MediaError(f"{url} is larger than {self.max_bytes / 1e6:g} MB")
        self.deadline.reschedule(started + self.limits.transfer_s(size_bytes))


def _local_redirect(url: httpx.URL) -> AnswerLost:
    return AnswerLost(
        f"it redirects to {url.host}, an address of this machine or its network; give that "
        "address itself if that is intended"
    )
