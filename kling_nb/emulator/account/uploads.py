"""Store uploaded files: content on disk, paths in the database, for 24 hours.

Files are named by their hash, so that no name from a client reaches the disk.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from kling_nb.emulator.permissions import make_file, make_folder

from .account import EmulatedAccount


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file."""

    path: str
    """The path on the file host: `kieai/…/NAME`."""
    sha256: str
    mime_type: str
    size_bytes: int
    uploaded_at: float
    expired: bool


class Uploads:
    """The uploaded files, shared by all emulators of a folder."""

    def __init__(self, account: EmulatedAccount) -> None:
        """Use the folder, the clock and the limits of this account."""
        self.account = account
        self.folder = account.folder / "uploads"

    def add(self, path: str, content: bytes, mime_type: str) -> Upload:
        """Store a file; it replaces one with the same path, as at the service (D)."""
        digest, now = hashlib.sha256(content).hexdigest(), self.account.clock()
        _write_file(self.folder / digest, content)
        with self.account.database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)",
                (path, digest, mime_type, len(content), now),
            )
        return Upload(path, digest, mime_type, len(content), now, expired=False)

    def find(self, path: str) -> Upload | None:
        """Return the upload with this path, expired or not, or None."""
        with self.account.database.reading() as connection:
            row = connection.execute("SELECT * FROM uploads WHERE path = ?", (path,)).fetchone()
        if row is None:
            return None
        age_s = self.account.clock() - row["uploaded_at"]
        return Upload(**dict(row), expired=age_s > self.account.limits.upload_life_s)

    def file_of(self, upload: Upload) -> Path:
        """Return the path of the content on disk."""
        return self.folder / upload.sha256


def _write_file(target: Path, content: bytes) -> None:
    """Write a file; no other process can read an incomplete one."""
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    make_file(part)
    part.write_bytes(content)
    part.replace(target)
