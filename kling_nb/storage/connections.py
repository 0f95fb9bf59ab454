"""Connections to one SQLite file: opened once, kept, and closed when the file is another one.

In journal mode DELETE a reader blocks a commit: read one page of rows with `fetchall`, then end the
block. A statement with rows left keeps its lock for as long as its cursor exists, for example in
the traceback of an error. An idle connection holds no lock. Must not depend on the tables.
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
"""How many idle connections are kept for reading."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """What is special about a kind of file."""

    prepare: Callable[[sqlite3.Connection], None]
    """Sets up a new connection; raises if the file cannot be used."""
    check: Callable[[sqlite3.Connection], bool] = lambda _: True
    """Returns whether a kept connection is still set up; raises if the file cannot be used.

    Called in each transaction and before each read.
    """
    error: Callable[[Path, sqlite3.Error], Exception] = lambda _, error: error
    """Returns the error for a caller."""


class Connection(sqlite3.Connection):
    """A connection, the file that it has open, and how long it waits for a lock."""

    file_id: tuple[int, int] | None = None
    timeout_s = 0.0

    def wait_for_locks(self, timeout_s: float) -> None:
        """Wait so long for a lock, in seconds."""
        if self.timeout_s != timeout_s:
            self.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")
            self.timeout_s = timeout_s


@dataclass(frozen=True, slots=True)
class Connector:
    """Connects to a file that exists; creates none.

    Args:
        path: The file.
        kind: Its kind.
    """

    path: Path
    kind: FileKind

    def connect(self, timeout_s: float) -> Connection:
        """Return a new connection that waits so long for a lock."""
        # Mode `rw` creates no file: with an empty ledger in the place of a deleted one, every
        # request would be paid for again.
        # No implicit transactions: those of sqlite3 begin late, and are not IMMEDIATE.
        file_id = self._file_id()
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        try:
            connection.timeout_s, connection.file_id = timeout_s, file_id
            self.kind.prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def has_file(self, connection: Connection) -> bool:
        """Return whether a connection has the file open that has the path now."""
        return connection.file_id is not None and connection.file_id == self._file_id()

    def is_usable(self, connection: Connection) -> bool:
        """Return whether a kept connection can be used as it is."""
        return self.has_file(connection) and self.kind.check(connection)

    def reported(self, error: BaseException) -> BaseException:
        """Return the error for a caller."""
        if not isinstance(error, sqlite3.Error):
            return error
        reported = self.kind.error(self.path, error)
        if reported is not error:
            reported.__cause__ = error
        return reported

    def _file_id(self) -> tuple[int, int] | None:
        """Return what identifies the file that has the path; None without a file."""
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
        self._idle: list[Connection] = []
        # Not at exit: a forked child would close the connections of its parent.
        weakref.finalize(self, _close_all, self._idle).atexit = False

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """Yield a connection for one read, which waits so long for a lock."""
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

    def _take(self, timeout_s: float) -> Connection:
        """Return a connection to the file that has the path now."""
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


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()
