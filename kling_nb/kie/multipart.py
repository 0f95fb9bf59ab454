"""Multipart bodies: send a file in pieces, report progress, check that the file has not changed.

A video of 100 MB is never completely in memory. Must not depend on the service or on jobs.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import httpx

from kling_nb.core.errors import MediaError

from .progress import ProgressReport

UPLOAD_FOLDER = "kling-nb"
"""Sent as `uploadPath`, without a slash at either end (source: D)."""
_BLOCK_BYTES = 1_048_576
"""Size of the blocks that a worker thread reads and hashes."""
_PIECE_BYTES = 262_144
"""Size of the pieces sent: 1 MB is not faster, and httpx allows 30 s per piece."""


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """A file to upload."""

    content: bytes | Path
    """The content, or the path of the file."""
    name: str
    mime_type: str
    sha256: str = ""
    """The expected hash of the file; empty for no check."""

    @property
    def size_bytes(self) -> int:
        """Return the size of the content; 0 if its file is missing."""
        if isinstance(self.content, bytes):
            return len(self.content)
        try:
            return self.content.stat().st_size
        except OSError:
            return 0

    @asynccontextmanager
    async def packed(
        self, http: httpx.AsyncClient, url: str, report: ProgressReport
    ) -> AsyncIterator[httpx.Request]:
        """Yield the upload request, which can be sent once, and keep the file open.

        Raises:
            MediaError: The file cannot be read, or has changed.
        """
        empty = http.build_request(
            "POST",
            url,
            data={"uploadPath": UPLOAD_FOLDER, "fileName": self.name},
            files={"file": (self.name, b"", self.mime_type)},
        )
        # The file is the last field: its content belongs before the last boundary.
        head, boundary, end = empty.read().rpartition(b"\r\n--")
        tail = boundary + end
        async with self._opened() as (size_bytes, blocks):
            total = len(head) + size_bytes + len(tail)
            yield http.build_request(
                "POST",
                url,
                headers={
                    "content-type": empty.headers["content-type"],
                    "content-length": str(total),
                },
                content=_report(_split(head, blocks, tail), total, report),
            )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Yield the size of the content and its blocks."""
        if isinstance(self.content, bytes):
            yield len(self.content), _only(self.content)
            return
        try:
            file = _CheckedFile(self.content, self.sha256)
        except OSError as error:
            raise MediaError(
                f"{self.content.name}: cannot be read ({error.strerror}); select the file again"
            ) from None
        try:
            yield file.size_bytes, file.blocks()
        finally:
            await file.aclose()


class _CheckedFile:
    """A file that a worker thread reads ahead once; its hash is checked at the end."""

    def __init__(self, path: Path, sha256: str) -> None:
        self._path = path
        self._file = FileIO(path)
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._reading: asyncio.Future[bytes] | None = None

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the content in blocks.

        Raises:
            MediaError: The hash differs; raised after the last block.
        """
        while block := await asyncio.shield(self._reading or self._read_ahead()):
            self._read_ahead()
            yield block

    async def aclose(self) -> None:
        """Close the file when no worker thread reads it any more."""
        if self._reading is not None:
            await asyncio.wait([self._reading])
            self._reading.exception()  # prevents asyncio's "never retrieved" log
        self._file.close()

    def _read_ahead(self) -> asyncio.Future[bytes]:
        self._reading = asyncio.get_running_loop().run_in_executor(None, self._read)
        return self._reading

    def _read(self) -> bytes:
        left_bytes = self.size_bytes - self._file.tell()  # the file may grow
        block = self._file.read(min(_BLOCK_BYTES, left_bytes))
        self._digest.update(block)
        if not block and self._sha256 not in ("", self._digest.hexdigest()):
            raise MediaError(
                f"{self._path.name}: changed before it was uploaded; run the cell again"
            )
        return block


async def _only(block: bytes) -> AsyncIterator[bytes]:
    yield block


async def _split(head: bytes, blocks: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    """Split a body into pieces."""
    yield head
    async for block in blocks:
        for begin in range(0, len(block), _PIECE_BYTES):
            yield block[begin : begin + _PIECE_BYTES]
    yield tail


async def _report(
    pieces: AsyncIterator[bytes], total_bytes: int, report: ProgressReport
) -> AsyncIterator[bytes]:
    """Yield the pieces, and report the progress after each is sent."""
    sent_bytes = 0
    async for piece in pieces:
        yield piece
        sent_bytes += len(piece)
        report.reach(sent_bytes, total_bytes)
