"""Test `part_file`: a download that was cut continues where it ended, and is never corrupt."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_nb.errors import AnswerLost, ServiceError
from kling_nb.kie.http import Downloader, Received

URL = "https://tempfile.example/k/a.mp4"
CONTENT = bytes(range(256)) * 1_000
SHA = hashlib.sha256(CONTENT).hexdigest()
CUT = 200_000
ETAG = '"5d41402abc4b2a76"'
MODIFIED = "Fri, 20 Nov 2026 12:00:00 GMT"
MINUTE_LATER = "Fri, 20 Nov 2026 12:01:00 GMT"


@dataclass
class Body(httpx.AsyncByteStream):
    """A body in packets of 64 kB, which may be cut."""

    content: bytes
    cut_at: int | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the packets."""
        shown = self.content[: self.cut_at]
        for begin in range(0, len(shown), 65_536):
            yield shown[begin : begin + 65_536]
        if self.cut_at is not None:
            raise httpx.ReadError("reset")


@dataclass
class Server:
    """A file server that cuts its first answer and then supports ranges."""

    headers: dict[str, str] = field(default_factory=lambda: {"ETag": ETAG})
    later: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    """Replaces answers after the first; None is the usual one."""
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        if len(self.requests) == 1:
            length = {"Content-Length": str(len(CONTENT))}
            return httpx.Response(200, headers=length | self.headers, stream=Body(CONTENT, CUT))
        return self.later(request) or self.rest(request)

    def rest(self, request: httpx.Request, **changes: str) -> httpx.Response:
        """Return the requested range, or the whole file."""
        begin = int(request.headers.get("range", "bytes=0-")[6:-1])
        end = f"{len(CONTENT) - 1}/{len(CONTENT)}"
        headers = {"Content-Length": str(len(CONTENT) - begin), **self.headers}
        if begin:
            headers |= {"Content-Range": f"bytes {begin}-{end}"} | changes
        status = 206 if begin else 200
        return httpx.Response(status, headers=headers, stream=Body(CONTENT[begin:]))

    def downloader(self) -> Downloader:
        """Return a downloader of this server."""
        return Downloader(transport=httpx.MockTransport(self))

    @property
    def ranges(self) -> list[str | None]:
        """Return the ranges that were requested; None for a whole file."""
        return [request.headers.get("range") for request in self.requests]


def fetch_twice(
    server: Server, path: Path, between: Callable[[], object] = lambda: None, url: str = URL
) -> Received:
    """Download a file, which is cut, then download it again."""

    async def play() -> Received:
        downloader = server.downloader()
        with pytest.raises(AnswerLost, match="reset"):
            await downloader.download(URL, path)
        between()
        return await downloader.download(url, path)

    received = asyncio.run(play())
    assert path.read_bytes() == CONTENT
    assert (received.size_bytes, received.sha256) == (len(CONTENT), SHA)
    return received


REST, WHOLE = [None, f"bytes={CUT}-"], [None, None]


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": ETAG}, ETAG),
        ({"ETag": ETAG, "Last-Modified": MODIFIED, "Date": MINUTE_LATER}, ETAG),
        ({"Last-Modified": MODIFIED, "Date": MINUTE_LATER}, MODIFIED),
    ],
    ids=["etag", "both", "date"],
)
def test_only_the_rest_is_downloaded(
    headers: dict[str, str], validator: str, tmp_path: Path
) -> None:
    """After a cut, if the server gave a strong validator, the ETag before the date."""
    server = Server(headers)
    fetch_twice(server, tmp_path / "a")
    assert server.ranges == REST
    assert server.requests[1].headers["if-range"] == validator


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": f"W/{ETAG}"},
        {"ETag": f"W/{ETAG}", "Last-Modified": MODIFIED, "Date": MINUTE_LATER},
        {"ETag": "unquoted"},
        {"Last-Modified": MODIFIED},
        {"Last-Modified": MODIFIED, "Date": "Fri, 20 Nov 2026 12:00:59 GMT"},
        {"Last-Modified": "yesterday", "Date": MINUTE_LATER},
        {"Last-Modified": MODIFIED, "Date": "Fri, 20 Nov 2026 12:01:00 -0000"},
        {"ETag": ETAG, "Content-Length": "many"},
    ],
    ids=str,
)
def test_without_a_strong_validator_the_whole_file_is_downloaded(
    headers: dict[str, str], tmp_path: Path
) -> None:
    """A weak ETag or a recent date may belong to two contents (RFC 9110, 13.1.5)."""
    server = Server(headers)
    fetch_twice(server, tmp_path / "a")
    assert server.ranges == WHOLE


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 416),
        ({"Content-Range": f"bytes {CUT - 1}-{len(CONTENT) - 1}/{len(CONTENT)}"}, 206),
        ({"Content-Range": f"bytes {CUT}-{len(CONTENT) - 2}/{len(CONTENT)}"}, 206),
        ({"Content-Range": f"bytes {CUT}-{len(CONTENT)}/{len(CONTENT) + 1}"}, 206),
        ({"Content-Range": f"bytes {CUT}-{len(CONTENT) - 1}/*"}, 206),
        ({"Content-Range": "many"}, 206),
        ({"Content-Length": "7"}, 206),
        ({"ETag": '"another"'}, 206),
        ({"Content-Encoding": "gzip"}, 206),
    ],
    ids=str,
)
def test_a_server_that_cannot_continue_the_file(
    changes: dict[str, str], status: int, tmp_path: Path
) -> None:
    """The whole file is downloaded in the same call."""

    def later(request: httpx.Request) -> httpx.Response | None:
        if "range" not in request.headers:
            return None
        return server.rest(request, **changes) if status == 206 else httpx.Response(status)

    server = Server(later=later)
    fetch_twice(server, tmp_path / "a")
    assert server.ranges == [*REST, None]


