"""Uploaded files: their bytes on disk by content, their paths in the books, their 24 hours.

Must not know HTTP. Files are named by their hash, so no name from outside ever reaches the disk.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from kling_nb.emulator.permissions import make_file, make_folder

from .account import Books

__all__ = ["Upload", "Uploads", "write_whole"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded file."""

    path: str
    """Its path below the file host: `kieai/…/NAME`."""
    sha256: str
    mime_type: str
    size_bytes: int
    uploaded_at: float
    expired: bool


class Uploads:
    """The shelf of uploaded files, shared by all emulators of a folder."""

    def __init__(self, books: Books) -> None:
        """Use the folder, the clock and the terms of these books."""
        self.books = books
        self.folder = books.folder / "uploads"

    def add(self, path: str, content: bytes, mime_type: str) -> Upload:
        """Keep a file; one that was at the same path is replaced, as at the service (D)."""
        digest, now = hashlib.sha256(content).hexdigest(), self.books.clock()
        write_whole(self.folder / digest, content)
        with self.books.database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)",
                (path, digest, mime_type, len(content), now),
            )
        return Upload(path, digest, mime_type, len(content), now, expired=False)

    def find(self, path: str) -> Upload | None:
        """The upload at that path, expired or not, or None."""
        with self.books.database.reading() as connection:
            row = connection.execute("SELECT * FROM uploads WHERE path = ?", (path,)).fetchone()
        if row is None:
            return None
        age_s = self.books.clock() - row["uploaded_at"]
        return Upload(**dict(row), expired=age_s > self.books.terms.upload_life_s)

    def file_of(self, upload: Upload) -> Path:
        """Where the bytes are."""
        return self.folder / upload.sha256


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that no other process ever sees half of it."""
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    make_file(part)
    part.write_bytes(content)
    part.replace(target)
