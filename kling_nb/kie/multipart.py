"""Multipart bodies: send a file in pieces, report progress, check that the file has not changed.

A video of 100 MB is never completely in memory. Must not depend on the service or on jobs.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO, cast

import httpx

from kling_nb.core.errors import MediaError

from .progress import Progress

UPLOAD_FOLDER = "kling-nb"
"""Sent as `uploadPath`, without a slash at either end (source: D)."""


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """A file to upload."""

    content: bytes | Path
    """The content, or the path of the file."""
    name: str
    mime_type: str
    sha256: str = ""
    """The expected hash of the content; empty for no check."""

    @property
    def size_bytes(self) -> int:
        """Return the size of the content; 0 if its file is missing."""
        if isinstance(self.content, bytes):
            return len(self.content)
        try:
            return self.content.stat().st_size
        except OSError:
            return 0

    @contextmanager
    def packed(
        self, http: httpx.AsyncClient, url: str, progress: Progress | None
    ) -> Iterator[httpx.Request]:
        """Yield the upload request, which can be sent once, and keep the file open.

        Raises:
            MediaError: The file cannot be read, or has changed.
        """
        with self._opened() as file:
            multipart = http.build_request(
                "POST",
                url,
                data={"uploadPath": UPLOAD_FOLDER, "fileName": self.name},
                files={"file": (self.name, file, self.mime_type)},
            )
            names = ("content-type", "content-length")
            yield http.build_request(
                "POST",
                url,
                headers={name: multipart.headers[name] for name in names},
                content=self._pieces(multipart, progress),
            )

    def _opened(self) -> BinaryIO:
        if isinstance(self.content, bytes):
            return BytesIO(self.content)
        try:
            return cast("BinaryIO", _CheckedFile(self.content, self.sha256))
        except OSError as error:
            raise MediaError(
                f"{self.content.name}: cannot be read ({error.strerror}); select the file again"
            ) from None

    async def _pieces(
        self, multipart: httpx.Request, progress: Progress | None
    ) -> AsyncIterator[bytes]:
        """Yield the body in pieces and report the progress after each."""
        pieces = iter(cast("httpx.SyncByteStream", multipart.stream))
        total, sent = int(multipart.headers["content-length"]), 0
        # In a worker thread: the disk may be slow.
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
            sent += len(piece)
            if progress is not None:
                progress(sent, total)


class _CheckedFile(FileIO):
    """A file that is read once, and whose hash is checked at its end."""

    def __init__(self, path: Path, sha256: str) -> None:
        super().__init__(path)
        self._sha256 = sha256
        self._digest = hashlib.sha256()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next piece; empty at the end.

        Raises:
            MediaError: At the end, if the hash differs.
        """
        piece = super().read(size) or b""
        self._digest.update(piece)
        if not piece and self._sha256 and self._digest.hexdigest() != self._sha256:
            raise MediaError(
                f"{Path(str(self.name)).name}: changed before it was uploaded; run the cell again"
            )
        return piece
