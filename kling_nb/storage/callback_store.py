"""Store callbacks that Jupyter Server received until a session processes them.

A Jupyter server writes, kernels read; neither has to be running when the other is. A callback is
not trusted and changes no job: the session decides what to do with it. Nothing here creates a
file, so that a deleted folder stays deleted.
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

__all__ = ["CallbackStore", "StoredCallback"]

MOST_FOR_ONE: Final = 5
"""How many letters wait for one job; older ones are dropped."""
MOST_IN_ALL: Final = 1_000
"""How many letters wait in one folder; older ones are dropped."""

GIVEN_UP: Final = {Stage.UNKNOWN, Stage.VANISHED, Stage.FORGOTTEN, Stage.REFUSED}
EXPECTING: Final = SUBMITTING | FOLLOWED | GIVEN_UP
"""Stages in which a notification can still tell something: of a task that was given up, too."""


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """One notification as it came."""

    number: int
    """Its own in the folder."""
    nonce: str = field(repr=False)
    """The one-time value in the address that it came to."""
    body: bytes = field(repr=False)
    at: datetime
    """When it was heard; aware, in UTC."""


class CallbackStore:
    """The letters of one folder. Safe in any thread and in any process.

    Every method raises `LedgerError` when the ledger cannot be used, or is of an older version.

    Args:
        folder: Of a ledger that exists.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / "ledger.sqlite3")

    @property
    def exists(self) -> bool:
        """Whether there is a ledger in the folder."""
        return self._database.path.exists()

    def knows(self, nonce: str) -> bool:
        """Whether a job of this folder, over or not, was sent with this one-time value."""
        with self._database.reading() as connection:
            return stage_of(connection, nonce) is not None

    def post(self, nonce: str, body: bytes, at: datetime) -> bool:
        """Keep a notification for whoever follows the job.

        Args:
            nonce: The one-time value in the address that it came to.
            body: As it came, at most `CALLBACK_LIMIT_BYTES`.
            at: When it was heard, aware.

        Returns:
            Whether it waits now; not where no job expects it (any more). A repeat is not kept
            twice.

        Raises:
            ValueError: It is too long.
        """
        if len(body) > CALLBACK_LIMIT_BYTES:
            raise ValueError(f"{len(body)} bytes: a letter has at most {CALLBACK_LIMIT_BYTES}")
        with self._database.writing() as connection:
            if stage_of(connection, nonce) not in EXPECTING:
                return False
            if not waits(connection, nonce, body):
                insert = "INSERT INTO notifications (nonce, body, at) VALUES (?, ?, ?)"
                connection.execute(insert, (nonce, body, encode_time(at)))
                drop_oldest(connection, nonce)
            return True

    def nonces(self) -> set[str]:
        """Returns the one-time values that letters wait for: none, mostly, or no ledger yet."""
        if not self.exists:
            return set()
        with self._database.reading() as connection:
            return {row[0] for row in connection.execute("SELECT nonce FROM notifications")}

    def oldest(self, nonce: str) -> StoredCallback | None:
        """Returns the letter that waits longest for a one-time value; it stays."""
        query = "SELECT * FROM notifications WHERE nonce = ? ORDER BY number LIMIT 1"
        with self._database.reading() as connection:
            row = connection.execute(query, (nonce,)).fetchone()
        if row is None:
            return None
        return StoredCallback(row["number"], nonce, row["body"], datetime.fromisoformat(row["at"]))

    def discard(self, letter: StoredCallback) -> None:
        """Throws a letter away that was acted on; before that it is all that may be known."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM notifications WHERE number = ?", (letter.number,))


def stage_of(connection: sqlite3.Connection, nonce: str) -> Stage | None:
    """Returns the stage of the job with this one-time value, None where there is none."""
    query = "SELECT stage FROM jobs WHERE nonce = ? AND nonce <> ''"
    found = connection.execute(query, (nonce,)).fetchone()
    return Stage(found["stage"]) if found else None


def waits(connection: sqlite3.Connection, nonce: str, body: bytes) -> bool:
    """Whether the same letter is there already: the service may send it several times."""
    query = "SELECT EXISTS (SELECT 1 FROM notifications WHERE nonce = ? AND body = ?)"
    return bool(connection.execute(query, (nonce, body)).fetchone()[0])


def drop_oldest(connection: sqlite3.Connection, nonce: str) -> None:
    """Keep the bounds: whoever knows one address must not fill the disk."""
    connection.execute(
        """
        DELETE FROM notifications WHERE nonce = :nonce AND number NOT IN (
            SELECT number FROM notifications WHERE nonce = :nonce ORDER BY number DESC LIMIT :most
        )
        """,
        {"nonce": nonce, "most": MOST_FOR_ONE},
    )
    connection.execute(
        """
        DELETE FROM notifications WHERE number NOT IN (
            SELECT number FROM notifications ORDER BY number DESC LIMIT ?
        )
        """,
        (MOST_IN_ALL,),
    )
