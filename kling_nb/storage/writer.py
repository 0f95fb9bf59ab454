"""Write one SQLite file: one thread commits the changes of all threads in groups (group commit).

The thread runs all queued changes in one transaction, and returns each result after the commit is
synced. If a change raises, the others run again without it. A commit never waits for more changes.
A sync takes about 1 ms, and far longer on a hard disk. 8,000 single commits take 10.8 s; in groups
of fifty they take 0.26 s.

This needs only `sqlite3`: aiosqlite has a thread per connection and no group commit.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from kling_nb.core.forks import no_fork

from .connections import Connector, FileConnection

T = TypeVar("T")

IDLE_S: Final = 5.0
"""How long the thread waits for a change before it closes the file and ends."""

_CLOSE_S: Final = 5.0
"""Maximum wait for the end of the thread."""


@dataclass(slots=True, eq=False)
class _QueuedChange:
    """A queued change."""

    run: Callable[[sqlite3.Connection], Any]
    deadline: float
    """End of the wait for a lock, by the monotonic clock."""
    future: Future[Any] = field(default_factory=Future)
    is_alone: bool = False
    """Whether its transaction failed; its second and last one has no other changes."""
    result: Any = None
    error: BaseException | None = None
    is_committed: bool = False

    @property
    def left_s(self) -> float:
        """Return the remaining wait for a lock, rounded up to tenths of a second."""
        return max(0, math.ceil((self.deadline - time.monotonic()) * 10)) / 10

    @property
    def is_wanted(self) -> bool:
        """Return whether the caller has not cancelled; after this call it cannot cancel."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


class Writer:
    """Writes to one file. Safe in any thread of one process.

    Args:
        connector: Connects to the file.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._changed = threading.Condition()
        self._queue: deque[_QueuedChange] = deque()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._connection: FileConnection | None = None
        self._current: tuple[threading.Thread, FileConnection] | None = None
        self._error_of_part: BaseException | None = None
        """The error of a part of the current change, also if the change caught it."""

    @property
    def current(self) -> FileConnection | None:
        """The connection of the change that the calling thread is running, or None."""
        current = self._current
        is_here = current is not None and current[0] is threading.current_thread()
        return current[1] if current is not None and is_here else None

    def submit(self, change: Callable[[sqlite3.Connection], T], timeout_s: float) -> Future[T]:
        """Queue a change and return immediately.

        Args:
            change: Runs in the writer's thread, in a transaction. If another change makes the
                transaction fail, this one is undone and runs again. It must not wait for threads.
            timeout_s: How long the change waits for a lock.

        Returns:
            The result of the change when it is on disk, or its error; on error, nothing has
            changed. The future can be cancelled until the change starts.
        """
        queued = _QueuedChange(change, time.monotonic() + timeout_s)
        with self._changed:
            self._queue.append(queued)
            self._changed.notify_all()
            if self._thread is not None:
                return queued.future
            thread = threading.Thread(target=self._work, name="kling_nb writer", daemon=True)
            self._thread = thread
            try:
                thread.start()  # it waits for the lock
                return queued.future
            except RuntimeError:  # Python starts no thread while it exits
                self._is_closing = True
            finally:
                if thread.ident is None:  # also after an interrupt
                    self._thread = None
        self._work()
        return queued.future

    def run_part(self, connection: FileConnection, part: Callable[[sqlite3.Connection], T]) -> T:
        """Run a part of the current change; if it raises, the whole change is undone."""
        try:
            return part(connection)
        except BaseException as error:
            self._error_of_part = error
            raise

    def close(self) -> None:
        """Close the file after the queued changes; the next change opens it again."""
        with self._changed:
            thread = self._thread
            self._is_closing = thread is not None
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_S)

    def _work(self) -> None:
        while first := self._next():
            with no_fork():
                self._run(first)

    def _next(self) -> _QueuedChange | None:
        """Wait for a change and return it; None if the thread must end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing, IDLE_S)
            if not self._queue:
                with no_fork():
                    self._disconnect()
                self._thread, self._is_closing = None, False
                return None
            return self._queue.popleft()

    def _take(self) -> list[_QueuedChange]:
        """Take the queued changes that can share a transaction."""
        group = []
        with self._changed:
            while self._queue and not self._queue[0].is_alone:
                group.append(self._queue.popleft())
        return group

    def _put_back(self, changes: list[_QueuedChange]) -> None:
        with self._changed:
            self._queue.extendleft(reversed(changes))

    def _run(self, first: _QueuedChange) -> None:
        """Run a change and the queued ones in one transaction; set the results of their futures."""
        group = [first]
        try:
            connection = self._begin(first.left_s)
        except BaseException as error:
            self._disconnect()
            if first.is_wanted:
                first.error = error
        else:
            if not first.is_alone:
                group += self._take()
            self._commit(connection, self._apply(connection, group))
        for change in group:
            if change.error is not None:
                change.future.set_exception(self._connector.reported(change.error))
            elif change.is_committed:
                change.future.set_result(change.result)

    def _begin(self, timeout_s: float) -> FileConnection:
        """Begin a transaction in the current file of the path."""
        # IMMEDIATE: data read here stays valid until the commit, and transactions cannot deadlock.
        kept = self._connection
        if kept is not None:
            if self._connector.has_file(kept):
                kept.wait_for_locks(timeout_s)
                kept.execute("BEGIN IMMEDIATE")
                if self._connector.is_usable(kept):
                    return kept
            self._disconnect()
        self._connection = self._connector.connect(timeout_s)
        self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    def _apply(self, connection: FileConnection, group: list[_QueuedChange]) -> list[_QueuedChange]:
        """Run the changes and return them; if one raises, undo all, and return none."""
        done: list[_QueuedChange] = []
        self._current = threading.current_thread(), connection
        for index, change in enumerate(group):
            if not change.is_wanted:
                continue
            try:
                change.result = change.run(connection)
                if self._error_of_part is not None:
                    raise self._error_of_part
                done.append(change)
            except BaseException as error:
                change.error = error
                self._disconnect()
                self._put_back(_apart(done) + group[index + 1 :])
                done = []
                break
        self._current = self._error_of_part = None
        return done

    def _commit(self, connection: FileConnection, done: list[_QueuedChange]) -> None:
        """Commit the changes that have run."""
        if connection is not self._connection:  # a change raised: the transaction is undone
            return
        if not self._connector.has_file(connection):
            self._disconnect()
            for change in done:
                if change.is_alone:  # some file systems change inode numbers; do not retry forever
                    change.error = sqlite3.OperationalError(
                        "the file was replaced twice during a commit"
                    )
            self._put_back(_apart([each for each in done if not each.is_alone]))
            return
        try:
            connection.execute("COMMIT")
        except BaseException as error:
            self._disconnect()
            if len(done) > 1 and not _is_busy(error):
                self._put_back(_apart(done))
                return
            for change in done:
                change.error = error
        else:
            for change in done:
                change.is_committed = True

    def _disconnect(self) -> None:
        """Close the connection; undo its uncommitted changes."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.in_transaction:
                # An open statement would keep the transaction open after `close`.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            connection.close()


def _apart(done: list[_QueuedChange]) -> list[_QueuedChange]:
    """Mark and return changes of a failed transaction; each then gets its own transaction."""
    for change in done:
        change.is_alone = True
    return done


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
