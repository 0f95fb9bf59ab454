"""Write and hash a downloaded file in a worker thread, and continue it after a broken connection.

Only the process that wrote a file can continue it, because the server's validator and the hash of
the written content are kept in memory. Must not send requests.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from io import BufferedWriter
from pathlib import Path

import httpx

from kling_nb.core.files import new_file

from .bodies import announced_bytes

_BLOCK_BYTES = 1_000_000
"""Size of the blocks that a worker thread writes and hashes. For the 64 kB that arrive at once,
starting a thread takes longer than writing."""
_STRONG_DATE_AGE = timedelta(seconds=60)
"""Age at which a Last-Modified date is a strong validator. Source: RFC 7232, 2.2.2; its successor
RFC 9110, 8.8.2.2, lets the client choose the age."""


class PartFile:
    """A file that one or more transfers write.

    Args:
        url: The URL of the transfers.
        path: The path of the file.
    """

    def __init__(self, url: str, path: Path) -> None:
        self.url = url
        self.path = path
        self.size_bytes = 0
        """Number of bytes on disk."""
        self.total_bytes: int | None = None
        """The size of the whole file; None if the server does not give it."""
        self._digest = hashlib.sha256()
        self._validator = ""
        self._file: BufferedWriter | None = None
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._working: asyncio.Future[None] | None = None

    @property
    def sha256(self) -> str:
        """Return the hash of the content on disk, in hex."""
        return self._digest.hexdigest()

    async def range_headers(self) -> dict[str, str]:
        """Return the headers that request the rest; none if the whole file is needed."""
        if self._validator and self.size_bytes and await asyncio.to_thread(self._is_intact):
            return {"Range": f"bytes={self.size_bytes}-", "If-Range": self._validator}
        return {}

    def is_continued_by(self, response: httpx.Response) -> bool:
        """Return whether the body of a 206 response is the rest of this file."""
        begin, total = self.size_bytes, self.total_bytes or 0
        return (
            response.headers.get("content-range") == f"bytes {begin}-{total - 1}/{total}"
            and announced_bytes(response) == total - begin
            and response.headers.get("etag", self._validator) == self._validator
        )

    @asynccontextmanager
    async def receiving(self, response: httpx.Response) -> AsyncIterator[None]:
        """Accept the body of a response through `write`; it is on disk at the end of the block.

        A 206 response continues the file; any other response starts it again.
        """
        if response.status_code != 206:
            self._begin(response)
        try:
            await self._flush()  # creates the file
            yield
        finally:
            try:
                await self._flush()
            finally:
                await self._start(self._close)
                await self._end()

    async def write(self, piece: bytes) -> None:
        """Buffer a piece and write full blocks; wait if the disk is slower."""
        self._block.append(piece)
        self._block_bytes += len(piece)
        if self._block_bytes >= _BLOCK_BYTES:
            await self._write_block()

    async def _flush(self) -> None:
        await self._write_block()
        await self._end()

    async def _write_block(self) -> None:
        """Start to write the buffered pieces while the next ones arrive."""
        block, self._block, self._block_bytes = self._block, [], 0
        await self._start(self._append, block)

    async def _start(self, work: Callable[..., None], *given: list[bytes]) -> None:
        """Start work in a worker thread, after the previous work."""
        await self._end()
        self._working = asyncio.get_running_loop().run_in_executor(None, work, *given)

    async def _end(self) -> None:
        """Wait for the worker thread, even if cancelled, because it cannot be stopped.

        Raises:
            OSError: The block could not be written.
        """
        working, cancelled = self._working, False
        while working is not None and not working.done():
            try:
                await asyncio.wait([working])
            except asyncio.CancelledError:
                cancelled = True
        self._working = None
        error = working.exception() if working is not None else None
        if cancelled:
            raise asyncio.CancelledError
        if error is not None:
            raise error

    def _begin(self, response: httpx.Response) -> None:
        self.size_bytes, self._digest = 0, hashlib.sha256()
        self.total_bytes = announced_bytes(response)
        self._validator = _strong_validator(response.headers) if self.total_bytes else ""

    def _open(self) -> BufferedWriter:
        return self.path.open("ab") if self.size_bytes else new_file(self.path)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, block: list[bytes]) -> None:
        self._file = self._file or self._open()
        content = b"".join(block)
        self._file.write(content)
        self._digest.update(content)
        self.size_bytes += len(content)

    def _is_intact(self) -> bool:
        """Return whether the file still has the written content."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest() == self._digest.digest()
        except OSError:
            return False


def _strong_validator(headers: httpx.Headers) -> str:
    """Return the If-Range value for a file; empty if RFC 9110, 13.1.5, allows none."""
    etag: str = headers.get("etag", "")
    modified: str = headers.get("last-modified", "")
    if etag:
        return etag if etag.startswith('"') and etag.isascii() else ""
    with suppress(ValueError, TypeError, OverflowError):
        age = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(modified)
        if age >= _STRONG_DATE_AGE and modified.isascii():
            return modified
    return ""
