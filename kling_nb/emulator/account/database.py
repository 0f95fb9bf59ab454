"""The SQLite file that all emulators of a folder share: schema, connections and locking."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kling_nb.emulator.forks import wait_at_fork
from kling_nb.emulator.permissions import make_file, make_folder

BUSY_TIMEOUT_S = 30.0
_FIRST = (
    "CREATE TABLE account (id INTEGER PRIMARY KEY CHECK (id = 1), paid_in REAL NOT NULL)",
    """CREATE TABLE tasks (
        task_id TEXT PRIMARY KEY, model TEXT NOT NULL, input TEXT NOT NULL,
        callback_url TEXT NOT NULL, credits REAL NOT NULL, fate TEXT NOT NULL,
        created_at REAL NOT NULL, ready_at REAL NOT NULL, ended_at REAL,
        clip TEXT NOT NULL DEFAULT '', fail_code TEXT NOT NULL DEFAULT '',
        fail_msg TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX tasks_by_time ON tasks (created_at)",
    """CREATE TABLE uploads (
        path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, mime_type TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, uploaded_at REAL NOT NULL)""",
    """CREATE TABLE faults (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, endpoint TEXT NOT NULL,
        times_left INTEGER NOT NULL, argument TEXT NOT NULL)""",
    "CREATE TABLE requests (path TEXT PRIMARY KEY, number INTEGER NOT NULL)",
    "CREATE TABLE questions (asker TEXT NOT NULL, asked_at REAL NOT NULL)",
    "CREATE TABLE leaks (id INTEGER PRIMARY KEY, path TEXT NOT NULL)",
)
_CALLBACKS = (
    """CREATE TABLE letters (
        id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, url TEXT NOT NULL, kind TEXT NOT NULL,
        due_at REAL NOT NULL, after_s REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
        claimed_until REAL NOT NULL DEFAULT 0, settled INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX open_letters ON letters (id) WHERE NOT settled",
    """CREATE TABLE posts (
        id INTEGER PRIMARY KEY, letter INTEGER NOT NULL, task_id TEXT NOT NULL,
        kind TEXT NOT NULL, attempt INTEGER NOT NULL, started_at REAL NOT NULL,
        answered_at REAL, status INTEGER, words TEXT NOT NULL)""",
)
_UNSEEN = ("ALTER TABLE tasks ADD COLUMN unseen_s REAL NOT NULL DEFAULT 0",)
_OPEN = threading.RLock()
"""Held while a connection is open: a fork meanwhile would leave its locks to the child."""
wait_at_fork(_OPEN)
_VERSIONS = (_FIRST, _CALLBACKS, _UNSEEN)
"""The statements that change the schema to each next version."""


class Database:
    """A SQLite file; the first use creates it.

    Each operation opens its own connection, since handlers run in any thread of any process.
    """

    def __init__(self, path: Path, paid_in: float) -> None:
        """Use this file; a new account starts with `paid_in` credits."""
        self.path = path
        self.paid_in = paid_in

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection with the write lock; commit at the end, roll back on an exception."""
        with _OPEN, closing(self.connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for one query."""
        with _OPEN, closing(self.connect()) as connection:
            yield connection

    def connect(self) -> sqlite3.Connection:
        """Open the file; create it and its tables if they are missing."""
        make_folder(self.path.parent)
        make_file(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self.prepare(connection)
        except BaseException:  # Python 3.13 warns of a connection that is left open
            connection.close()
            raise
        return connection

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Set up the connection; create missing tables."""
        connection.row_factory = sqlite3.Row
        # A killed process loses nothing without syncing. Only a power cut could, and there is no
        # real money in this file.
        connection.execute("PRAGMA synchronous = OFF")
        if self.version_of(connection) < len(_VERSIONS):
            self.create(connection)

    def create(self, connection: sqlite3.Connection) -> None:
        """Create missing tables, unless another process has just done so."""
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        version = self.version_of(connection)
        for statements in _VERSIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        if version == 0:
            connection.execute("INSERT INTO account VALUES (1, ?)", (self.paid_in,))
        connection.execute(f"PRAGMA user_version = {max(version, len(_VERSIONS))}")
        connection.execute("COMMIT")

    def version_of(self, connection: sqlite3.Connection) -> int:
        """Return the schema version of the file, 0 for a new one."""
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
