"""The database file of a ledger: connections, transactions, migration and error handling.

Journal mode is DELETE, because WAL is not safe on network file systems; `synchronous` is EXTRA,
because a commit lost in a crash can cost money. Raises `LedgerError` for every error of sqlite3.
Must not depend on the meaning of the rows, except for the SQL function `likelihood`. The thread
that writes is in `writer`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TypeVar

from kling_nb.core.errors import LedgerError
from kling_nb.core.files import ensure_file, make_folder

from .connections import FileKind
from .migrations import MIGRATIONS
from .spending import likelihood
from .sqlite_file import shared_file

T = TypeVar("T")

BUSY_TIMEOUT_S = 30.0
"""How long an operation of a session waits for a lock."""

_ADVICE = {
    "SQLITE_BUSY": "Another program locked it for too long. Close that program, then run again.",
    "SQLITE_FULL": "The disk is full. Free some space, then run again.",
    "SQLITE_READONLY": "It is read-only. Change its permissions, or choose another folder.",
    "SQLITE_CANTOPEN": "It cannot be opened. Restore the file if it was moved; otherwise restart "
    "the kernel, or choose another folder: argument `folder` or KLING_NB_FOLDER.",
    "SQLITE_NOTADB": "It is not a ledger. Restore the right file, or move this one away; the new "
    "ledger will have no record of earlier payments.",
    "SQLITE_CORRUPT": "It is damaged. Restore a copy, or move this one away; the new ledger will "
    "have no record of earlier payments.",
}


def advice_for(error: sqlite3.Error) -> str:
    """Return what happened to the file and what to do next, for people."""
    name: str = getattr(error, "sqlite_errorname", "")
    for prefix, advice in _ADVICE.items():
        if name.startswith(prefix):
            return f"{advice} ({error})"
    return f"{error}. Check the disk and the folder's permissions, then run again."


class Database:
    """The SQLite file of one ledger. Safe in any thread.

    Args:
        path: The file; `create` creates its folder.
        timeout_s: How long an operation waits for a lock; None is `BUSY_TIMEOUT_S`.
    """

    def __init__(self, path: Path, *, timeout_s: float | None = None) -> None:
        self.path = path
        self._limit_s = timeout_s
        self._file = shared_file(path, FileKind(_prepare, _check, _error))

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
        self.write(_migrate)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Yield a connection for one read. Do not write inside the block.

        Raises:
            LedgerError: The file cannot be used; the message gives the reason and the next step.
        """
        return self._file.reading(self._timeout_s)

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run a change in a transaction; return its result after the commit is synced.

        Inside another change of the file, run it as part of that change, which fails if this part
        raises.

        Raises:
            LedgerError: The file cannot be used; nothing was changed.
        """
        return self._file.write(change, self._timeout_s)

    def submit(self, change: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue a change and return immediately; see `Writer.submit`."""
        return self._file.submit(change, self._timeout_s)

    @property
    def is_changing(self) -> bool:
        """Return whether the calling thread is running a change of this file."""
        return self._file.is_changing

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    @property
    def _timeout_s(self) -> float:
        return BUSY_TIMEOUT_S if self._limit_s is None else self._limit_s


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = EXTRA")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.create_function("likelihood", 3, likelihood, deterministic=True)
    # Check before setting the journal mode, which is saved in the file: it may be a newer one.
    _check_version(connection)
    connection.execute("PRAGMA journal_mode = DELETE")


def _check(connection: sqlite3.Connection) -> bool:
    _check_version(connection)
    # Another program may have changed the journal mode.
    return bool(connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete")


def _error(path: Path, error: sqlite3.Error) -> LedgerError:
    return LedgerError(f"{path}: {advice_for(error)}")


def _migrate(connection: sqlite3.Connection) -> None:
    """Run the missing migrations."""
    version = read_version(connection)
    for migrate in MIGRATIONS[version:]:
        migrate(connection)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _check_version(connection: sqlite3.Connection) -> None:
    """Check that no newer version wrote the file.

    Raises:
        LedgerError: A newer version did.
    """
    if read_version(connection) > len(MIGRATIONS):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        raise LedgerError(
            f"{path} was written by a newer kling_nb. Upgrade kling_nb, or "
            "choose another folder: argument `folder` or KLING_NB_FOLDER."
        )


def read_version(connection: sqlite3.Connection) -> int:
    """Return how many migrations the file has had; 0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
