"""The database file of a ledger: connections, transactions, migration and error handling.

A connection lasts for one operation. Journal mode DELETE, because WAL is not safe on network
homes; `synchronous=EXTRA`, because a commit that a crash undoes can cost money. No raw sqlite3
error leaves this module. Must not depend on the meaning of the rows.
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

__all__ = ["BUSY_TIMEOUT_S", "MIGRATIONS", "Database", "advice_for", "read_version"]

BUSY_TIMEOUT_S = 30.0
"""How long an operation of a session waits for the others of the folder."""

ADVICE = {
    "SQLITE_BUSY": "Another program kept it locked too long. Close what holds it, then run again.",
    "SQLITE_FULL": "The disk is full. Make room, then run again.",
    "SQLITE_READONLY": "It cannot be written. Allow writing, or choose another folder.",
    "SQLITE_CANTOPEN": "It cannot be opened. Put the file back if it was moved; else restart the "
    "kernel, or choose another folder: argument `folder` or KLING_NB_FOLDER.",
    "SQLITE_NOTADB": "It is no ledger. Put the right file back, or move this one away: a new "
    "ledger begins then, which does not know what was paid before.",
    "SQLITE_CORRUPT": "It is damaged. Put a copy back, or move this one away: a new ledger begins "
    "then, which does not know what was paid before.",
}


def advice_for(error: sqlite3.Error) -> str:
    """Returns what happened to the file and what to do next, in words."""
    name: str = getattr(error, "sqlite_errorname", "")
    for prefix, advice in ADVICE.items():
        if name.startswith(prefix):
            return f"{advice} ({error})"
    return f"{error}. Check the disk and the folder's permissions, then run again."


class Database:
    """The SQLite file of one ledger.

    Args:
        path: The file; its folder is made by `create`.
        patience_s: How long an operation waits for whoever has it locked; None for a session's.
    """

    def __init__(self, path: Path, *, patience_s: float | None = None) -> None:
        self.path = path
        self._patience_s = patience_s
        # The threads of a process queue here. SQLite lets those who wait try now and then, and
        # whoever is unlucky may find it taken every time.
        self._turn = threading.Lock()

    def create(self) -> None:
        """Makes the folder and the file where there are none, and brings the tables up to date.

        Raises:
            LedgerError: The folder or the file cannot be used, or a newer kling_nb wrote it.
        """
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise LedgerError(
                f"{self.path.parent}: the folder cannot be made ({error}). "
                "Choose another one: argument `folder` or KLING_NB_FOLDER."
            ) from error
        with suppress(OSError):  # SQLite says better what is wrong
            ensure_file(self.path)
        with self._transaction("rwc") as connection:
            version = read_version(connection)
            for migrate in MIGRATIONS[version:]:
                migrate(connection)
            if version < len(MIGRATIONS):
                connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection for one operation.

        Raises:
            LedgerError: The file cannot be used; says why, and what to do.
        """
        # Mode `rw` makes no file. An empty ledger in the place of one that vanished would let
        # everything be paid for again.
        with self._connection("rw") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Gives a connection in a transaction that is on the disk when the block is left.

        Raises:
            LedgerError: The file cannot be used; nothing was changed.
        """
        with self._transaction("rw") as connection:
            yield connection

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[sqlite3.Connection]:
        # IMMEDIATE: what is read inside stays true until the commit, and two transactions never
        # wait for each other in a circle.
        with self._turn, self._connection(mode) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            with no_fork(), closing(self._connect(mode)) as connection:
                self._prepare(connection)
                yield connection
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: {advice_for(error)}") from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        # Transactions are begun by hand: Python's own begin late, and not IMMEDIATE.
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S if self._patience_s is None else self._patience_s,
            isolation_level=None,
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA foreign_keys = ON")
        # Before the journal mode, which is kept in the file: a newer version's file stays as it is.
        if read_version(connection) > len(MIGRATIONS):
            raise LedgerError(
                f"{self.path} was written by a newer kling_nb. Upgrade this one, or "
                "choose another folder: argument `folder` or KLING_NB_FOLDER."
            )
        connection.execute("PRAGMA journal_mode = DELETE")


def read_version(connection: sqlite3.Connection) -> int:
    """Returns how many migrations the file has had; 0 for an empty one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
