"""Which folder of this user has paid for a request: an index over all ledgers.

It only ever helps: the ledgers are the record. An index that cannot be read or written is a
warning in the log and never an error. It knows fingerprints, folders and times, and nothing of
jobs; that only live requests are noted, claimed and refused is the caller's business.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import platformdirs

from .errors import AlreadyPaid

__all__ = ["Paid", "PaidIndex", "open_file"]

LOG = logging.getLogger("kling_nb")

BUSY_TIMEOUT_S = 5.0
"""Short: a hint is not worth a long wait."""

JUST_NOW = timedelta(minutes=10)
"""A payment so young is told as one that is under way: its answer may still be waited for."""

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

CLAIM = """
    INSERT INTO paid (fingerprint, folder, at) VALUES (?, ?, ?)
    ON CONFLICT (fingerprint) DO UPDATE SET at = max(paid.at, excluded.at)
    WHERE paid.folder = excluded.folder
"""

HOLDER = "SELECT folder, at FROM paid WHERE fingerprint = ?"


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
        self._write(NOTE, fingerprint, folder, at)

    def find(self, fingerprint: str) -> Paid | None:
        """Returns where the request was paid for last, None when that is not known."""
        try:
            if not self.path.exists():
                return None
            with open_file(self.path, "rw") as connection:
                return holder_in(connection, fingerprint)
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
        if paid is not None and paid.folder != folder.absolute():
            raise refusal(paid, take)

    def claim(self, fingerprint: str, folder: Path, at: datetime, *, take: int) -> None:
        """Notes that a folder pays for a request now; stops it where another one does, or has.

        Of all programs of this user that come at the same moment, one is let through. Where the
        file cannot be written, what can be read of it still stops a request.

        Raises:
            AlreadyPaid: Says where, and what to do; nothing is noted.
        """
        paid = self._write(CLAIM, fingerprint, folder, at) or self.find(fingerprint)
        if paid is not None and paid.folder != folder.absolute():
            raise refusal(paid, take, is_new=at - paid.at <= JUST_NOW)

    def _write(self, statement: str, fingerprint: str, folder: Path, at: datetime) -> Paid | None:
        """Notes a payment as the statement says; returns whose it is then, None where it failed.

        One transaction that writes first: nobody can come between the question and the note.
        """
        when = at.astimezone(UTC).isoformat()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open_file(self.path, "rwc") as connection, connection:
                connection.execute(TABLE)
                connection.execute(statement, (fingerprint, str(folder.absolute()), when))
                return holder_in(connection, fingerprint)
        except (OSError, ValueError, TypeError, sqlite3.Error) as error:
            self._warn("written", error)
            return None

    def _warn(self, deed: str, error: Exception) -> None:
        LOG.warning(
            "%s could not be %s (%s): requests paid for in other folders are not recognised. "
            "Delete the file if it is broken; it is made anew.",
            self.path,
            deed,
            error,
        )


def holder_in(connection: sqlite3.Connection, fingerprint: str) -> Paid | None:
    """Returns where a request was paid for last."""
    found = connection.execute(HOLDER, (fingerprint,)).fetchone()
    return Paid(Path(found[0]), datetime.fromisoformat(found[1])) if found else None


def refusal(paid: Paid, take: int, *, is_new: bool = False) -> AlreadyPaid:
    """Returns what a request is refused with that another folder has paid for, or does just now."""
    day = f"{paid.at.day} {paid.at:%B %Y}"
    how = "is being, or was just now," if is_new else "was, or may have been,"
    when = "" if is_new else f"on {day} "
    return AlreadyPaid(
        f"The same request {how} paid for {when}in {paid.folder}. Copy the clip here or use that "
        "folder (KLING_NB_FOLDER); another result for the same request is "
        f"`--take {take + 1}`."
    )


@contextmanager
def open_file(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """A connection to a small file of the user's; mode `rwc` makes it, `rw` does not."""
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
        yield connection
