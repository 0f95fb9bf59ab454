"""Store callbacks that Jupyter Server received until a session processes them.

A Jupyter server writes, kernels read; they need not run at the same time. A callback is not trusted
and changes no job: the session decides what to do with it. This module creates no file, so that a
deleted folder stays deleted.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from kling_nb.core.job_state import FOLLOWED, SUBMITTING, Stage
from kling_nb.core.limits import CALLBACK_LIMIT_BYTES

from .database import Database
from .job_record import encode_time

MAX_PER_JOB: Final = 5
"""How many callbacks are stored for one job; older ones are deleted."""
MAX_PER_FOLDER: Final = 1_000
"""How many callbacks are stored in one folder; older ones are deleted."""

_GIVEN_UP: Final = {Stage.UNKNOWN, Stage.VANISHED, Stage.FORGOTTEN, Stage.REFUSED}
_EXPECTING: Final = SUBMITTING | FOLLOWED | _GIVEN_UP
"""Stages in which a callback may bring news, also of a task that was given up."""

_INSERT: Final = """
    INSERT INTO notifications (nonce, body, at) SELECT :nonce, :body, :at
    WHERE NOT EXISTS (SELECT 1 FROM notifications WHERE nonce = :nonce AND body = :body)
"""


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """One callback as it was received."""

    number: int
    """Its primary key in the folder."""
    nonce: str = field(repr=False)
    """The callback token in its URL."""
    body: bytes = field(repr=False)
    at: datetime
    """When it was received; aware, in UTC."""


class CallbackStore:
    """The stored callbacks of one folder. Safe in any thread and in any process.

    Every method raises `LedgerError` if the ledger cannot be used, or is of an older version.

    Args:
        folder: The folder of an existing ledger.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / "ledger.sqlite3")

    @property
    def exists(self) -> bool:
        """Return whether there is a ledger in the folder."""
        return self._database.path.exists()

    def has_token(self, nonce: str) -> bool:
        """Return whether a job of this folder, in any stage, was sent with this callback token."""
        with self._database.reading() as connection:
            return stage_of(connection, nonce) is not None

    def post(self, nonce: str, body: bytes, at: datetime) -> bool:
        """Store a callback for the session that follows the job. Store a repeated one once.

        Args:
            nonce: The callback token in its URL.
            body: The body as received, at most `CALLBACK_LIMIT_BYTES`.
            at: When it was received, aware.

        Returns:
            Whether it is stored; False if no job expects it (any more).

        Raises:
            ValueError: It is too long.
        """
        if len(body) > CALLBACK_LIMIT_BYTES:
            raise ValueError(f"{len(body)} bytes: a callback has at most {CALLBACK_LIMIT_BYTES}")
        return self._database.write(lambda connection: _insert(connection, nonce, body, at))

    def callback_tokens(self) -> set[str]:
        """Return the callback tokens of all stored callbacks; empty without a ledger."""
        if not self.exists:
            return set()
        with self._database.reading() as connection:
            return {row[0] for row in connection.execute("SELECT nonce FROM notifications")}

    def oldest(self, nonce: str) -> StoredCallback | None:
        """Return the oldest stored callback with a token, or None, without deleting it."""
        query = "SELECT * FROM notifications WHERE nonce = ? ORDER BY number LIMIT 1"
        with self._database.reading() as connection:
            row = connection.execute(query, (nonce,)).fetchone()
        if row is None:
            return None
        return StoredCallback(row["number"], nonce, row["body"], datetime.fromisoformat(row["at"]))

    def discard(self, callback: StoredCallback) -> None:
        """Delete a callback that was processed; before that it may be the only evidence."""
        query = "DELETE FROM notifications WHERE number = ?"
        number = (callback.number,)
        self._database.write(lambda connection: connection.execute(query, number).close())


def _insert(connection: sqlite3.Connection, nonce: str, body: bytes, at: datetime) -> bool:
    """Store a callback if a job expects it; return whether one does."""
    if stage_of(connection, nonce) not in _EXPECTING:
        return False
    connection.execute(_INSERT, {"nonce": nonce, "body": body, "at": encode_time(at)})
    _delete_oldest(connection, nonce)
    return True


def stage_of(connection: sqlite3.Connection, nonce: str) -> Stage | None:
    """Return the stage of the job with this callback token, or None."""
    query = "SELECT stage FROM jobs WHERE nonce = ? AND nonce <> ''"
    found = connection.execute(query, (nonce,)).fetchone()
    return Stage(found["stage"]) if found else None


def _delete_oldest(connection: sqlite3.Connection, nonce: str) -> None:
    """Enforce the limits: a sender that knows one callback URL must not fill the disk."""
    connection.execute(
        """
        DELETE FROM notifications WHERE nonce = :nonce AND number NOT IN (
            SELECT number FROM notifications WHERE nonce = :nonce ORDER BY number DESC LIMIT :most
        )
        """,
        {"nonce": nonce, "most": MAX_PER_JOB},
    )
    connection.execute(
        """
        DELETE FROM notifications WHERE number NOT IN (
            SELECT number FROM notifications ORDER BY number DESC LIMIT ?
        )
        """,
        (MAX_PER_FOLDER,),
    )
