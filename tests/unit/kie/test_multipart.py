"""Test `multipart`: files are sent in pieces, and only if they did not change since the check."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx
import pytest

from kling_nb.errors import MediaError
from kling_nb.kie.multipart import MultipartUpload

CONTENT = bytes(range(256)) * 1_000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of four pieces."""
    path = tmp_path / "walk.mp4"
    path.write_bytes(CONTENT)
    return path


def send(upload: MultipartUpload) -> tuple[httpx.Request, list[tuple[int, int | None]]]:
    """Send an upload; return the request as received, and its progress."""
    arrived: list[httpx.Request] = []
    progress: list[tuple[int, int | None]] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        await request.aread()
        arrived.append(request)
        return httpx.Response(200)

    async def play() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            url = "https://upload.example/"
            with upload.packed(http, url, lambda *at: progress.append(at)) as request:
                await http.send(request)

    asyncio.run(play())
    return arrived[0], progress


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
        assert len([sent for sent, _ in progress if sent]) > 4
        assert progress == sorted(progress)
        assert progress[0][0] < len(body) // 2


def test_a_file_is_never_held_as_a_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read piece by piece."""
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("read as a whole"))
    sizes: list[int] = []
    real = asyncio.to_thread

    async def count(function: object, *args: object) -> object:
        piece = await real(function, *args)  # type: ignore[arg-type]
        sizes.append(len(piece))
        return piece

    monkeypatch.setattr("asyncio.to_thread", count)
    send(MultipartUpload(file, "a.mp4", "video/mp4", SHA))
    assert max(sizes) <= 65_536


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
