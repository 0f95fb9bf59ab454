"""Open connections to one SQLite file, keep them, and close them when the file is replaced.

In journal mode DELETE a reader blocks a commit: read one page of rows with `fetchall`, then end the
block. A statement with unread rows keeps its lock while its cursor exists, e.g. in the traceback of
an error. An idle connection holds no lock. Must not depend on the tables.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kling_nb.core.forks import no_fork

_READERS: Final = 4
"""Maximum number of idle connections that are kept for reading."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """How to set up, check and report errors of one kind of file."""

    prepare: Callable[[sqlite3.Connection], None]
    """Sets up a new connection; raises if the file cannot be used."""
    check: Callable[[sqlite3.Connection], bool] = lambda _: True
    """Returns whether a kept connection is still set up; raises if the file cannot be used.

    Called in each transaction and before each read.
    """
    error: Callable[[Path, sqlite3.Error], Exception] = lambda _, error: error
    """Returns the error to raise for a caller."""


class FileConnection(sqlite3.Connection):
    """A connection, with the id of its file and its lock timeout."""

    file_id: tuple[int, int] | None = None
    timeout_s = 0.0

    def wait_for_locks(self, timeout_s: float) -> None:
        """Set the lock timeout in seconds."""
        if self.timeout_s != timeout_s:
            self.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")
            self.timeout_s = timeout_s


@dataclass(frozen=True, slots=True)
class Connector:
    """Connects to an existing file; never creates one.

    Args:
        path: The file.
        kind: Its kind.
    """

    path: Path
    kind: FileKind

    def connect(self, timeout_s: float) -> FileConnection:
        """Return a new connection with this lock timeout in seconds."""
        # Mode `rw` creates no file: with a new empty ledger, every request would be paid again.
        # No implicit transactions: those of sqlite3 begin late and are not IMMEDIATE.
        file_id = self._file_id()
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=FileConnection,
        )
        try:
            connection.timeout_s, connection.file_id = timeout_s, file_id
            self.kind.prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def has_file(self, connection: FileConnection) -> bool:
        """Return whether a connection has the current file of the path open."""
        return connection.file_id is not None and connection.file_id == self._file_id()

    def is_usable(self, connection: FileConnection) -> bool:
        """Return whether a kept connection can be reused."""
        return self.has_file(connection) and self.kind.check(connection)

    def reported(self, error: BaseException) -> BaseException:
        """Return the error to raise for a caller."""
        if not isinstance(error, sqlite3.Error):
            return error
        reported = self.kind.error(self.path, error)
        if reported is not error:
            reported.__cause__ = error
        return reported

    def _file_id(self) -> tuple[int, int] | None:
        """Return the device and inode of the file, or None without a file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Readers:
    """Connections for reading. Safe in any thread.

    Args:
        connector: Connects to the file.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._idle: list[FileConnection] = []
        # Not at exit: a forked child would close the connections of its parent.
        weakref.finalize(self, _close_all, self._idle).atexit = False

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """Yield a connection for one read, with this lock timeout in seconds."""
        with no_fork():
            connection = self._take(timeout_s)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if len(self._idle) < _READERS:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close the idle connections."""
        with no_fork():
            _close_all(self._idle)

    def _take(self, timeout_s: float) -> FileConnection:
        """Return a connection to the current file of the path."""
        while True:
            try:
                kept = self._idle.pop()
            except IndexError:
                return self._connector.connect(timeout_s)
            try:
                kept.wait_for_locks(timeout_s)
                if self._connector.is_usable(kept):
                    return kept
            except BaseException:
                kept.close()
                raise
            kept.close()


def _close_all(connections: list[FileConnection]) -> None:
    while connections:
        connections.pop().close()
