"""The database file of a ledger: connections, transactions, migration and error handling.

A connection lasts for one operation. Journal mode is DELETE, because WAL is not safe on network
file systems; `synchronous` is EXTRA, because a commit that a crash undoes can cost money. Raises
`LedgerError` for every error of sqlite3. Must not depend on the meaning of the rows.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kling_nb.core.errors import LedgerError
from kling_nb.core.files import ensure_file, make_folder
from kling_nb.core.forks import no_fork

from .migrations import MIGRATIONS

BUSY_TIMEOUT_S = 30.0
"""How long an operation of a session waits for a lock."""

_ADVICE = {
    "SQLITE_BUSY": "Another program kept it locked too long. Close that program, then run again.",
    "SQLITE_FULL": "The disk is full. Make room, then run again.",
    "SQLITE_READONLY": "It cannot be written. Allow writing, or choose another folder.",
    "SQLITE_CANTOPEN": "It cannot be opened. Put the file back if it was moved; else restart the "
    "kernel, or choose another folder: argument `folder` or KLING_NB_FOLDER.",
    "SQLITE_NOTADB": "It is not a ledger. Put the right file back, or move this one away: a new "
    "ledger is created then, which does not know what was paid before.",
    "SQLITE_CORRUPT": "It is damaged. Restore a copy, or move this one away: a new ledger is "
    "created then, which does not know what was paid before.",
}


def advice_for(error: sqlite3.Error) -> str:
    """Return what happened to the file and what to do next, for people."""
    name: str = getattr(error, "sqlite_errorname", "")
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            return f"{advice} ({error})"
    return f"{error}. Check the disk and the folder's permissions, then run again."


class Database:
    """The SQLite file of one ledger.

    Args:
        path: The file; `create` makes its folder.
        timeout_s: How long an operation waits for a lock; None is `BUSY_TIMEOUT_S`.
    """

    def __init__(self, path: Path, *, timeout_s: float | None = None) -> None:
        self.path = path
        self._timeout_s = timeout_s
        # Threads of a process queue here: SQLite retries in intervals, so that a thread could
        # find the file locked at every try.
        self._write_lock = threading.Lock()

    def create(self) -> None:
        """Create the folder and the file if they are missing, and run the missing migrations.

        Raises:
            LedgerError: The folder or the file cannot be used, or a newer kling_nb wrote it.
        """
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise LedgerError(
                f"{self.path.parent}: the folder cannot be created ({error}). "
                "Choose another one: argument `folder` or KLING_NB_FOLDER."
            ) from error
        with suppress(OSError):  # the error of SQLite is more precise
            ensure_file(self.path)
        with self.writing("rwc") as connection:
            version = read_version(connection)
            for migrate in MIGRATIONS[version:]:
                migrate(connection)
            if version < len(MIGRATIONS):
                connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def reading(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """Yield a connection for one operation.

        Raises:
            LedgerError: The file cannot be used; says why, and what to do.
        """
        # Mode `rw` creates no file: with an empty ledger in the place of a deleted one, every
        # request would be paid for again.
        try:
            with no_fork(), closing(self._connect(mode)) as connection:
                self._prepare(connection)
                yield connection
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {advice_for(error)}") from error

    @contextmanager
    def writing(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction, which is committed and synced after the block.

        Raises:
            LedgerError: The file cannot be used; nothing was changed.
        """
        # IMMEDIATE: what is read stays true until the commit, and two transactions cannot deadlock.
        with self._write_lock, self.reading(mode) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        # No implicit transactions: those of sqlite3 begin late, and are not IMMEDIATE.
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S if self._timeout_s is None else self._timeout_s,
            isolation_level=None,
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA foreign_keys = ON")
        # Before the journal mode, which is saved in the file: do not change a newer version's file.
        if read_version(connection) > len(MIGRATIONS):
            raise LedgerError(
                f"{self.path} was written by a newer kling_nb. Upgrade this one, or "
                "choose another folder: argument `folder` or KLING_NB_FOLDER."
            )
        connection.execute("PRAGMA journal_mode = DELETE")


def read_version(connection: sqlite3.Connection) -> int:
    """Return how many migrations the file has had; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
