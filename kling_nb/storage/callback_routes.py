"""Callback routes: find the folder of a callback by its callback token; one file per user.

A Jupyter server receives callbacks for all kernels of a user and does not know their folders. A
kernel records each callback token here before it sends the request. Only the SHA-256 is saved, so
that a reader of the file cannot post a callback. The file is optional: polling finds the end of a
clip without it.
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

_LOG = logging.getLogger("kling_nb")

_MAX_AGE: Final = timedelta(days=30)
"""How long a token is kept; the service keeps results for 14 days (source: D)."""

_ADVICE: Final = (
    "Jupyter Server cannot forward callbacks; polling continues. Delete the file if it is broken; "
    "it will be created again."
)

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS doors (
        digest TEXT PRIMARY KEY, folder TEXT NOT NULL, at TEXT NOT NULL
    )
"""


class CallbackRoutes:
    """The folders of this user by their callback tokens. Safe in any thread.

    Args:
        path: The file, created by `note`; None is in the user's data directory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or platformdirs.user_data_path("kling_nb") / "doors.sqlite3"

    def note(self, callback_token: str, folder: Path, at: datetime) -> None:
        """Save the ledger folder of a callback token, and delete tokens that are too old at `at`.

        Raises:
            LedgerError: The file cannot be written; a server would refuse the callback.
        """
        try:
            with open_file(self.path, "rwc") as connection, connection:
                connection.execute(_TABLE)
                connection.execute("DELETE FROM doors WHERE at < ?", (encode(at - _MAX_AGE),))
                connection.execute(
                    "INSERT OR REPLACE INTO doors (digest, folder, at) VALUES (?, ?, ?)",
                    (_digest(callback_token), str(folder.absolute()), encode(at)),
                )
        except (OSError, ValueError, sqlite3.Error) as error:
            raise LedgerError(f"{self.path} cannot be written ({error}). {_ADVICE}") from error

    def find(self, callback_token: str) -> Path | None:
        """Return the ledger folder for a callback token, or None."""
        try:
            if not self.path.exists():
                return None
            with open_file(self.path, "rw") as connection:
                query = "SELECT folder FROM doors WHERE digest = ?"
                found = connection.execute(query, (_digest(callback_token),)).fetchone()
                return Path(found[0]) if found else None
        except (OSError, ValueError, TypeError, sqlite3.Error) as error:
            _LOG.warning("%s cannot be read (%s). %s", self.path, error, _ADVICE)
            return None


def _digest(callback_token: str) -> str:
    """Return the key of a token; the time of a lookup by hash does not reveal other tokens."""
    return hashlib.sha256(callback_token.encode("utf-8", "replace")).hexdigest()


def encode(at: datetime) -> str:
    """Return a time as a text in UTC; texts sort as times do."""
    return at.astimezone(UTC).isoformat(timespec="seconds")
