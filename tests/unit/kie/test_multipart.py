"""Test `multipart`: files are sent in pieces, and only if they did not change since the check."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
from io import FileIO
from pathlib import Path

import httpx
import pytest

from kling_nb.errors import MediaError
from kling_nb.kie.multipart import MultipartUpload
from kling_nb.kie.progress import ProgressReport

CONTENT = bytes(range(256)) * 10_000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three blocks."""
    path = tmp_path / "walk.mp4"
    path.write_bytes(CONTENT)
    return path


async def sending(
    upload: MultipartUpload,
) -> tuple[httpx.Request, list[tuple[int, int | None]]]:
    """Send an upload; return the request as received, and its progress."""
    progress: list[tuple[int, int | None]] = []
    seconds = itertools.count()
    report = ProgressReport(lambda *at: progress.append(at), lambda: float(next(seconds)))

    async def respond(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return httpx.Response(200)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http,
        upload.packed(http, "https://upload.example/", report) as request,
    ):
        await http.send(request)
    return request, progress


def send(upload: MultipartUpload) -> tuple[httpx.Request, list[tuple[int, int | None]]]:
    """Send an upload, as `sending`."""
    return asyncio.run(sending(upload))


def test_bytes_and_files_make_the_same_message(file: Path) -> None:
    """A multipart form of three fields, with its length in the header."""
    for content in (CONTENT, file):
        request, progress = send(MultipartUpload(content, "a.mp4", "video/mp4", SHA))
        body = request.content
        assert CONTENT in body
        assert b'name="uploadPath"\r\n\r\nkling-nb\r\n' in body
        assert b'name="fileName"\r\n\r\na.mp4\r\n' in body
        assert b'name="file"; filename="a.mp4"\r\nContent-Type: video/mp4' in body
        assert int(request.headers["content-length"]) == len(body)
        assert progress[-1] == (len(body), len(body))
        assert len(progress) > 4
        assert progress == sorted(progress)
        assert progress[0][0] < len(body) // 2


def test_a_file_is_never_held_as_a_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read a megabyte at a time: less takes longer, since a worker thread reads it."""
    read: list[int] = []
    real = FileIO.read

    class Counted(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            block = real(self, size)
            read.append(len(block))
            return block

    monkeypatch.setattr("kling_nb.kie.multipart.FileIO", Counted)
    send(MultipartUpload(file, "a.mp4", "video/mp4", SHA))
    assert max(read) <= 1_048_576
    assert len(read) <= 4


def test_a_file_that_was_changed_is_not_sent(file: Path) -> None:
    """The change is found before the body is complete: another content would be paid for."""
    file.write_bytes(CONTENT[::-1])
    with pytest.raises(MediaError, match=r"^walk\.mp4: changed before it was uploaded"):
        send(MultipartUpload(file, "a.mp4", "video/mp4", SHA))
    send(MultipartUpload(file, "a.mp4", "video/mp4"))


def test_a_file_that_is_gone(file: Path) -> None:
    """The error gives the reason."""
    file.unlink()
    with pytest.raises(MediaError, match=r"^walk\.mp4: cannot be read \(No such file"):
        send(MultipartUpload(file, "a.mp4", "video/mp4", SHA))


def test_a_file_that_grows_meanwhile(file: Path) -> None:
    """Only what was checked is sent, in the length that was announced."""
    upload = MultipartUpload(file, "a.mp4", "video/mp4", SHA)

    async def play() -> bytes:
        http = httpx.AsyncClient()
        async with http, upload.packed(http, "https://a.example/", ProgressReport(None)) as request:
            with file.open("ab") as more:
                more.write(b"more")
            return await request.aread()

    assert CONTENT + b"\r\n--" in asyncio.run(play())


def test_a_file_is_closed_after_it_was_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the connection breaks while a worker thread reads: its number could be another file's."""
    events: list[str] = []
    begun, may_read = threading.Event(), threading.Event()

    class Slow(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            begun.set()
            may_read.wait()
            block = super().read(size)
            events.append("read")
            return block

        def close(self) -> None:
            events.append("closed")
            super().close()

    monkeypatch.setattr("kling_nb.kie.multipart.FileIO", Slow)

    async def play() -> None:
        upload = MultipartUpload(file, "a.mp4", "video/mp4", SHA)
        task = asyncio.create_task(sending(upload))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        may_read.set()
        await asyncio.wait([task])

    asyncio.run(play())
    assert events[:2] == ["read", "closed"]