def test_a_server_that_sends_the_whole_file(tmp_path: Path) -> None:
    """It does not support ranges, or the file has changed: a 200 answer begins again."""
    answer = {"Content-Length": str(len(CONTENT)), "ETag": '"another"'}
    server = Server(later=lambda _: httpx.Response(200, headers=answer, stream=Body(CONTENT)))
    fetch_twice(server, tmp_path / "a")
    assert server.ranges == REST


@pytest.mark.parametrize(
    "content",
    [b"x" * CUT, CONTENT[: CUT - 1], b"", None],
    ids=["other bytes", "shorter", "empty", "deleted"],
)
def test_a_file_that_was_changed_is_not_continued(content: bytes | None, tmp_path: Path) -> None:
    """By another program, or removed: the whole file is downloaded."""
    path, server = tmp_path / "a", Server()
    change = path.unlink if content is None else lambda: path.write_bytes(content)
    fetch_twice(server, path, change)
    assert server.ranges == WHOLE


def test_another_url_is_another_file(tmp_path: Path) -> None:
    """An ETag belongs to its URL."""
    server = Server()
    fetch_twice(server, tmp_path / "a", url=f"{URL}?fresh")
    assert server.ranges == WHOLE


def test_another_process_begins_again(tmp_path: Path) -> None:
    """A killed kernel leaves a file of unknown content."""
    (tmp_path / "a").write_bytes(CONTENT[:CUT])
    server = Server()
    with pytest.raises(AnswerLost):
        asyncio.run(server.downloader().download(URL, tmp_path / "a"))
    received = asyncio.run(server.downloader().download(URL, tmp_path / "a"))
    assert (server.ranges, received.sha256) == (WHOLE, SHA)


def test_a_file_that_is_cut_again_and_again(tmp_path: Path) -> None:
    """Each byte is downloaded once; an error page in between loses nothing."""
    path, size = tmp_path / "a", len(CONTENT)

    def later(request: httpx.Request) -> httpx.Response | None:
        if len(server.requests) == 3:
            return httpx.Response(503)
        begin = int(request.headers["range"][6:-1])
        headers = {
            "Content-Length": str(size - begin),
            "Content-Range": f"bytes {begin}-{size - 1}/{size}",
        }
        return httpx.Response(206, headers=headers, stream=Body(CONTENT[begin:], 20_000))

    server = Server(later=later)

    async def play() -> Received:
        downloader = server.downloader()
        for error in (AnswerLost, AnswerLost, ServiceError, AnswerLost):
            with pytest.raises(error):
                await downloader.download(URL, path)
        server.later = lambda _: None
        return await downloader.download(URL, path)

    assert asyncio.run(play()).sha256 == SHA
    assert path.read_bytes() == CONTENT
    begins = [CUT, CUT + 20_000, CUT + 20_000, CUT + 40_000]
    assert server.ranges == [None, *(f"bytes={begin}-" for begin in begins)]


class Workers(ThreadPoolExecutor):
    """Worker threads that count their tasks."""

    count = 0

    def submit(self, *given: Any, **named: Any) -> Future[Any]:
        """Count a task."""
        self.count += 1
        return super().submit(*given, **named)


def test_a_megabyte_is_written_at_a_time(tmp_path: Path) -> None:
    """A worker thread for each packet would take more time than the transfer."""
    content, workers = CONTENT * 40, Workers(2)
    response = httpx.Response(200, stream=Body(content))

    async def play() -> Received:
        asyncio.get_running_loop().set_default_executor(workers)
        downloader = Downloader(transport=httpx.MockTransport(lambda _: response))
        return await downloader.download(URL, tmp_path / "a")

    received = asyncio.run(play())
    assert (tmp_path / "a").read_bytes() == content
    assert received.sha256 == hashlib.sha256(content).hexdigest()
    assert workers.count <= len(content) / 1_000_000 + 5


def test_a_download_ends_after_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is cancelled: the file is closed, and no next step overlaps."""
    begun, may_open = threading.Event(), threading.Event()
    files: list[BufferedWriter] = []

    def open_slowly(path: Path) -> BufferedWriter:
        begun.set()
        may_open.wait()
        files.append(path.open("wb"))
        return files[0]

    monkeypatch.setattr("kling_nb.kie.part_file.new_file", open_slowly)

    async def play() -> bool:
        task = asyncio.create_task(Server().downloader().download(URL, tmp_path / "a"))
        await asyncio.to_thread(begun.wait)
        for _ in range(5):
            task.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
        ended_early = task.done()
        may_open.set()
        await asyncio.wait([task])
        return ended_early or not task.cancelled()

    assert not asyncio.run(play())
    assert files[0].closed
