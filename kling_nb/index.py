"""Which folder of this user has paid for a request: an index over all ledgers.

It only ever helps: the ledgers are the record. An index that cannot be read or written is a
warning in the log and never an error. It knows fingerprints, folders and times, and nothing of
jobs; that only live requests are noted and refused is the caller's business.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from .errors import AlreadyPaid

__all__ = ["Paid", "PaidIndex", "open_file"]

LOG = logging.getLogger("kling_nb")

BUSY_TIMEOUT_S = 5.0
"""Short: a hint is not worth a long wait."""

TABLE = """
    CREATE TABLE IF NOT EXISTS paid (
        fingerprint TEXT PRIMARY KEY, folder TEXT NOT NULL, at TEXT NOT NULL
    )
"""

NOTE = """
    INSERT INTO paid (fingerprint, folder, at) VALUES (?, ?, ?)
    ON CONFLICT (fingerprint) DO UPDATE SET folder = excluded.folder, at = excluded.at
    WHERE excluded.at >= paid.at
"""


@dataclass(frozen=True, slots=True)
class Paid:
    """Where and when a request was paid for last."""

    folder: Path
    """The folder of the ledger; it may have been moved or deleted since."""
    at: datetime
    """Aware, in UTC."""


class PaidIndex:
    """The requests that this user has paid for, whatever the folder. Safe in any thread.

    Args:
        path: The file; the user's data directory when not given. Made at the first note.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or platformdirs.user_data_path("kling_nb") / "paid.sqlite3"

    def note(self, fingerprint: str, folder: Path, at: datetime) -> None:
        """Remembers the folder in which a request was paid for last; older payments are no news.

        The same payment in another folder is: the folder was moved.
        """
        when = at.astimezone(UTC).isoformat()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open_file(self.path, "rwc") as connection, connection:
                connection.execute(TABLE)
                connection.execute(NOTE, (fingerprint, str(folder.absolute()), when))
        except (OSError, ValueError, sqlite3.Error) as error:
            self._warn("written", error)

    def find(self, fingerprint: str) -> Paid | None:
        """Returns where the request was paid for last, None when that is not known."""
        query = "SELECT folder, at FROM paid WHERE fingerprint = ?"
        try:
            if not self.path.exists():
                return None
            with open_file(self.path, "rw") as connection:
                found = connection.execute(query, (fingerprint,)).fetchone()
                return Paid(Path(found[0]), datetime.fromisoformat(found[1])) if found else None
        except (OSError, ValueError, TypeError, sqlite3.Error) as error:
            self._warn("read", error)
            return None

    def drop(self, fingerprint: str, folder: Path) -> None:
        """Forgets a request of a folder: it was not paid for there, or may be paid for again.

        What another folder has paid for stays.
        """
        query, key = "DELETE FROM paid WHERE fingerprint = ? AND folder = ?", str(folder.absolute())
        try:
            if self.path.exists():
                with open_file(self.path, "rw") as connection, connection:
                    connection.execute(query, (fingerprint, key))
        except (OSError, ValueError, sqlite3.Error) as error:
            self._warn("written", error)

    def refuse_paid(self, fingerprint: str, folder: Path, *, take: int) -> None:
        """Stops a request that another folder has paid for.

        Raises:
            AlreadyPaid: Says when, where, and what to do.
        """
        paid = self.find(fingerprint)
        if paid is not None and paid.folder != folder:
            day = f"{paid.at.day} {paid.at:%B %Y}"
            raise AlreadyPaid(
                f"The same request was, or may have been, paid for on {day} in {paid.folder}. Copy "
                "the clip here or use that folder (KLING_NB_FOLDER); another result for the same "
                f"request is `--take {take + 1}`."
            )

    def _warn(self, deed: str, error: Exception) -> None:
        LOG.warning(
            "%s could not be %s (%s): requests paid for in other folders are not recognised. "
            "Delete the file if it is broken; it is made anew.",
            self.path,
            deed,
            error,
        )


@contextmanager
def open_file(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """A connection to a small file of the user's; mode `rwc` makes it, `rw` does not."""
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
        yield connection
