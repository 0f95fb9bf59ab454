"""Callback routes: find the folder of a callback by its callback token; one file per user.

A Jupyter server receives callbacks for all kernels of a user and does not know their folders. A
kernel records each callback token here before it is sent. Only the SHA-256 is saved, so that a
reader of the file cannot post a callback. The file is optional: without it polling finds the end
of a clip.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import platformdirs

from kling_nb.core.errors import LedgerError

from .user_index import open_file

__all__ = ["CallbackRoutes"]

LOG = logging.getLogger("kling_nb")

KEPT: Final = timedelta(days=30)
"""How long a value is known; results are kept for 14 days (source: D)."""

ADVICE: Final = (
    "A Jupyter server cannot pass notifications on; the service is asked instead. Delete the file "
    "if it is broken: it is made anew."
)

TABLE: Final = """
    CREATE TABLE IF NOT EXISTS doors (
        digest TEXT PRIMARY KEY, folder TEXT NOT NULL, at TEXT NOT NULL
    )
"""


class CallbackRoutes:
    """The folders of this user by the one-time values they handed out. Safe in any thread.

    Args:
        path: The file; the user's data directory when not given. Made at the first note.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or platformdirs.user_data_path("kling_nb") / "doors.sqlite3"

    def note(self, nonce: str, folder: Path, at: datetime) -> None:
        """Remembers whose value this is, and forgets those that are too old.

        Args:
            nonce: The one-time value.
            folder: Of the ledger.
            at: The time, aware.

        Raises:
            LedgerError: It cannot be written; a server would turn the notification away.
        """
        try:
            with open_file(self.path, "rwc") as connection, connection:
                connection.execute(TABLE)
                connection.execute("DELETE FROM doors WHERE at < ?", (encode(at - KEPT),))
                connection.execute(
                    "INSERT OR REPLACE INTO doors (digest, folder, at) VALUES (?, ?, ?)",
                    (digest(nonce), str(folder.absolute()), encode(at)),
                )
        except (OSError, ValueError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path} cannot be written ({error}). {ADVICE}") from error

    def find(self, nonce: str) -> Path | None:
        """Returns the folder whose value this is; None when that is not known."""
        try:
            if not self.path.exists():
                return None
            with open_file(self.path, "rw") as connection:
                query = "SELECT folder FROM doors WHERE digest = ?"
                found = connection.execute(query, (digest(nonce),)).fetchone()
                return Path(found[0]) if found else None
        except (OSError, ValueError, TypeError, sqlite3.Error) as error:
            LOG.warning("%s cannot be read (%s). %s", self.path, error, ADVICE)
            return None


def digest(nonce: str) -> str:
    """What a value is known by. Looked up by it, how long that takes tells nothing of others."""
    return hashlib.sha256(nonce.encode("utf-8", "replace")).hexdigest()


def encode(at: datetime) -> str:
    """A time as it is kept: in UTC, so that texts are ordered as times are."""
    return at.astimezone(UTC).isoformat(timespec="seconds")
