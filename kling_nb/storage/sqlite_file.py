"""Share one SQLite file between all callers in this process: one writer, and readers.

A forked child does not touch its parent's connections and thread; it opens its own.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from kling_nb.core.forks import ForkSafeLock

from .connections import Connector, FileKind, Readers
from .writer import Writer

T = TypeVar("T")

_LOCK: Final = ForkSafeLock()
_INHERITED: Final[list[object]] = []
"""Writers and readers of a parent process; closing them could undo the parent's transaction."""


class SqliteFile:
    """An existing file; this class never creates one. Safe in any thread, also in a forked child.

    Create it with `shared_file`, so that a process has one writer per file.

    Args:
        connector: Connects to the file.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._start()

    def _start(self) -> None:
        self._writer, self._readers = Writer(self._connector), Readers(self._connector)
        self._pid = os.getpid()  # last: the other threads of a child read it without the lock

    @property
    def is_changing(self) -> bool:
        """Return whether the calling thread is running a change of this file."""
        return self._writer.current is not None

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """Yield a connection for one read; inside a change, that of the change. Do not write."""
        self._renew_in_child()
        if current := self._writer.current:
            yield current
            return
        try:
            with self._readers.reading(timeout_s) as connection:
                yield connection
        except sqlite3.Error as error:
            reported = self._connector.reported(error)
            if reported is error:
                raise
            raise reported from error

    def submit(self, change: Callable[[sqlite3.Connection], T], timeout_s: float) -> Future[T]:
        """Queue a change and return immediately; see `Writer.submit`."""
        self._renew_in_child()
        return self._writer.submit(change, timeout_s)

    def write(self, change: Callable[[sqlite3.Connection], T], timeout_s: float) -> T:
        """Run a change and return its result when it is on disk; see `Writer.submit`.

        Inside another change of the file, run it as part of that change, which fails if this part
        raises.
        """
        if connection := self._writer.current:
            return self._writer.run_part(connection, change)
        future = self.submit(change, timeout_s)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def close(self) -> None:
        """Close the file after the queued changes; the next use opens it again."""
        if self._pid == os.getpid():
            self._writer.close()
            self._readers.close()

    def _renew_in_child(self) -> None:
        if self._pid != os.getpid():
            with _LOCK:
                if self._pid != os.getpid():
                    _INHERITED.append((self._writer, self._readers))
                    self._start()


_FILES: Final[weakref.WeakValueDictionary[Path, SqliteFile]] = weakref.WeakValueDictionary()


def shared_file(path: Path, kind: FileKind) -> SqliteFile:
    """Return the file of a path; all callers in this process get the same one."""
    path = path.absolute()
    with _LOCK:
        found = _FILES.get(path)
        if found is None:
            found = _FILES[path] = SqliteFile(Connector(path, kind))
        return found
